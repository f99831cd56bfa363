"""One comparison of two values on the same frames: the difference, its interval, and a corrected p-value.

Every comparison that is reported is one of these, whatever is compared: two methods, a method and random regions, two
runs, two detectors. The caller decides which test gives the p-value (`analysis.statistics.permutation`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from analysis.statistics.bootstrap import estimates
from analysis.statistics.estimate import Estimate
from analysis.statistics.permutation import holm

ALPHA = 0.05
"""The level of every test."""


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """One value less another, frame by frame.

    Attributes:
        difference: the mean, with its interval and what it was counted on.
        p: of a test over videos that there is none.
        p_holm: p corrected over all comparisons of the family (`with_holm`); p itself until then.
    """

    difference: Estimate = field(default_factory=Estimate)
    p: float = math.nan
    p_holm: float = math.nan

    @property
    def is_significant(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p_holm < ALPHA


Comparison = TypeVar("Comparison", bound=PairedComparison)


def paired_comparisons(
    differences: np.ndarray,
    p_values: Sequence[float],
    videos: np.ndarray,
    generator: np.random.Generator,
    bounds: tuple[float, float],
) -> list[PairedComparison]:
    """Makes the comparison of each column of differences (n, m), uncorrected.

    Args:
        differences: (n, m), a value of each frame; what is compared in one column does not depend on the others.
        p_values: m, of tests of each column.
        videos: (n,), the video of each frame.
        generator: of the resamples of videos, which all columns share.
        bounds: the least and the greatest difference possible.
    """
    means = estimates(differences, videos, generator, bounds)
    return [PairedComparison(difference=mean, p=p, p_holm=p) for mean, p in zip(means, p_values, strict=True)]


def with_holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Returns the comparisons with p_holm corrected over all of them (Holm 1979)."""
    corrected = holm(np.array([comparison.p for comparison in comparisons]))
    return [replace(comparison, p_holm=float(p)) for comparison, p in zip(comparisons, corrected, strict=True)]
