"""A frame and its mask as a detector's input: by its own `prepare`, looked at."""

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector


def prepared(detector: Detector, image: np.ndarray) -> Tensor:
    """A frame (H, W, 3) uint8 RGB as the detector prepares it, (3, S, S) float32 in [0, 1]; copies are prepared.

    Raises InputError where it is none such, or another when it is prepared again (a random crop or flip).
    """
    who, side = f"detector {type(detector).__name__}", detector.input_size
    made, again = (detector.prepare(image.copy()) for _ in range(2))
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
    """A frame's mask (H, W) bool as the detector moves its pixels, (S, S) bool. Raises InputError where it is none."""
    made, side = detector.prepare_mask(mask.copy()), detector.input_size
    if not isinstance(made, np.ndarray) or made.shape != (side, side) or made.dtype != np.bool_:
        got = f"{made.shape} {made.dtype}" if isinstance(made, np.ndarray) else f"a {type(made).__name__}"
        raise InputError(
            f"detector {type(detector).__name__}: its prepare_mask gave {got}; expected ({side}, {side}) bool"
        )
    return made
