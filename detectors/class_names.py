"""What the classes of a network are called: names from files and command lines, in whatever words and case."""

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
_THINGS = re.compile(r"(?<=.)[\W_]*(faces?|images?|imgs?|pictures?|photos?|videos?|frames?|class)$")
"""What label names add to the word: "0_real", "Fake Image"."""

_LABEL_KEYS = (
    "class_names",
    "label_names",
    "classes",
    "labels",
    "class_to_idx",
    "label2id",
    "idx_to_class",
    "id2label",
)
"""Where files keep the names of their classes: training scripts', torchvision's, timm's and transformers' words."""


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
    found = {key: labels for key in _LABEL_KEYS if (labels := _in_order(metadata.get(key)))}
    first = next(iter(found), None)
    for key, labels in found.items():
        if first is not None and _contradict(found[first], labels):
            raise InputError(
                f"its {first} ({', '.join(found[first])}) and its {key} ({', '.join(labels)}) contradict each other on "
                "which output is which: save a file that says one of them"
            )
    return None if first is None else found[first]


def _contradict(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists of labels have the same names, or a Real, at different places."""
    first, second = [class_name(label) for label in one], [class_name(label) for label in other]
    if len(first) != len(second) or first == second:
        return False
    real = first.count(REAL) == second.count(REAL) == 1 and first.index(REAL) != second.index(REAL)
    return real or sorted(first) == sorted(second)


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


def _in_order(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, (list, tuple)):
        return tuple(value) if all(isinstance(label, str) for label in value) else None
    if not isinstance(value, Mapping) or not value:
        return None
    if all(str(number).isdecimal() for number in value):  # names by number
        value = {label: number for number, label in value.items()}
    numbers = {label: int(number) for label, number in value.items() if str(number).isdecimal()}
    if len(numbers) != len(value) or sorted(numbers.values()) != list(range(len(numbers))):
        return None
    return tuple(str(label) for label in sorted(numbers, key=numbers.__getitem__))
