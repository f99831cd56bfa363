"""Detectors by name: the known ones, any timm network, a user's own class, or a checkpoint recognised by its keys."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from common.console import warn
from common.errors import FAILED, InputError, described
from common.files import sha256
from common.memory import place
from common.process_state import kept_process_state
from common.registry import resolve
from common.torch_patches import remark_replaced, shared
from detectors import caddm, ff_attribution, hugging_face, sbi, xception
from detectors.base import Detector
from detectors.checks.consistency import probes
from detectors.checks.contract import check_contract, require_hashable
from detectors.checks.foreign_tensors import remark_foreign_tensors
from detectors.checks.own_weights import Origin, origin_of, watched_loads
from detectors.devices import resolve_device
from detectors.loading import timm_source
from detectors.loading.checkpoints import Checkpoint, read
from detectors.loading.conventions import NOTHING_SAID, Conventions
from detectors.loading.hugging_face_source import build_hugging_face
from detectors.loading.nearest_network import looks_like, nearest
from detectors.loading.published_wrappers import nearest_wrapper, wrapper_of
from detectors.loading.reading import assumption, network_in, none_said, own_detector
from detectors.loading.saving import model_in
from detectors.loading.statements import unused_statements
from detectors.loading.weight_loading import missing_parts
from detectors.memory import ran_out
from detectors.onnx_network import build_onnx
from detectors.optimise import optimise as optimised
from detectors.queries import require_evaluating
from detectors.timm_network import TimmConfig, create_network


@dataclass(frozen=True)
class Source:
    """How a named detector is made.

    Attributes:
        build: from a checkpoint, or None where the user gave none, and what the user says of it, to the detector;
            raises InputError.
        recognises: whether a file's keys and shapes are this detector's.
        settled: whether its name says how its published files are read, so that nothing is assumed under it.
    """

    build: Callable[[Checkpoint | None, Conventions], Detector]
    recognises: Callable[[Checkpoint], bool]
    settled: bool = True


SOURCES: Mapping[str, Source] = {
    "demo": Source(ff_attribution.demo, lambda checkpoint: False),
    "demo-hardened": Source(ff_attribution.hardened, lambda checkpoint: False),
    "ff_attribution": Source(ff_attribution.build_ff_attribution, ff_attribution.recognises),
    "caddm": Source(caddm.build_caddm, caddm.recognises),
    "sbi": Source(sbi.build_sbi, sbi.recognises),
    "xception": Source(xception.build_xception, xception.recognises, settled=False),
}

_OWN_FILES: Mapping[str, Callable[[Checkpoint, Conventions], Detector]] = {
    TimmConfig.model: own_detector,
    caddm.CaddmConfig.model: caddm.from_own_file,
    hugging_face.HuggingFaceConfig.model: hugging_face.from_own_file,
}
"""What reads our own files, by the kind of detector that they say they hold."""

_WHOLE: Mapping[str, Callable[[str, Conventions], Detector]] = {
    "hf": build_hugging_face,
    "onnx": build_onnx,
}
"""Detectors named `family:PLACE`, where the place holds weights and settings together, by what makes them."""


@dataclass(frozen=True)
class LoadedAs:
    """How a user's own detector was loaded, so that another process can load it, too.

    Attributes:
        name: `package.module:Name`.
        checkpoint: the file of its weights, or None.
        device: as it was asked for.
        draws: whether it draws weights when it is made.
        contiguous: whether it is asked about pictures that are contiguous in memory (`Detector.memory_format`).
    """

    name: str
    checkpoint: str | None
    device: str
    draws: bool
    contiguous: bool


_LOADED: WeakKeyDictionary[Detector, LoadedAs] = WeakKeyDictionary()
"""Users' own detectors."""

_SUFFIXES = {".ckpt", ".pt", ".pth", ".pkl", ".tar", ".bin", ".safetensors"}
_TIMM = "timm:"
_GENERIC = ("model", "best", "last")


@kept_process_state("loading the detector")
def load(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    optimise: bool = True,
    conventions: Conventions = NOTHING_SAID,
) -> Detector:
    """The detector `name`, in evaluation mode, ready to be queried and attacked.

    Its `weights_sha256` is that of the checkpoint or of a model's files, or of its weights where there are none. What
    was assumed of another software's file, and what of it was left unused, is said in warnings on stderr.

    Args:
        name: a known detector (`demo`, `demo-hardened`, `ff_attribution`, `caddm`, `sbi`, `xception`), `timm:NETWORK`,
            `hf:FOLDER` or `hf:OWNER/NAME` of transformers, `onnx:FILE`, the user's own `package.module:Name` (a
            Detector class or a function that returns one, called with the checkpoint's path where one is given), or a
            checkpoint file, which is recognised from its description or its keys.
        checkpoint: the file of the weights, for a detector that is given by name.
        device: auto, cpu, cuda, cuda:N or mps.
        optimise: whether batch norms are folded into convolutions (see `detectors.optimise`): logits stay the same to
            rounding, weights take no gradients. A user's own detector is left as it is.
        conventions: what the user says of classes, normalisation and size, where the file says nothing.

    Raises:
        InputError: the name is unknown, the file is unusable, nothing says which output is Real, `conventions`
            contradict the file, or the detector breaks the contract of `detectors.base.Detector`.
    """
    torch_device = resolve_device(device)
    conventions.remark()
    origin = Origin()
    if _is_own(name):
        none_said(conventions, f"detector {name}")
        detector, digest, origin = _own(name, checkpoint)
    else:
        detector, digest = _known(name, checkpoint, conventions)
    require_hashable(detector, name)
    try:
        detector.eval()  # what it returns is not looked at: a user's own may return nothing
    except NotImplementedError as error:  # as networks of torch.export raise it, which have no modes
        raise InputError(
            f"detector {name} cannot be put into evaluation mode ({described(error)}): give it an eval and a train of "
            "its own, that do what they can and return self"
        ) from error
    require_evaluating(detector)
    check_contract(detector, name)
    for remark in origin.remarks:
        warn(remark)
    if _is_own(name):
        remark_foreign_tensors(detector, name, probes(detector)[:1])
    detector.weights_sha256 = digest or detector.weights_sha256 or weights_digest(detector)
    if _is_own(name):
        file, contiguous = None if checkpoint is None else str(checkpoint), torch.contiguous_format
        _LOADED[detector] = LoadedAs(name, file, device, origin.draws, detector.memory_format == contiguous)
    elif optimise:
        detector = optimised(detector)
    try:
        return detector.to(torch_device)
    except NotImplementedError as error:
        raise InputError(
            f"detector {name} cannot be put on {torch_device} ({described(error)}): give its weights and buffers values"
        ) from error


def loaded_as(detector: Detector) -> LoadedAs | None:
    """How a user's own detector was loaded; None for any other, and for one that `load` did not make."""
    return _LOADED.get(detector)


@kept_process_state("loading the detector")
def made_again(loaded: LoadedAs) -> Detector:
    """A user's own detector as `load` makes it, but asked about no picture yet. Raises InputError as `load` does."""
    detector = _made(_maker(loaded.name), loaded.name, loaded.checkpoint)
    detector.eval()
    if loaded.contiguous:
        detector.memory_format = torch.contiguous_format
    return detector.to(resolve_device(loaded.device))


def short_name(name: str) -> str:
    """What a detector is called in folders and tables: its own name, of a file its stem.

    Where the stem is what training calls every file (model, best, last), it is the folder's name.
    """
    family, place = _family(name)
    if family in _WHOLE and os.path.exists(place):
        path = Path(os.path.abspath(place))
        return path.name if path.is_dir() else path.stem
    if not _is_file(name):
        return name.replace(":", "-").replace("/", "-")
    path = Path(os.path.abspath(name))  # ../best.ckpt has a folder with a name
    if path.stem in _GENERIC and path.parent.name:
        return path.parent.name
    return path.stem if path.stem.strip(".") else path.name


def _is_own(name: str) -> bool:
    return ":" in name and not name.startswith(_TIMM) and _family(name)[0] not in _WHOLE and not _is_file(name)


def _family(name: str) -> tuple[str, str]:
    """What stands before the first colon of a name, and what after it."""
    family, _, place = name.partition(":")
    return family, place


def _is_file(name: str) -> bool:
    return Path(name).suffix in _SUFFIXES or os.path.isfile(name)


def _known(name: str, checkpoint: str | Path | None, conventions: Conventions) -> tuple[Detector, str | None]:
    """A detector of this project's, and its checkpoint's SHA-256."""
    family, place = _family(name)
    if family in _WHOLE:
        if checkpoint is not None:
            raise InputError(f"{name} brings its own weights; leave out the checkpoint {checkpoint}")
        return _WHOLE[family](place, conventions), None
    if name not in SOURCES and not name.startswith(_TIMM) and _is_file(name):
        if checkpoint is not None:
            raise InputError(f"two checkpoints given: {name} and {checkpoint}; give one, or a detector's name")
        given = read(name)
        return _remarked(_recognised(given, conventions), given), given.sha256
    source = _named(name)
    if checkpoint is None:
        return source.build(None, conventions), None
    given = read(checkpoint)
    detector = source.build(given, conventions)
    if source.settled and detector.reading is not None:
        detector.reading = replace(detector.reading, assumed=())
    return _remarked(detector, given), given.sha256


def _remarked(detector: Detector, checkpoint: Checkpoint) -> Detector:
    """The detector, after warnings that say what was chosen, left out and assumed in reading its file."""
    for remark in checkpoint.remarks:
        warn(f"{checkpoint.path}: {remark}")
    if detector.reading is not None and (assumed := assumption(detector.reading, str(checkpoint.path))):
        warn(assumed)
    if model_in(checkpoint) is None and (
        unused := unused_statements(checkpoint.statements, detector, str(checkpoint.path))
    ):
        warn(unused)
    return detector


def _named(name: str) -> Source:
    if name.startswith(_TIMM):
        return Source(partial(_of_timm, name.removeprefix(_TIMM)), lambda checkpoint: False, settled=False)
    return resolve(name, SOURCES, "detector")


def _of_timm(network: str, checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    """A network of timm with a file's weights, under timm's names or those of a publication that wraps it."""
    wrapper = None if checkpoint is None else wrapper_of(checkpoint)
    if checkpoint is not None and wrapper is not None and wrapper.network == network:
        return wrapper.build(checkpoint, conventions)
    return timm_source.build_timm(network, checkpoint, conventions)


def _recognised(checkpoint: Checkpoint, conventions: Conventions) -> Detector:
    """The detector that a file is for: as our own files say, else as its keys do, or the description in it."""
    model = model_in(checkpoint)
    if model is not None:
        if model not in _OWN_FILES:
            known = ", ".join(_OWN_FILES)
            raise InputError(f"{checkpoint.path} holds a detector of kind {model!r}; this version knows {known}")
        return _OWN_FILES[model](checkpoint, conventions)
    if (wrapper := wrapper_of(checkpoint)) is not None:
        return wrapper.build(checkpoint, conventions)
    for source in SOURCES.values():
        if source.recognises(checkpoint):
            return source.build(checkpoint, conventions)
    named = network_in(checkpoint.metadata)
    if named is not None:
        return timm_source.from_foreign_file(named, checkpoint, conventions)
    if (wrapper := nearest_wrapper(checkpoint)) is not None:
        return wrapper.build(checkpoint, conventions)  # says what is missing or not expected
    guess = f"{looks_like(checkpoint.state_dict)}{_lacking(checkpoint)}"
    raise InputError(
        f"{checkpoint.path} is not recognised: it looks like {guess}; name its detector ({', '.join(SOURCES)}, "
        "timm:NETWORK or your own package.module:Name) and give the file as its checkpoint"
    )


def _lacking(checkpoint: Checkpoint) -> str:
    """What is not in a file of the network that its shapes are nearest to, as a clause; else nothing."""
    near = nearest(checkpoint.state_dict)
    if near is None:
        return ""
    with torch.device("meta"):
        parts = missing_parts(checkpoint.state_dict, create_network(near, 2))
    return f", but has {parts}" if parts else ""


def _own(name: str, checkpoint: str | Path | None) -> tuple[Detector, str | None, Origin]:
    """A user's detector, its checkpoint's SHA-256, and where its weights are from (`detectors.checks.own_weights`)."""
    make = _maker(name)
    before = shared()
    with watched_loads() as left:
        detector = _made(make, name, checkpoint)
    remark_replaced(before, f"detector {name}: making it")
    again = make if checkpoint is None else partial(make, checkpoint)
    require_hashable(detector, name)
    origin = origin_of(detector, name, again, checkpoint, left)
    return detector, None if checkpoint is None else sha256(checkpoint), origin


def _maker(name: str) -> Any:
    """A user's Detector class, or function that returns one. Raises InputError where the name is of neither."""
    make: Any = resolve(name, {}, "detector")
    if not callable(make):
        raise InputError(f"detector {name} is neither a Detector class nor a function that returns one")
    return make


def _made(make: Any, name: str, checkpoint: str | Path | None) -> Detector:
    """What makes a user's detector, called. Raises InputError where it cannot be made, or is none."""
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise InputError(f"checkpoint {checkpoint}: there is no such file")
    try:
        detector = make() if checkpoint is None else make(checkpoint)
    except InputError:
        raise
    except FAILED as error:
        if ran_out(error):
            raise
        raise InputError(
            f"detector {name} could not be made ({described(error)}, at {place(error)}){_taken_name(error)}"
        ) from error
    if not isinstance(detector, Detector):
        raise InputError(f"detector {name} made a {type(detector).__name__}; expected a detectors.Detector")
    return detector


def _taken_name(error: BaseException) -> str:
    """What to do where torch refuses a buffer or weight because the Detector class has something of that name."""
    named = re.search(r"attribute '(\w+)' already exists", str(error)) if isinstance(error, KeyError) else None
    if named is None or not hasattr(Detector, named[1]):
        return ""
    return f": Detector has a {named[1]} of its own, so call the buffer or weight otherwise, as pixel_{named[1]}"


def weights_digest(detector: Detector) -> str:
    """The SHA-256 of a detector's state: names, types, shapes and bytes of its tensors, by name.

    A `state_dict` of its own may leave some out, as a frozen backbone, and is not asked. Quantised layers keep theirs
    in tuples.
    """
    digest = hashlib.sha256()
    for name, tensor in _tensors(torch.nn.Module.state_dict(detector)):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.is_meta:  # it has no bytes
            continue
        values = (tensor.to_dense() if tensor.is_sparse else tensor).detach().cpu().contiguous()
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(state: Mapping[str, object]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a state by its name, in the names' order; quantised ones as the numbers that they stand for."""
    for name, value in sorted(state.items()):
        if isinstance(value, Tensor):
            yield name, value.dequantize() if value.is_quantized else value
        elif isinstance(value, (tuple, list)):
            yield from _tensors({f"{name}.{index:06d}": part for index, part in enumerate(value)})
