"""The oracle: the best that any region of a frame does, and so the one ceiling of every method's score."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scoring.baselines.table import ORACLE
from scoring.region_attacker import Outcome
from xai.regions import ALL, Depth, RankedRegion, Ranking

POOL_DEPTH = 3
_DIGITS = 6  # of p(target): closer is equal, as the rounding of another batch is
Threshold = tuple[Ranking, str, str, float, bool]
"""A flip threshold: its ranking, the measure, the attack, the value and whether the verdict flipped."""


def best(seen: Sequence[RankedRegion], outcomes: Mapping[str, Outcome]) -> RankedRegion:
    """The region of all `seen` whose attack did most: a flip first, then the lowest p(target) left, then the smallest.

    `outcomes` is by region digest.
    """
    return min(seen, key=lambda r: (*_rank(outcomes[r.digest]), int(r.region.sum()), r.digest))


def at_depths(found: RankedRegion, depths: Sequence[str]) -> list[RankedRegion]:
    """The oracle's region, which is the same at every depth: the ceiling is one."""
    ranking = Ranking(found.ranking.order, ORACLE)
    return [RankedRegion(ranking, depth, found.k, found.region) for depth in depths]


def whole(segments: np.ndarray) -> RankedRegion:
    """The whole frame, as a region that the oracle tries; `segments` is (H, W) with labels 0..K-1."""
    order = np.arange(int(segments.max()) + 1)
    return RankedRegion(Ranking(order, ORACLE), ALL, len(order), np.ones(segments.shape, dtype=bool))


def candidates(segments: np.ndarray, rankings: Sequence[Ranking], pool: bool) -> list[int]:
    """The segments that are joined: any, or with `pool` those among the best three of some ranking.

    A ranking of a method's own segments says nothing of the frame's.
    """
    if not pool:
        return list(range(int(segments.max()) + 1))
    shared = [ranking for ranking in rankings if ranking.segments is None]
    return sorted({int(label) for ranking in shared for label in ranking.order[:POOL_DEPTH]})


def most_joined(depths: Sequence[str]) -> int:
    """As many segments are joined as the deepest number of segments has; three where depths are shares alone."""
    return max((Depth.parse(depth).count for depth in depths), default=0) or POOL_DEPTH


def joined(
    segments: np.ndarray, tried: Sequence[int], most: int, attacked: Callable[[list[np.ndarray]], list[Outcome]]
) -> list[RankedRegion]:
    """Regions that grow greedily: each step tries all segments together with those already joined, and keeps the best.

    Args:
        segments: (H, W) labels 0..K-1.
        tried: the labels that may be joined.
        most: how many are joined at most; the first flip ends it, as an attack can do no more.
        attacked: attacks regions (H, W) bool and says what that did to each.
    """
    chosen: list[int] = []
    grown: list[RankedRegion] = []
    while len(chosen) < min(most, len(tried)):
        unions = {label: np.isin(segments, [*chosen, label]) for label in tried if label not in chosen}
        outcomes = dict(zip(unions, attacked(list(unions.values())), strict=True))
        label = min(outcomes, key=lambda each: (*_rank(outcomes[each]), each))
        chosen.append(label)
        order = np.array(chosen, dtype=np.int64)
        grown.append(RankedRegion(Ranking(order, ORACLE), str(len(chosen)), len(chosen), unions[label]))
        if outcomes[label].flipped:
            break
    return grown


def thresholds(found: Sequence[Threshold]) -> list[Threshold]:
    """The oracle's flip thresholds: for each measure and attack the lowest that any ranking of the frame has."""
    ranking = Ranking(np.zeros(0, dtype=np.int64), ORACLE)
    lowest: dict[tuple[str, str], tuple[float, bool]] = {}
    for _, measure, attack, value, reached in found:
        known = lowest.get((measure, attack), (value, reached))
        lowest[measure, attack] = min(known, (value, reached), key=lambda each: (not each[1], each[0]))
    return [(ranking, measure, attack, value, reached) for (measure, attack), (value, reached) in lowest.items()]


def _rank(outcome: Outcome) -> tuple[bool, float]:
    """Sorts outcomes, the best for an attacker first."""
    return not outcome.flipped, round(outcome.after, _DIGITS)
