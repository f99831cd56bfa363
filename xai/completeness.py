"""Completeness: what a map adds up to, beside the change of the score that its method promises to share out."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from xai.base import Fill, Score

TOLERATED = 0.05
"""The largest error of a map that is what its method promises."""

FLOOR = 1e-3
"""The smallest change of a score, in its own units, that an error is taken relative to: below it scores only round."""


@dataclass(frozen=True)
class Completeness:
    """What one map adds up to, and what it promises to.

    Attributes:
        total: the sum of the values that the map shares out.
        promised: the score of the frame less that of the frame with everything hidden.
        remedy: what brings them nearer; "" where nothing is known to.
    """

    total: float
    promised: float
    remedy: str = ""

    @property
    def error(self) -> float:
        """How far the sum is from the promise, as a share of the promise, at least 0."""
        return abs(self.total - self.promised) / max(abs(self.promised), FLOOR)

    @property
    def broken(self) -> bool:
        """Whether the error is beyond what is tolerated, so that the map is not what its method promises."""
        return self.error > TOLERATED

    def __str__(self) -> str:
        state = "; its map is not what it promises" if self.broken else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"sums to {self.total:.4g} where {self.promised:.4g} is due, {percent(self.error)} off{state}{remedy}"


@runtime_checkable
class CompleteExplainer(Protocol):
    """An explainer that promises that its maps add up to the change of a score (Sundararajan et al. 2017)."""

    def completeness(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, saliency: np.ndarray
    ) -> Completeness | None:
        """What a map adds up to, and what it should; None where these settings promise nothing.

        Args:
            score: as it was explained.
            image: likewise.
            segments: likewise.
            fill: likewise.
            saliency: (H, W), the map that the explainer made of them.
        """
        ...


def percent(error: float) -> str:
    """An error in words: "0.3 %", "128 %"."""
    return f"{100 * error:.1f} %" if error < TOLERATED else f"{100 * error:.0f} %"


def sum_over_segments(saliency: np.ndarray, segments: np.ndarray) -> float:
    """The sum of the segments' values, of a map (H, W) in which every pixel has that of its segment (H, W)."""
    _, first = np.unique(segments, return_index=True)
    return float(saliency.ravel()[first].astype(np.float64).sum())
