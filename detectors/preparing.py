"""A frame and its mask as a detector's input: by its own `prepare`, looked at."""

from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from common.errors import FAILED, InputError
from detectors.base import Detector, require_picture

_MOVED_ALIKE: WeakSet[Detector] = WeakSet()
"""The detectors whose `prepare_mask` is not known to move pixels elsewhere than their `prepare`."""


def prepared(detector: Detector, image: np.ndarray) -> Tensor:
    """A frame (H, W, 3) uint8 RGB as the detector prepares it, (3, S, S) float32 in [0, 1]; copies are prepared.

    Raises InputError where the frame is no such picture, and where what is prepared is none such, or another when it is
    prepared again (a random crop or flip); the base's own `prepare` is not asked twice.
    """
    require_picture(image)
    who, side = f"detector {type(detector).__name__}", detector.input_size
    made = detector.prepare(image.copy())
    again = detector.prepare(image.copy()) if _prepares_itself(detector) else made
    if not isinstance(made, Tensor) or made.shape != (3, side, side) or made.dtype != torch.float32:
        got = f"{tuple(made.shape)} {made.dtype}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise InputError(f"{who}: its prepare gave {got}; expected (3, {side}, {side}) float32")
    low, high = float(made.min()), float(made.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"{who}: its prepare gave values from {low:g} to {high:g}; expected images in [0, 1], normalised in forward"
        )
    if not torch.equal(made, again):
        raise InputError(
            f"{who} prepares a frame otherwise each time: leave what draws, or keeps a state, out of prepare"
        )
    return made


def prepared_mask(detector: Detector, mask: np.ndarray) -> np.ndarray:
    """A frame's mask (H, W) bool as the detector moves its pixels, (S, S) bool.

    Raises InputError where it is none, and where `prepare` or `prepare_mask` is the detector's own and they move pixels
    to different places: tried once for each detector.
    """
    made, side = detector.prepare_mask(mask.copy()), detector.input_size
    if not isinstance(made, np.ndarray) or made.shape != (side, side) or made.dtype != np.bool_:
        got = f"{made.shape} {made.dtype}" if isinstance(made, np.ndarray) else f"a {type(made).__name__}"
        raise InputError(
            f"detector {type(detector).__name__}: its prepare_mask gave {got}; expected ({side}, {side}) bool"
        )
    _require_moved_alike(detector)
    return made


def _prepares_itself(detector: Detector) -> bool:
    """Whether a detector has a `prepare` of its own."""
    return getattr(detector.prepare, "__func__", None) is not Detector.prepare


def _require_moved_alike(detector: Detector) -> None:
    """Refuses a `prepare` and a `prepare_mask`, one of them its own, that do not crop, turn and flip alike.

    A dark picture is prepared with a bright corner and without; where they differ the corner's mask must lie, but for
    the pixels on its edge. Where it cannot prepare such a picture (it looks for a face, say) nothing is known.
    """
    masks_itself = getattr(detector.prepare_mask, "__func__", None) is not Detector.prepare_mask
    if detector in _MOVED_ALIKE or not (_prepares_itself(detector) or masks_itself):
        return
    side = detector.input_size
    dark, corner = np.full((2 * side, 2 * side, 3), 64, np.uint8), np.zeros((2 * side, 2 * side), bool)
    corner[side // 4 : side, side // 8 : 3 * side // 4] = True
    bright = np.where(corner[..., None], np.uint8(192), dark)
    try:
        change = (prepared(detector, bright) - prepared(detector, dark)).abs().amax(dim=0).numpy()
    except FAILED:
        _MOVED_ALIKE.add(detector)
        return
    moved, said = change > change.max() / 2, detector.prepare_mask(corner)
    if (moved != said).sum() > 2 * side:
        raise InputError(
            f"detector {type(detector).__name__}: its prepare moves pixels elsewhere than its prepare_mask, so that "
            "masks would be of other pixels than they mark: give it a prepare_mask that crops, turns and flips alike"
        )
    _MOVED_ALIKE.add(detector)
