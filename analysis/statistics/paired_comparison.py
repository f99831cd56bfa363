"""One comparison of two values on the same frames: the difference, its interval, and a corrected p-value.

Every comparison that is reported is one of these, whatever is compared: two methods, a method and random regions, two
runs, two detectors. The caller decides which test gives the p-value (`analysis.statistics.permutation`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from scipy.stats import t

from analysis.statistics.bootstrap import estimates
from analysis.statistics.estimate import Estimate
from analysis.statistics.permutation import holm

ALPHA = 0.05
"""The level of every test."""
OF_DROPS, OF_SHARES = (-2.0, 2.0), (-1.0, 1.0)
"""The least and the greatest difference of two drops, which lie in [-1, 1], and of two shares."""
_BESIDE_ZERO = math.nextafter(0.0, 1.0)  # the end of an interval that is open at 0


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """One value less another, frame by frame.

    Attributes:
        difference: the mean, with its interval and what it was counted on; simultaneous with those of the other
            comparisons of the family once p is corrected.
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


def with_holm(comparisons: Sequence[Comparison], bounds: Iterable[tuple[float, float]]) -> list[Comparison]:
    """Returns the comparisons with p_holm corrected over all of them (Holm 1979), and with simultaneous intervals.

    `bounds` are the least and the greatest difference possible, of each: no interval goes beyond.
    """
    corrected = holm(np.array([comparison.p for comparison in comparisons]))
    tests = int(np.sum(~np.isnan(corrected)))
    return [
        replace(
            comparison, p_holm=float(p), difference=corrected_interval(comparison.difference, tests, p < ALPHA, ends)
        )
        for comparison, p, ends in zip(comparisons, corrected, bounds, strict=False)
    ]


def corrected_interval(
    estimate: Estimate,
    tests: int,
    is_significant: bool | np.bool_,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """An estimate with the interval that belongs to a corrected test of it against 0.

    The 95 % interval is stretched from the value outward by the ratio of Student's quantiles at 1 - 0.05 / tests and at
    0.95 (Bonferroni), so that all intervals of the family hold at once in 95 % of the runs. Where it and the test
    disagree about 0, the test decides: the interval then ends at 0, which is inside where the test does not reject, and
    just outside where it does (as intervals that go with Holm's test do: Strassburger and Bretz, Statistics in Medicine
    27, 2008). So 0 lies in the interval exactly where there is no star.

    Args:
        estimate: with its interval at 95 %; without one it stays as it is.
        tests: how many are corrected for; nothing is stretched for fewer than two.
        is_significant: whether the corrected test tells the value from 0.
        bounds: the least and the greatest value possible.
    """
    if math.isnan(estimate.low) or estimate.videos < 2:
        return estimate
    degrees = estimate.videos - 1
    stretch = float(t.ppf(1 - ALPHA / (2 * max(tests, 1)), degrees) / t.ppf(1 - ALPHA / 2, degrees))
    low = max(bounds[0], estimate.value - stretch * (estimate.value - estimate.low))
    high = min(bounds[1], estimate.value + stretch * (estimate.high - estimate.value))
    if not is_significant:
        return replace(estimate, low=min(low, 0.0), high=max(high, 0.0))
    beside = _BESIDE_ZERO if estimate.value > 0 else -_BESIDE_ZERO
    return replace(
        estimate, low=max(low, beside) if beside > 0 else low, high=min(high, beside) if beside < 0 else high
    )
