"""A mask of manipulated pixels at another size than it was stored in."""

import cv2
import numpy as np


def stretched(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask (H', W') bool at another size (H, W): where it covers at least half of a pixel."""
    height, width = shape
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5


def at_size(mask: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """A frame's mask (H', W') bool at the detector's size (H, W); None where it is unknown or marks no pixel."""
    if mask is None:
        return None
    resized = stretched(mask, shape)
    return resized if resized.any() else None
