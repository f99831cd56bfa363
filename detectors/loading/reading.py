"""How the network of another's file is read: by what the file says, else the user, else by what is assumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from common.console import warn
from common.errors import InputError
from detectors.base import Reading
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY, class_names, labels_in, order_unknown, other_labels
from detectors.loading.conventions import Colour, Conventions
from detectors.loading.statements import CLOSE, stated_normalisation, stated_size
from detectors.timm_network import TimmConfig, TimmDetector, from_checkpoint, from_own_file

T = TypeVar("T")


@dataclass(frozen=True)
class Defaults:
    """How a network is read where neither its file nor the user says it.

    Attributes:
        network: timm's name for it.
        outputs: how many logits it has.
        class_names: a name for each output, two of a single one; None where the order of the outputs is not known.
        input_size: the side in pixels of its square input.
        mean: RGB in [0, 1], subtracted from the image.
        std: RGB, divides it then.
        padding: as in `TimmConfig`.
        source: whose settings these are, for messages.
    """

    network: str
    outputs: int
    class_names: tuple[str, ...] | None
    input_size: int
    mean: Colour
    std: Colour
    source: str
    padding: tuple[int, ...] = ()


NORMALISATION_OPTIONS = "--normalise, or --mean and --std"
_OPTIONS = {"classes": "--classes", "normalisation": NORMALISATION_OPTIONS, "input": "--size"}
"""What says otherwise, by the first word of what is assumed."""


def read_foreign(
    defaults: Defaults,
    checkpoint: Checkpoint,
    conventions: Conventions,
    names: Callable[[nn.Module], Mapping[str, str]] | None = None,
    unused: Sequence[str] = (),
    title: str | None = None,
) -> TimmDetector:
    """The detector of a file that another software wrote, which knows how it is read.

    Args:
        defaults: of what neither the file nor the user says.
        checkpoint: the file.
        conventions: what the user says.
        names: gives what the file calls the network's keys, where it calls them otherwise.
        unused: beginnings of keys of the file that its network does not need for a verdict.
        title: what messages call the network; None for timm's name.

    Raises:
        InputError: the order of the outputs is not known, the user contradicts the file, a value cannot be used, or the
            weights do not fit.
    """
    config, reading = settle(defaults, checkpoint, conventions)
    detector = from_checkpoint(config, checkpoint, names, title, unused)
    detector.reading = reading
    return detector


def settle(defaults: Defaults, checkpoint: Checkpoint, conventions: Conventions) -> tuple[TimmConfig, Reading]:
    """The settings of a file's network, and what of them was assumed.

    Raises InputError where the order of the outputs is not known, where the user contradicts the file, and for values
    that cannot be used.
    """
    where, said, assumed = str(checkpoint.path), [], []
    names = stated_classes(defaults.outputs, checkpoint.metadata, where, conventions)
    if names is None and defaults.class_names is None:
        raise order_unknown(defaults.outputs, where)
    stated = stated_normalisation(checkpoint.statements)
    normalisation = agreed(where, "normalisation", stated, conventions.normalisation, NORMALISATION_OPTIONS)
    size = agreed(where, "input size", stated_size(checkpoint.statements), conventions.input_size, "--size")
    config = TimmConfig(
        defaults.network,
        names or defaults.class_names or BINARY,
        defaults.outputs,
        size or defaults.input_size,
        *(normalisation or (defaults.mean, defaults.std)),
        padding=defaults.padding,
    )
    meant = f" (a high logit means {config.class_names[1]})" if defaults.outputs == 1 else ""
    for text, given, known in (
        (f"classes {', '.join(config.class_names)}{meant}", conventions.labels, names),
        (f"normalisation {shown((config.mean, config.std))}", conventions.normalisation, normalisation),
        (f"input {config.input_size} x {config.input_size} pixels", conventions.input_size, size),
    ):
        if known is None:
            assumed.append(text)
        elif given is not None:
            said.append(text)
    return config, Reading(config.mean, config.std, tuple(said), tuple(assumed), defaults.source)


def assumption(reading: Reading, where: str) -> str | None:
    """What was assumed of a file and how to say otherwise, in one sentence; None where nothing was."""
    if not reading.assumed:
        return None
    options = [option for word, option in _OPTIONS.items() if any(text.startswith(word) for text in reading.assumed)]
    return (
        f"{where} does not say how it is read; assumed, as for {reading.source}: {'; '.join(reading.assumed)} "
        f"(to say otherwise: {'; '.join(options)})"
    )


def agreed_classes(stated: tuple[str, ...], outputs: int, checkpoint: Checkpoint, conventions: Conventions) -> None:
    """Raises InputError where the user's `--classes` are not those that a file or detector states."""
    if conventions.labels is not None:
        said = class_names(conventions.labels, outputs, "--classes")
        agreed(str(checkpoint.path), "classes", stated, said, "--classes")


def own_detector(checkpoint: Checkpoint, conventions: Conventions) -> TimmDetector:
    """The detector of one of our own files, which says everything itself.

    Raises InputError for any other file, and where the user contradicts it.
    """
    detector = from_own_file(checkpoint)
    check_own(detector.config, checkpoint, conventions)
    return detector


def check_own(config: TimmConfig, checkpoint: Checkpoint, conventions: Conventions) -> None:
    """Raises InputError where the user contradicts one of our own files, which says everything itself."""
    where = str(checkpoint.path)
    agreed_classes(config.class_names, config.outputs, checkpoint, conventions)
    stated = config.mean, config.std
    agreed(where, "normalisation", stated, conventions.normalisation, NORMALISATION_OPTIONS)
    agreed(where, "input size", config.input_size, conventions.input_size, "--size")


def none_said(conventions: Conventions, who: str) -> None:
    """Raises InputError where the user says something of a detector that leaves nothing open."""
    if not conventions.silent:
        raise InputError(
            f"{who} says itself how it is read; leave out --classes, --normalise, --mean, --std and --size"
        )


def network_in(said: Mapping[str, Any]) -> str | None:
    """The name of the network that a file's description gives: Lightning's hyper-parameters or timm's `arch`."""
    return next((said[key] for key in ("model_name", "arch") if isinstance(said.get(key), str)), None)


def stated_classes(
    outputs: int, said: Mapping[str, Any], where: str, conventions: Conventions
) -> tuple[str, ...] | None:
    """The classes that the description of weights states, else those that the user gives, or None.

    `where` names the weights in messages. Raises InputError as `settle` does.
    """
    given = None if conventions.labels is None else class_names(conventions.labels, outputs, "--classes")
    try:
        labels = labels_in(said)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if remark := other_labels(said):
        warn(f"{where}: {remark}")
    if labels is None or len(labels) not in {outputs, max(outputs, 2)}:  # a list of something else
        return given
    try:
        stated = class_names(labels, outputs, f"{where}: its classes")
    except InputError as error:
        if given is None:
            raise InputError(f"{error}; say which is which by --classes") from None
        return given
    return agreed(where, "classes", stated, given, "--classes")


def agreed(where: str, what: str, stated: T | None, given: T | None, option: str) -> T | None:
    """What the file states, else what the user gives. Raises InputError where they differ by more than rounding."""
    if stated is not None and given is not None and not _same(stated, given):
        raise InputError(f"{where} says itself: {what} {shown(stated)}, and not {shown(given)}; leave out {option}")
    return given if stated is None else stated


def _same(stated: Any, given: Any) -> bool:
    if isinstance(stated, tuple) and isinstance(given, tuple):
        return len(stated) == len(given) and all(map(_same, stated, given))
    if isinstance(stated, float) and isinstance(given, float):
        return abs(stated - given) <= CLOSE
    return bool(stated == given)


def shown(value: Any) -> str:
    """A value of a setting in words: colours as numbers with commas."""
    if not isinstance(value, tuple):
        return str(value)
    if value and isinstance(value[0], tuple):
        return f"mean {shown(value[0])} and std {shown(value[1])}"
    return ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
