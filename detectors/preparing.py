"""A frame and its mask as a detector's input: by its own `prepare`, looked at."""

import contextlib
import copy
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch
from torch import Tensor

from common.console import warn
from common.errors import FAILED, InputError, described, is_interrupt
from detectors.base import Detector, require_picture

TRIES = 16
"""How often an own `prepare` is asked about the first frame: a flip of one picture in three is missed once in 700."""

FEW = 8
"""How many frames are each prepared by a copy that has prepared none; from then on, the 16th, the 32nd, ..."""

CHANGE = 8
"""By how many of 255 levels a mask's pixels are changed to see where they are in what is prepared."""

GAIN = 0.2
"""How far the brightness of what is prepared may be stretched without a remark."""

NO_GAIN = 1e-3
"""Where the brightness of a trial picture is stretched by less, its bright place was cut out, and nothing is known."""


@dataclass
class _Watched:
    """What is known of a detector with a `prepare` of its own.

    Attributes:
        unused: a copy of it, with the same weights, as it was before its first frame.
        frames: how many frames it gave the same each time.
        last: the frame that it prepared last, (H, W, 3) uint8.
        is_unsettled: whether it gave one frame two ways.
        is_told: whether it was said to write to itself whenever it prepares a frame.
    """

    unused: Detector
    frames: int = 0
    last: np.ndarray | None = None
    is_unsettled: bool = False
    is_told: bool = False


_WATCHED: WeakKeyDictionary[Detector, _Watched] = WeakKeyDictionary()

_MOVED_ALIKE: WeakSet[Detector] = WeakSet()
"""The detectors whose `prepare_mask` is not known to move pixels elsewhere than their `prepare`."""


def prepared(detector: Detector, image: np.ndarray) -> Tensor:
    """A frame (H, W, 3) uint8 RGB as the detector prepares it, (3, S, S) float32 in [0, 1]; copies are prepared.

    The tensor is the caller's. Raises InputError where the frame is no such picture, and where what is prepared is none
    such, or another when it is prepared again (a random crop or flip; a face box that is kept where none is found): the
    first frame is prepared TRIES times, others twice, the last time after other pictures; the first FEW frames, the
    16th, the 32nd, and so on, by a copy of the detector, too, that has prepared nothing yet. A detector that once gave
    two is refused from then on. The base's own `prepare` is asked once.
    """
    require_picture(image)
    if not prepares_itself(detector):
        return _tried(detector, image)
    if detector not in _WATCHED:
        _WATCHED[detector] = _Watched(_unused_copy(detector))
    watched = _WATCHED[detector]
    is_first = not watched.frames
    frames = watched.frames + (watched.last is None or not np.array_equal(image, watched.last))
    before = _written(detector)
    made = _tried(detector, image)
    if not is_first:
        _remark_writing(detector, watched, {name for name, _ in _written(detector) ^ before})
    others = [_tried(detector, image) for _ in range(TRIES - 2 if is_first else 0)]
    others += [_tried(_unused_copy(watched.unused), image)] if frames <= FEW or frames & (frames - 1) == 0 else []
    if is_first:
        _remark_units(detector)  # after its first frame, which what it may keep of a trial picture must not be in
    others += [_after_others(detector, watched, image, made)]
    if watched.is_unsettled or any(not torch.equal(made, other) for other in others):
        watched.is_unsettled = True
        raise InputError(
            f"detector {type(detector).__name__} prepares a frame otherwise each time, or after another: leave what "
            "draws, or keeps a state, out of prepare"
        )
    watched.frames = frames
    return made


def _after_others(detector: Detector, watched: _Watched, image: np.ndarray, made: Tensor) -> Tensor:
    """What `prepare` gives of a frame after others: the frame before it, moved by a sixth, and mirrored and darker.

    Raises InputError where the frame and the latter are prepared alike.
    """
    earlier = image if watched.last is None else watched.last
    moved = np.roll(earlier, [side // 6 for side in earlier.shape[:2]], axis=(0, 1))
    watched.last = image.copy()
    alike = False
    with contextlib.suppress(*FAILED):  # it may find no face
        alike = torch.equal(_tried(detector, (0.9 * moved[:, ::-1]).astype(np.uint8)), made)
    with contextlib.suppress(*FAILED):
        _tried(detector, moved)
    if alike and float(made.max()) > float(made.min()):
        raise InputError(
            f"detector {type(detector).__name__} prepares two different pictures alike: its prepare gives what it made "
            "of an earlier one"
        )
    return _tried(detector, image)


def _remark_writing(detector: Detector, watched: _Watched, names: set[str]) -> None:
    """Warns, once, of attributes that a detector sets anew where it prepares another frame than its first."""
    if names and not watched.is_told:
        watched.is_told = True
        warn(
            f"detector {type(detector).__name__} keeps {' and '.join(sorted(names))} whenever it prepares a frame: "
            "pictures are prepared before they are asked about, so its forward would read what is of another"
        )


def _unused_copy(detector: Detector) -> Detector:
    """A detector of the same weights, and of nothing else that is another's: what one keeps, the other does not.

    Where it cannot be copied so (it holds a lock, say), its attributes alone are its own.
    """
    weights = [*detector.parameters(), *detector.buffers()]
    try:
        return copy.deepcopy(detector, {id(weight): weight for weight in weights})
    except FAILED:
        with contextlib.suppress(*FAILED):
            return copy.copy(detector)
        return detector


def _written(detector: Detector) -> set[tuple[str, int]]:
    """The names of a detector's attributes, and which objects they are."""
    return {(name, id(value)) for name, value in vars(detector).items() if not name.startswith("_")}


def _tried(detector: Detector, image: np.ndarray) -> Tensor:
    """What `prepare` gives, copied, as it may give the same memory again. Raises InputError where it is no input."""
    who, side = f"detector {type(detector).__name__}", detector.input_size
    try:
        made = detector.prepare(image.copy())
    except InputError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise InputError(f"{who}: its prepare fails on a frame ({described(error)})") from error
    if not isinstance(made, Tensor) or made.shape != (3, side, side) or made.dtype != torch.float32:
        got = f"{tuple(made.shape)} {made.dtype}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise InputError(f"{who}: its prepare gave {got}; expected (3, {side}, {side}) float32")
    low, high = float(made.min()), float(made.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"{who}: its prepare gave values from {low:g} to {high:g}; expected images in [0, 1], normalised in forward"
        )
    return made.clone()


def prepared_mask(detector: Detector, mask: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """A frame's mask (H, W) bool as the detector moves its pixels, (S, S) bool.

    Raises InputError where it is none, and where `prepare` or `prepare_mask` is the detector's own and they move pixels
    to different places: tried once for each detector, and on the frame, `image` (H, W, 3) uint8, where that is given.
    """
    made, side = detector.prepare_mask(mask.copy()), detector.input_size
    made = made.copy() if isinstance(made, np.ndarray) else made  # it may give the same memory again
    if not isinstance(made, np.ndarray) or made.shape != (side, side) or made.dtype != np.bool_:
        got = f"{made.shape} {made.dtype}" if isinstance(made, np.ndarray) else f"a {type(made).__name__}"
        raise InputError(
            f"detector {type(detector).__name__}: its prepare_mask gave {got}; expected ({side}, {side}) bool"
        )
    _require_moved_alike(detector)
    if image is not None and _moves_itself(detector) and mask.any() and _lies_elsewhere(detector, image, mask, made):
        raise InputError(
            f"detector {type(detector).__name__}: its prepare moves the pixels of this frame's mask elsewhere than its "
            "prepare_mask, which does not know where it cut, say: prepare the faces before (`python -m data "
            "preprocess`), or take the masks out of the index"
        )
    return made


def _lies_elsewhere(detector: Detector, image: np.ndarray, mask: np.ndarray, made: np.ndarray) -> bool:
    """Whether what changes in a prepared frame, where its pixels are changed a little in its mask, lies elsewhere.

    A quarter of the mask may, and its edge. Where the frame cannot be prepared so, nothing is known.
    """
    nearer_grey = np.where(image < 128, image + CHANGE, image - CHANGE).astype(np.uint8)
    try:
        changed, before = (_tried(detector, np.where(mask[..., None], each, image)) for each in (nearer_grey, image))
    except FAILED:
        return False
    change = (changed - before).abs().amax(dim=0).numpy()
    moved = change > change.max() / 2
    return bool((moved != made).sum() > 2 * detector.input_size + made.sum() / 4)


def prepares_itself(detector: Detector) -> bool:
    """Whether a detector has a `prepare` of its own."""
    return getattr(detector.prepare, "__func__", None) is not Detector.prepare


def _moves_itself(detector: Detector) -> bool:
    """Whether a detector has a `prepare` or a `prepare_mask` of its own."""
    masks_itself = getattr(detector.prepare_mask, "__func__", None) is not Detector.prepare_mask
    return masks_itself or prepares_itself(detector)


def _require_moved_alike(detector: Detector) -> None:
    """Refuses a `prepare` and a `prepare_mask`, one of them its own, that do not crop, turn and flip alike.

    Tried on a square, a wide and a high picture: of a square one a crop of its middle and a stretch are the same.
    """
    if detector in _MOVED_ALIKE or not _moves_itself(detector):
        return
    side = 2 * detector.input_size
    if any(_moves_otherwise(detector, shape) for shape in ((side, side), (side, 2 * side), (2 * side, side))):
        raise InputError(
            f"detector {type(detector).__name__}: its prepare moves pixels elsewhere than its prepare_mask, so that "
            "masks would be of other pixels than they mark: give it a prepare_mask that crops, turns and flips alike"
        )
    _MOVED_ALIKE.add(detector)


def _remark_units(detector: Detector) -> None:
    """Warns of an own `prepare` that makes differences of brightness larger or smaller than they are in the frame."""
    dark, _, bright = _trial((2 * detector.input_size, 2 * detector.input_size))
    try:
        low, high = np.quantile(_tried(detector, bright), (0.05, 0.95))
    except FAILED:
        return
    gain = (high - low) / ((int(bright.max()) - int(dark.max())) / 255)
    if gain > NO_GAIN and abs(gain - 1) > GAIN:
        warn(
            f"detector {type(detector).__name__}: its prepare makes differences of brightness {gain:.2g} times as "
            "large as they are; budgets and changes of attacks are in what it gives, not in the picture's own values"
        )


def _trial(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dark picture (height, width, 3) uint8, the mask (height, width) of a place in it, and it with a bright one."""
    height, width = shape
    dark, place = np.full((height, width, 3), 64, np.uint8), np.zeros(shape, bool)
    place[height // 8 : height // 2, width // 16 : 3 * width // 8] = True
    return dark, place, np.where(place[..., None], np.uint8(192), dark)


def _moves_otherwise(detector: Detector, shape: tuple[int, int]) -> bool:
    """Whether the mask of a place lies elsewhere than the place, in a picture (height, width).

    A dark picture is prepared with a bright place and without; where they differ the mask must lie, but for the pixels
    on its edge. Where it cannot prepare such a picture (it looks for a face, say) nothing is known.
    """
    dark, place, bright = _trial(shape)
    try:
        change = (_tried(detector, bright) - _tried(detector, dark)).abs().amax(dim=0).numpy()
    except FAILED:
        return False
    moved, said = change > change.max() / 2, detector.prepare_mask(place)
    return bool((moved != said).sum() > 2 * detector.input_size)
