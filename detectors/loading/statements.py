"""What a checkpoint says of how its network is read, under whatever names scripts use: taken where clear, else said."""

import json
import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from detectors.base import REAL, Detector
from detectors.loading.class_names import class_name
from detectors.loading.conventions import NORMALISATIONS, Colour

DEEPEST = 4  # mappings in mappings
MOST = 6  # statements in one line
CLOSE = 2e-3  # two ways to round the same normalisation
OURS = "flipscope"  # what our own files say is read elsewhere

_HOLDERS = re.compile(
    r"^(args?|(datamodule_)?hyper_?parameters|hparams|(wandb_)?config(uration)?|cfg|opts?|options|params|settings|"
    r"pre_?process(ing|or)?|transforms?|data(set|module)?(_meta|_config)?|(pre)?normali[sz](e|ation)|model|network|net|"
    r"model_config|meta(data)?|info|(pretrained|default)_cfg|state|model_kwargs|calibration)$"
)
"""Mappings beside the weights that describe the network; others (metrics, an optimiser) do not."""

_PLAIN = re.compile(r"^\s*(\[.*\]|\{.*\}|true|false|-?[\d.]+(e-?\d+)?)\s*$", re.IGNORECASE)
"""Texts that stand for values, as all that safetensors keeps are texts."""

_SIZE = re.compile(r"^((input|image|img|crop|face|frame)_?)?(size|sz|resolution|res|side|height|width|shape)$|^resize$")
_COLOUR = re.compile(
    r"^((input|image|img|pixel|norm|normali[sz]e|normali[sz]ation|rgb|data|dataset)_?)?(?P<which>mean|std)s?$"
)
_NORMALISE = re.compile(r"^(pre)?normali[sz](e|ed|ation)(_type)?$")
_ORDER = re.compile(r"^(to_|is_|use_|swap_)?(?P<order>bgr|rgb|rb)$|^(colou?r|channels?)_?(space|order|mode|format)$")
_RANGE = re.compile(r"^(input|pixel|value|image)_range$|^max_pixel_value$|^(re)?scale_factor$")
_LAYERS = re.compile(r"^(gp|global_pool|bn_eps|act_layer)$")
"""What changes a network's verdicts and not its weights' shapes: timm's options of its making."""
_LABEL = re.compile(r"^(?P<what>pos|positive|fake|real|neg|negative)_(label|class|idx|index|id)$|^positive$")
_DECISION = re.compile(
    r"^((decision|best|optimal|eer|class)_)?threshold$|^temperature$|^(final|last|output)_activation$"
)

Statement = tuple[str, Any]
"""Where a file says something, as "args.image_size", and what."""


def is_holder(key: Any) -> bool:
    """Whether a mapping of this name, beside the weights, describes the network."""
    return bool(_HOLDERS.match(str(key).casefold()))


def statements_in(content: Any) -> tuple[Statement, ...]:
    """What the content of a file says of its network beside the weights, in its order."""
    return tuple(_walk(content, "", DEEPEST))


def tensor_statements(state_dict: Mapping[str, Tensor]) -> tuple[Statement, ...]:
    """What tensors beside the weights say, of 3 numbers at most: a mean, a deviation (`normalize.mean`), what decides.

    They are buffers of what a training wrapped around its network.
    """
    return tuple((key, _numbers(state_dict[key])) for key in _stating(state_dict))


def _walk(content: Any, path: str, deeper: int) -> Iterator[Statement]:
    values = vars(content) if isinstance(content, Namespace) else content
    if not isinstance(values, Mapping) or not deeper:
        return
    weights = sum(isinstance(value, Tensor) for value in values.values()) > len(_stating(values))
    for key, value in values.items():
        name = f"{path}{key}"
        if isinstance(value, str) and _PLAIN.match(value):
            value = _parsed(value.casefold())
        if key == OURS:
            continue
        if isinstance(value, (Mapping, Namespace)) and is_holder(key):
            yield from _walk(value, f"{name}.", deeper - 1)
        elif isinstance(value, Tensor):
            if not weights and value.numel() <= 3:
                yield name, _numbers(value)
        elif isinstance(value, (str, bool, int, float, list, tuple)):
            yield name, value


def _stating(values: Mapping[Any, Any]) -> list[str]:
    """The keys of tensors that are a mean, a deviation or what decides, not weights."""
    tensors = (str(key) for key, value in values.items() if isinstance(value, Tensor) and value.numel() <= 3)
    return [key for key in tensors if _COLOUR.match(_last(key)) or _DECISION.match(_last(key))]


def _numbers(tensor: Tensor) -> list[float]:
    return [round(float(number), 6) for number in tensor.flatten()]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def stated_size(statements: tuple[Statement, ...]) -> int | None:
    """The side of the square input by all that a file says of it; None where it says nothing, or several things."""
    sizes = {_side(value) for name, value in statements if _SIZE.match(_last(name)) and _last(name) != "resize"} - {
        None
    }
    return sizes.pop() if len(sizes) == 1 else None


def stated_normalisation(statements: tuple[Statement, ...]) -> tuple[Colour, Colour] | None:
    """Mean and deviation by all that a file says of them; None where it says nothing, half of it or several things."""
    said: dict[str, set[Colour | None]] = {"mean": set(), "std": set()}
    for name, value in statements:
        if (found := _COLOUR.match(_last(name))) and not isinstance(value, (int, float)):
            said[found["which"]].add(_colour(value))
    named = {NORMALISATIONS.get(str(value).casefold()) for name, value in _named(statements)}
    if all(len(colours) == 1 for colours in said.values()) and not named - {None}:
        (mean,), (std,) = said.values()
        return None if mean is None or std is None else (mean, std)
    return named.pop() if len(named) == 1 and not any(said.values()) else None


def _named(statements: tuple[Statement, ...]) -> list[Statement]:
    return [entry for entry in statements if _NORMALISE.match(_last(entry[0])) and isinstance(entry[1], str)]


def unused_statements(statements: tuple[Statement, ...], detector: Detector, where: str) -> str | None:
    """What a file says of its network and the detector does not do, in one line; None where they agree.

    Args:
        statements: of the file.
        detector: that was made of it.
        where: the file.
    """
    unused = [f"{name} = {_shown(value)}" for name, value in statements if _is_other(_last(name), value, detector)]
    if not unused:
        return None
    more = f" and {len(unused) - MOST} more" if len(unused) > MOST else ""
    side = detector.input_size
    return (
        f"{where} also says {', '.join(unused[:MOST])}{more}, which is not what the detector does, and left unused: it "
        f"takes {side} x {side} pixels in {detector.colour_order}, and the larger logit is its verdict; where that is "
        "wrong, say it by --size, --normalise or --classes, or write a class of your own"
    )


def _is_other(name: str, value: Any, detector: Detector) -> bool:
    """Whether a statement is about how a network is read, and the detector reads it otherwise."""
    return any(pattern.match(name) and not agrees(name, value, detector) for pattern, agrees in _AGREE)


def _size_agrees(_name: str, value: Any, detector: Detector) -> bool:
    return _side(value) == detector.input_size


def _colour_agrees(name: str, value: Any, detector: Detector) -> bool:
    found = _COLOUR.match(name)
    theirs, ours = _colour(value), detector.mean if found and found["which"] == "mean" else detector.std
    return theirs is not None and ours is not None and _close(theirs, ours)


def _normalise_agrees(_name: str, value: Any, detector: Detector) -> bool:
    none = NORMALISATIONS["none"]
    ours = (detector.mean, detector.std or none[1])
    if isinstance(value, bool) or value in (0, 1):
        return bool(value) == (ours != none)
    theirs = NORMALISATIONS.get(str(value).casefold())
    return theirs is not None and all(map(_close, theirs, ours))


def _order_agrees(name: str, value: Any, detector: Detector) -> bool:
    found = _ORDER.match(name)
    order = str(found["order"]).upper() if found and found["order"] else ""
    if not order:
        return str(value).upper() == detector.colour_order
    if order == "RB":  # swapped: as cv2 reads pictures, and then RGB
        return detector.colour_order == "RGB"
    return bool(value) == (order == detector.colour_order)


def _range_agrees(_name: str, value: Any, _detector: Detector) -> bool:
    return value in (1, 1.0, 255, [0, 1], (0, 1), [0.0, 1.0]) or (
        isinstance(value, float) and abs(value * 255 - 1) < 1e-3
    )


def _label_agrees(name: str, value: Any, detector: Detector) -> bool:
    found = _LABEL.match(name)
    what = found["what"] if found else None
    names = detector.class_names
    if isinstance(value, str) and not value.isdecimal():
        meant = class_name(value)
        return meant in names and (meant == REAL) == (what in ("real", "neg", "negative"))
    if isinstance(value, bool) or not str(value).isdecimal() or int(value) >= len(names):
        return False
    return (names[int(value)] == REAL) == (what in ("real", "neg", "negative"))


def _decision_agrees(name: str, value: Any, _detector: Detector) -> bool:
    if name.endswith("activation"):
        return str(value).casefold() in ("none", "softmax", "sigmoid", "identity", "linear")
    (stated,) = value if isinstance(value, (list, tuple)) and len(value) == 1 else (value,)
    return bool(stated == (1 if name == "temperature" else 0.5))


def _layers_agree(name: str, value: Any, detector: Detector) -> bool:
    if not value:
        return True
    layers = list(detector.modules())
    if name == "bn_eps":
        return all(layer.eps == value for layer in layers if isinstance(layer, nn.modules.batchnorm._BatchNorm))
    pools = {str(pool) for layer in layers if (pool := getattr(layer, "pool_type", None)) is not None}
    pools |= {str(getattr(layer, "global_pool", None)) for layer in layers}
    return name != "act_layer" and str(value) in pools


_AGREE: tuple[tuple[re.Pattern[str], Callable[[str, Any, Detector], bool]], ...] = (
    (_SIZE, _size_agrees),
    (_COLOUR, _colour_agrees),
    (_NORMALISE, _normalise_agrees),
    (_ORDER, _order_agrees),
    (_RANGE, _range_agrees),
    (_LABEL, _label_agrees),
    (_DECISION, _decision_agrees),
    (_LAYERS, _layers_agree),
)


def _last(name: str) -> str:
    return name.rpartition(".")[2].casefold().replace("-", "_")


def _side(value: Any) -> int | None:
    """The side of a square that a number, two or three (with the channels) stand for; None where they do not."""
    if isinstance(value, str):
        value = [int(part) for part in re.findall(r"\d+", value)] if re.fullmatch(r"[\d\s,x()\[\]]+", value) else None
    numbers = [value] if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(numbers, (list, tuple)) or not all(isinstance(number, int) for number in numbers):
        return None
    sides = {number for number in numbers if number != 3 or len(numbers) == 1}
    return sides.pop() if len(sides) == 1 and len(numbers) <= 4 else None


def _colour(value: Any) -> Colour | None:
    """RGB in units of images in [0, 1], of one number or three; those of bytes are divided by 255."""
    if isinstance(value, str):
        value = _parsed(f"[{value.strip('()[]')}]")
    values = [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    numbers = isinstance(values, (list, tuple)) and all(isinstance(part, (int, float)) for part in values)
    if not numbers or len(values) not in (1, 3):
        return None
    scale = 255.0 if max(values) > 1 else 1.0
    red, green, blue = (float(part) / scale for part in (values * 3 if len(values) == 1 else values))
    return red, green, blue


def _close(one: Colour, other: Colour) -> bool:
    return all(abs(first - second) <= CLOSE for first, second in zip(one, other, strict=True))


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
