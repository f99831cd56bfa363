"""A number with its interval and what it was counted on."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; NaN where it cannot be given.

    Attributes:
        value: the estimate.
        low, high: the ends of its interval; NaN with fewer than two videos.
        frames: on how many frames it was counted.
        videos: that these are from.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    frames: int = 0
    videos: int = 0
