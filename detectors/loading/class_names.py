"""What the classes of a network are called: names from files and command lines, in whatever words and case."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.base import REAL

FAKE = "Fake"
BINARY = (REAL, FAKE)

_REAL_WORDS = {
    "real", "original", "pristine", "bonafide", "live", "genuine", "authentic", "natural", "untouched", "unaltered",
    "unmanipulated",
}  # fmt: skip
_FAKE_WORDS = {
    "fake", "deepfake", "manipulated", "manipulation", "forged", "forgery", "spoof", "spoofed", "attack", "synthetic",
    "synthesized", "synthesised", "generated", "aigenerated", "artificial", "tampered", "altered", "modified", "ai",
}  # fmt: skip
_NUMBER = re.compile(r"^\d+[\W_]+|[\W_]+\d+$")
_NAMELESS = re.compile(r"^(label|class)?[\W_]*\d+$", re.IGNORECASE)
"""Names that are numbers alone: transformers' LABEL_0."""

_THINGS = re.compile(r"(?<=.)[\W_]*(faces?|images?|imgs?|pictures?|photos?|videos?|frames?|class)$")
"""What label names add to the word: "0_real", "Fake Image"."""

LABEL_KEYS = (
    "class_names",
    "label_names",
    "classes",
    "CLASSES",
    "labels",
    "names",
    "class_to_idx",
    "id2label",
    "label2id",
    "idx_to_class",
    "idx2class",
    "class2idx",
    "class_to_index",
    "index_to_class",
    "idx2label",
    "label2idx",
    "idx_to_label",
    "label_to_idx",
    "label_map",
    "class_map",
    "label_mapping",
    "class_mapping",
    "target_names",
    "categories",
)
"""Where files keep the names of their classes: words of scripts, torchvision, timm, ultralytics and transformers.

The first that says the order counts: transformers itself goes by `id2label`.
"""


_LONGEST = 10_000
"""Characters of a text that is read for names."""


def class_names(labels: Sequence[str], outputs: int, who: str) -> tuple[str, ...]:
    """The classes of a network's outputs, from their names in order.

    Words for real (original, pristine, bonafide, live, genuine, 0_real, ...) are "Real" whatever their case; words for
    their opposite are "Fake" where there are two classes, and FaceForensics++'s families have their names here. A
    single logit has one name, of what it stands for, or two, of which the second is.

    Args:
        labels: a name for each output.
        outputs: how many logits the network has.
        who: who named them, for messages.

    Returns:
        A name for each class: two of a single logit, the second being what a high one means.

    Raises:
        InputError: there are too many names or too few, two are the same, or it is not clear which is "Real".
    """
    names = tuple(map(class_name, labels))
    if outputs == 1 and len(names) == 1:
        if names[0] not in BINARY:
            raise InputError(f"{who} is {labels[0]}, which is neither real nor fake: expected Real or Fake")
        return BINARY if names[0] == FAKE else BINARY[::-1]
    wanted = max(outputs, 2)
    if len(names) != wanted:
        raise InputError(f"{who} are {', '.join(labels)}: expected {wanted} names, the network has {outputs} outputs")
    if wanted > 2 and names.count(FAKE) > 1:  # several kinds of fakes keep their own names
        names = tuple(label if name == FAKE else name for name, label in zip(names, labels, strict=True))
    if names.count(REAL) != 1 or len(set(names)) != len(names):
        raise InputError(
            f"{who} are {', '.join(labels)}: expected different names in the order of the outputs, one of them {REAL}"
        )
    return names


def class_name(label: str) -> str:
    """One label as classes are called here; a name without a known word stays as it is."""
    text = _THINGS.sub("", _NUMBER.sub("", label.strip().casefold()))
    word = re.sub(r"[\W_]", "", text)
    singular = word.removesuffix("s")
    if word in _REAL_WORDS or singular in _REAL_WORDS:
        return REAL
    families = {name.casefold(): name for name in CLASS_NAMES}
    if word in families:
        return families[word]
    return FAKE if word in _FAKE_WORDS or singular in _FAKE_WORDS else label.strip()


def labels_in(metadata: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the outputs, in their order, that a file's description gives; None where it gives none.

    It may give them as a list, as numbers by name (`class_to_idx`) or as names by number (`id2label`). Raises
    InputError where it gives them twice, in different orders.
    """
    first = _first(metadata)
    if first is None:
        return None
    key, labels = first
    for other in LABEL_KEYS:
        numbers = _numbers(metadata.get(other), len(labels))
        if other != key and _contradict(_numbers(labels, len(labels)), numbers):
            listing = ", ".join(f"{name} {number}" for name, number in numbers)
            raise InputError(
                f"its {key} ({', '.join(labels)}) and its {other} ({listing}) contradict each other on which output is "
                "which: save a file that says one of them"
            )
    return labels


def other_labels(metadata: Mapping[str, Any]) -> str | None:
    """What a file's description says of its classes beside what is taken, in a sentence; None for nothing else."""
    first = _first(metadata)
    if first is None:
        return None
    key, labels = first
    known = {class_name(label) for label in labels}
    for other in LABEL_KEYS:
        names = [name for name, _ in _numbers(metadata.get(other), len(labels))]
        if other != key and any(class_name(name) not in known for name in names if not _NAMELESS.match(name)):
            return f"its {other} ({', '.join(names)}) has other names than its {key}, which is taken"
    return None


def same_order(one: Any, other: Any) -> bool | None:
    """Whether two descriptions of classes (names in order, or by number) give no class two numbers; None without any.

    Names are compared as `class_name` reads them.
    """
    first, second = _numbers(one), _numbers(other)
    return not _contradict(first, second) if first and second else None


def _first(metadata: Mapping[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """What says the names of all outputs, and the names: what has real names before what has numbered ones."""
    found = [(key, labels) for key in LABEL_KEYS if (labels := _in_order(metadata.get(key)))]
    named = [entry for entry in found if not all(map(_NAMELESS.match, entry[1]))]
    return next(iter([*named, *found]), None)


def _contradict(one: Sequence[tuple[str, int]], other: Sequence[tuple[str, int]]) -> bool:
    """Whether a class that both name has other numbers in the one than in the other."""
    first, second = _places(one), _places(other)
    return any(not numbers & second[name] for name, numbers in first.items() if name in second)


def _places(numbers: Sequence[tuple[str, int]]) -> dict[str, set[int]]:
    """The numbers of each class, by its usual name."""
    places: dict[str, set[int]] = {}
    for name, number in numbers:
        places.setdefault(class_name(name), set()).add(number)
    return places


class OrderUnknownError(InputError):
    """Nothing says which output of a network is Real; `outputs` is how many it has."""

    def __init__(self, message: str, outputs: int) -> None:
        super().__init__(message)
        self.outputs = outputs


def order_unknown(outputs: int, where: str) -> OrderUnknownError:
    """The error for a network of which nothing says what its outputs stand for: how to say it."""
    if outputs == 2:
        how = (
            "say it: --classes Real,Fake where the first output is for real frames, --classes Fake,Real where it is "
            "for fakes (torchvision's ImageFolder sorts folders by name, so that fake is first)"
        )
    else:
        how = f"say it: --classes with {outputs} names in the order of the outputs, one of them {REAL}"
    return OrderUnknownError(f"{where} has {outputs} outputs and does not say which is {REAL}; {how}", outputs)


def _read(value: Any) -> Any:
    """What a value says, of a text that stands for a list or names by number: as JSON, Python or commas write it.

    What safetensors and ONNX keep beside weights is texts alone; Weights & Biases keep every value under "value".
    """
    if isinstance(value, Mapping) and "value" in value and value.keys() <= {"value", "desc"}:
        return _read(value["value"])
    if not isinstance(value, str) or len(value) > _LONGEST:
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return [name.strip() for name in value.split(",")] if "," in value else value


def _in_order(value: Any) -> tuple[str, ...] | None:
    value = _read(value)
    if isinstance(value, (list, tuple)):
        return tuple(value) if all(isinstance(label, str) for label in value) else None
    if not isinstance(value, Mapping) or not value:
        return None
    numbers = _numbers(value)
    if len(numbers) != len(value) or sorted(number for _, number in numbers) != list(range(len(numbers))):
        return None
    return tuple(name for name, _ in sorted(numbers, key=lambda pair: pair[1]))


def _numbers(value: Any, outputs: int | None = None) -> list[tuple[str, int]]:
    """Every name with its number that a value gives, in its order; none of a list of other than `outputs` names."""
    value = _read(value)
    if isinstance(value, (list, tuple)):
        named = all(isinstance(label, str) for label in value) and outputs in (None, len(value))
        return [(label, number) for number, label in enumerate(value)] if named else []
    if not isinstance(value, Mapping):
        return []
    if all(str(number).isdecimal() for number in value):  # names by number
        pairs = [(str(name), str(number)) for number, name in value.items()]
    else:
        pairs = [(str(name), str(number)) for name, number in value.items()]
    return [(name, int(number)) for name, number in pairs if number.isdecimal()]
