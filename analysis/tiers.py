"""The methods sorted by what the tests allow to say: the best, those not told apart from it, behind, not shown.

One sorter serves every score: the headline's and the flip rate.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from analysis.headline import Headline
from analysis.score_subsets import Rows
from analysis.statistics import ALPHA
from analysis.summary import Summary, flip_rate_p_values
from runs.conditions import MEAN

TIERS = ("best", "level", "behind", "better", "same", "undecided", "worse", "unknown")

UNSTABLE = 0.5
"""The stability below which most re-runs of an explanation would have had other regions attacked."""


@dataclass(frozen=True)
class MethodTiers:
    """The methods under one condition, by name; each tier best first.

    Attributes:
        best: the method, or methods with equal scores, at the top of those to trust; of flip rates, of those better
            than random regions beyond chance.
        level: others of those that the best is not shown to surpass.
        behind: others of those, surpassed by the best.
        better: better than random regions, but not shown all that trust takes; empty where flip rates are sorted.
        same: not shown to differ from random regions.
        undecided: not either, but most re-runs of the explanation would have other regions: more samples are needed.
        worse: worse than random regions beyond chance.
        unknown: without a score.
    """

    best: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def tier(self, method: str) -> str:
        """The name of the tier, of TIERS, that a method is in. Raises StopIteration for a method in none."""
        return next(tier for tier in TIERS if method in getattr(self, tier))


def sort_into_tiers(
    scores: Mapping[str, float],
    against_random: Mapping[str, int],
    surpassed_by: Callable[[str, tuple[str, ...]], Collection[str]],
    stability: Mapping[str, float],
    trusted: Collection[str] | None = None,
) -> MethodTiers:
    """Sorts methods by a score and by the tests.

    Args:
        scores: by method, higher is better; NaN where a method has none. Equal scores keep their order.
        against_random: by method 1 where it is better than random regions beyond chance, -1 where it is worse, else 0.
        surpassed_by: which of some methods the best is shown to surpass; called once, and only where there is a best.
        stability: by method, the mean probability that a re-run has the same regions; NaN where it is not known.
        trusted: the methods among which the best are; None for all that are better than random regions.
    """
    ranked = sorted(scores, key=lambda method: (math.isnan(scores[method]), -scores[method]))
    scored = [method for method in ranked if not math.isnan(scores[method])]
    better = [method for method in scored if against_random[method] > 0]
    first = [method for method in better if trusted is None or method in trusted]
    best = tuple(method for method in first if scores[method] == scores[first[0]])
    others = tuple(first[len(best) :])
    surpassed = set(surpassed_by(best[0], others)) if best else set()
    even = [method for method in scored if against_random[method] == 0]
    return MethodTiers(
        best=best,
        level=tuple(method for method in others if method not in surpassed),
        behind=tuple(method for method in others if method in surpassed),
        better=tuple(method for method in better if method not in first),
        same=tuple(method for method in even if not stability[method] < UNSTABLE),
        undecided=tuple(method for method in even if stability[method] < UNSTABLE),
        worse=tuple(method for method in scored if against_random[method] < 0),
        unknown=tuple(ranked[len(scored) :]),
    )


def headline_tiers(headline: Headline, trusted: Collection[str]) -> MethodTiers:
    """Sorts the methods of a headline by their scores, those to trust apart; 0 is what random regions do."""
    lines = {line.method: line for line in headline.lines}
    signs = {method: _sign(line.is_significant, line.score.value) for method, line in lines.items()}
    scores = {method: line.score.value for method, line in lines.items()}
    stability = {method: line.stability for method, line in lines.items()}
    return sort_into_tiers(scores, signs, lambda best, others: lines[best].better_than, stability, trusted)


def flip_rate_tiers(rows: Rows, summary: Summary, attack: str, seed: int) -> MethodTiers:
    """Sorts the methods under one attack by their flip rates, the mean of the depths.

    Args:
        rows: the scores that the summary is of.
        summary: of these scores.
        attack: one of `summary.attacks`.
        seed: of the run's draws.
    """
    lines = summary.of(attack, MEAN)
    comparisons = {method: lines[method].flip_rate_vs_random for method in summary.methods(attack)}
    signs = {
        method: _sign(comparison.is_significant, comparison.difference.value)
        for method, comparison in comparisons.items()
    }

    def surpassed_by(best: str, others: tuple[str, ...]) -> list[str]:
        p_values = flip_rate_p_values(rows, attack, best, others, seed)
        return [method for method, p in p_values.items() if p < ALPHA]

    rates = {method: lines[method].flip_rate.value for method in comparisons}
    stability = {method: lines[method].stability for method in comparisons}
    return sort_into_tiers(rates, signs, surpassed_by, stability)


def _sign(is_significant: bool, difference: float) -> int:
    if not is_significant:
        return 0
    return 1 if difference > 0 else -1
