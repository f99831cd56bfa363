"""Saliency maps in the number type that keeps the order of their values."""

import numpy as np

from common.errors import InputError

SMALLEST, LARGEST = 1e-100, 1e100
"""Between these no sum or product of a metric leaves the range of float64."""
SPREAD = 1e-12  # of the largest value: what differs by less is lost in the mean of a segment


def kept_order(saliency: np.ndarray, name: str) -> np.ndarray:
    """A map (H, W) of real numbers as float32 where that holds every value of its type, else as float64.

    So neither 1e-50 becomes 0, nor 1e8 + 1 the same as 1e8. `name` is what messages call the map. Raises InputError for
    values that are not finite, values that float64 or means in it cannot tell apart, and maps whose largest value is
    too large or too small to compute with.
    """
    with np.errstate(over="ignore"):
        kept = saliency.astype(np.float32 if np.can_cast(saliency.dtype, np.float32) else np.float64, copy=False)
    if not np.isfinite(kept).all():
        raise InputError(f"{name} holds values that are not finite")
    if (
        saliency.dtype.itemsize >= 8
        and saliency.dtype != np.float64
        and len(np.unique(kept)) < len(np.unique(saliency))
    ):
        raise InputError(f"{name} holds {saliency.dtype} values that float64 cannot tell apart; save it as float64")
    largest = float(np.abs(kept).max())
    if kept.dtype == np.float64 and largest and not SMALLEST < largest < LARGEST:
        raise InputError(
            f"{name} holds values up to {largest:.3g}; multiply the map by a number, which keeps its order"
        )
    spread = float(np.ptp(kept.astype(np.float64, copy=False)))
    if 0 < spread < SPREAD * largest:
        raise InputError(
            f"{name} holds values that differ by {spread:.3g} about {largest:.3g}; subtract what they share"
        )
    return kept
