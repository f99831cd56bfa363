"""What an explanation costs beside what it is worth: a point for each method."""

from dataclasses import dataclass

from analysis.headline import Headline
from analysis.score_subsets import Rows
from analysis.statistics import Estimate
from runs.score_table import COSTS, as_score_table


@dataclass(frozen=True)
class CostPoint:
    """What one explanation costs, in seconds and forwards (means over frames), and what it is worth."""

    method: str
    seconds: float
    forwards: float
    score: Estimate


def cost_points(costs: Rows, headline: Headline) -> tuple[CostPoint, ...]:
    """The costs of each explanation that has any (means over frames), with its score; the best score first."""
    by_stage = as_score_table(costs, COSTS).by("stage")
    points = []
    for line in headline.ranked:
        if line.method in by_stage:
            seconds, forwards = (by_stage[line.method].overall(name)[0] for name in ("seconds", "forwards"))
            points.append(CostPoint(line.method, seconds, forwards, line.score))
    return tuple(points)
