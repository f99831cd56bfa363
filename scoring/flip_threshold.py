"""How much it takes to flip a verdict: the smallest budget and the fewest segments, by bisection with PGD.

With a strong attack nearly every region flips, so that "flipped or not" no longer distinguishes methods; how small a
budget, or how few segments, would have done still does.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from attacks.budgets import fraction, pgd_at
from scoring.protocol import BUDGET, FRACTION, Protocol
from scoring.region_attacker import RegionAttacker
from xai.ranking import top_region
from xai.regions import ALL, RankedRegion, Ranking, digest_of

T = TypeVar("T", bound=Hashable)
THRESHOLD_DEPTH = "3"

RANGE = 64  # the largest budget over the smallest


def budgets(rounds: int, most: float) -> list[float]:
    """The 2^rounds - 1 budgets that `rounds` of bisection distinguish, evenly spaced in their logarithm, ascending."""
    count = 2**rounds - 1
    return [most * float(RANGE) ** (-(count - 1 - i) / max(1, count - 1)) for i in range(count)]


@dataclass(frozen=True, eq=False)
class FlipThresholdSearch:
    """Finds the flip thresholds of a frame's rankings.

    Attributes:
        attacker: attacks the frame.
        segments: (H, W) labels 0..K-1.
        protocol: which flip thresholds, and how finely.
        most: the largest budget that is tried, in (0, 1].
    """

    attacker: RegionAttacker
    segments: np.ndarray
    protocol: Protocol
    most: float

    def __call__(self, ranked_regions: Sequence[RankedRegion]) -> list[tuple[Ranking, str, str, float, bool]]:
        """By threshold and ranking: the ranking, the measure, the attack, the value and whether the verdict flipped."""
        chosen = [region for region in ranked_regions if region.ranking.draw < self.protocol.threshold_draws]
        return [
            *(self._budgets(chosen) if BUDGET in self.protocol.flip_thresholds else []),
            *(self._fractions(chosen) if FRACTION in self.protocol.flip_thresholds else []),
        ]

    def _budgets(self, ranked_regions: Sequence[RankedRegion]) -> list[tuple[Ranking, str, str, float, bool]]:
        """The smallest budget that flips the verdict by attacking the three best segments, or the whole frame."""
        chosen = [ranked_region for ranked_region in ranked_regions if ranked_region.depth in (THRESHOLD_DEPTH, ALL)]
        levels = budgets(self.protocol.budget_rounds, self.most)
        regions = {ranked_region.digest: ranked_region.region for ranked_region in chosen}

        def flips(tried: Sequence[tuple[str, int]]) -> list[bool]:
            flipped: dict[str, bool] = {}
            for level in sorted({level for _, level in tried}):
                attack = pgd_at(levels[level], self.protocol.threshold_steps)
                together = {digest: regions[digest] for digest, at in tried if at == level}
                flipped |= self.attacker.flips(f"{BUDGET} {level} of {len(levels)}", attack, together)
            return [flipped[digest] for digest, _ in tried]

        lowest = bisect(list(regions), len(levels), flips)
        return [
            (ranked_region.ranking, BUDGET, "pgd", levels[min(at, len(levels) - 1)], at < len(levels))
            for ranked_region in chosen
            for at in [lowest[ranked_region.digest]]
        ]

    def _fractions(self, ranked_regions: Sequence[RankedRegion]) -> list[tuple[Ranking, str, str, float, bool]]:
        """The share of the segments that flips the verdict when they are added best first, at a fixed budget."""
        ranked = list(
            dict.fromkeys(ranked_region.ranking for ranked_region in ranked_regions if ranked_region.depth != ALL)
        )
        ranked = [ranking for ranking in ranked if len(ranking.order)]
        count = int(self.segments.max()) + 1
        attack = pgd_at(self.protocol.fraction_budget, self.protocol.threshold_steps)
        known: dict[str, bool] = {}

        def flips(tried: Sequence[tuple[Ranking, int]]) -> list[bool]:
            regions = [top_region(self.segments, ranking.order, level + 1) for ranking, level in tried]
            digests = [digest_of(region) for region in regions]
            new = {digest: region for digest, region in zip(digests, regions, strict=True) if digest not in known}
            known.update(self.attacker.flips(FRACTION, attack, new))
            return [known[digest] for digest in digests]

        name = f"pgd {fraction(self.protocol.fraction_budget)}"
        return [
            (ranking, FRACTION, name, min(level + 1, count) / count, level < count)
            for ranking, level in bisect(ranked, count, flips).items()
        ]


def bisect(items: Sequence[T], levels: int, flips: Callable[[Sequence[tuple[T, int]]], list[bool]]) -> dict[T, int]:
    """The lowest of the levels 0..levels-1 that flips, for each item; `levels` where none does.

    All items are asked together, one level each, in ceil(log2(levels + 1)) rounds. What flips at a level flips at every
    higher one: the smaller ball lies in the larger, and the fewer segments in the more. So the level found is one at
    which the attack's own image flips, if not always the lowest that there is: a search that gave up too soon at a
    lower level is not repeated.
    """
    low, high = dict.fromkeys(items, 0), dict.fromkeys(items, levels)
    while open_items := [item for item in items if low[item] < high[item]]:
        tried = [(item, (low[item] + high[item]) // 2) for item in open_items]
        for (item, level), flipped in zip(tried, flips(tried), strict=True):
            if flipped:
                high[item] = level
            else:
                low[item] = level + 1
    return low
