"""Methods in order: do they differ at all, which cannot be told apart, and do two settings order them alike?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import friedmanchisquare, kendalltau, rankdata, studentized_range

from analysis.statistics.bootstrap import LEVEL
from analysis.statistics.videos import how_many, known, per_video

MANY = 1e5  # degrees of freedom of Nemenyi's studentised range, instead of infinitely many


@dataclass(frozen=True)
class Ranks:
    """Friedman's test over methods, with videos as blocks, and Nemenyi's critical difference.

    Attributes:
        methods: best (lowest) mean rank first.
        ranks: their mean ranks over videos; 1 is the best of all on every video.
        frames, videos: on which all methods were scored.
        statistic: Friedman's chi-squared, corrected for ties.
        p: that no method differs from another; NaN with fewer than three methods or two videos.
        critical: by how much two mean ranks must differ to be told apart at 5 %, all pairs at once.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    frames: int
    videos: int
    statistic: float
    p: float
    critical: float

    def alike(self) -> list[tuple[str, ...]]:
        """The largest groups, of two methods or more, within which no two can be told apart; best first."""
        reach = [max(j for j, rank in enumerate(self.ranks) if rank - first <= self.critical) for first in self.ranks]
        return [
            self.methods[i : last + 1] for i, last in enumerate(reach) if last > i and (i == 0 or reach[i - 1] < last)
        ]


def friedman(values: np.ndarray, methods: Sequence[str], videos: np.ndarray, level: float = LEVEL) -> Ranks:
    """Ranks methods by their means in each video and tests whether they differ (Friedman 1937; Demsar 2006).

    Frames of a video are not independent, so a video is one block: its methods are ranked by their means over its
    frames, ties share their mean rank. Without a frame or with one method every number is NaN.

    Args:
        values: (n, m), a column for each method, higher is better; frames where one is NaN do not count.
        methods: the m methods' names.
        videos: (n,) the name or number of each frame's video.
        level: of the critical difference, in (0, 1): 1 less the chance of an error over all pairs.
    """
    videos, (values,) = known(videos, values)
    frames, count = len(values), len(methods)
    if not frames or count < 2:
        return Ranks(tuple(methods), (math.nan,) * count, frames, how_many(videos), math.nan, math.nan, math.nan)
    sums, sizes = per_video(values, videos)
    means = np.round(sums / sizes[:, None], 12)  # equal up to rounding is equal
    ranks = rankdata(-means, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    testable = count > 2 and len(means) > 1 and np.ptp(means, axis=1).any()
    statistic, p = friedmanchisquare(*means.T) if testable else (math.nan, math.nan)
    if count > 2 and len(means) > 1 and not testable:
        statistic, p = 0.0, 1.0  # every method has the same mean in every video
    return Ranks(
        methods=tuple(methods[i] for i in order),
        ranks=tuple(float(ranks[i]) for i in order),
        frames=frames,
        videos=len(means),
        statistic=float(statistic),
        p=float(p),
        critical=critical_difference(count, len(means), level),
    )


def critical_difference(methods: int, videos: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks over so many videos (Demsar, JMLR 7, 2006, sec. 3.2.2)."""
    quantile = studentized_range.ppf(level, methods, MANY) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * videos)))


@dataclass(frozen=True)
class RankAgreement:
    """How alike two settings order the methods.

    Attributes:
        first, second: the settings: attacks, segmenters, detectors or seeds.
        methods: how many were ranked by both.
        tau: Kendall's tau-b: 1 for the same order, -1 for the reverse; NaN where one setting ranks all alike.
        p: that the orders are unrelated (exact without ties); NaN with tau.
    """

    first: str
    second: str
    methods: int
    tau: float
    p: float


def rank_agreements(scores: Mapping[str, Mapping[str, float]]) -> list[RankAgreement]:
    """Computes Kendall's tau (Kendall 1945) between every two settings: `scores` by setting and method.

    Methods that a setting does not have, or has NaN for, do not count for its pairs.
    """
    agreements = []
    for (first, one), (second, other) in combinations(scores.items(), 2):
        shared = [method for method in one if method in other and not math.isnan(one[method] + other[method])]
        tau, p = math.nan, math.nan
        if len(shared) > 1:
            result = kendalltau([one[method] for method in shared], [other[method] for method in shared])
            tau, p = float(result.statistic), float(result.pvalue)
        agreements.append(RankAgreement(first, second, len(shared), tau, p))
    return agreements
