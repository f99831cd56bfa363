"""Costs beside scores, held against means done by hand."""

import pandas as pd

from analysis.cost_points import cost_points
from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import Estimate

METHODS = ("LIME", "LIME_adv", "RISE")


def test_costs_are_means_a_frame_with_the_score() -> None:
    headline = Headline(Condition("nes"), tuple(HeadlineLine(m, Estimate(0.1 * n)) for n, m in enumerate(METHODS)))
    costs = pd.DataFrame([("a", "LIME", 10, 1, 2.0), ("b", "LIME", 30, 1, 4.0), ("a", "attack nes", 5, 5, 5.0)],
                         columns=["key", "stage", "forwards", "calls", "seconds"])  # fmt: skip
    (point,) = cost_points(costs, headline)
    assert (point.method, point.seconds, point.forwards, point.score.value) == ("LIME", 3.0, 20.0, 0.0)
