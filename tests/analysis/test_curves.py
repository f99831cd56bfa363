"""Curves of a run held against sums done by hand, naive twins and statsmodels."""

import numpy as np
import pandas as pd
import pytest

from analysis.curves import Curve, over_area, over_budget, survival_curves
from analysis.score_subsets import at_main_budget, main_segmentation
from runs.conditions import main_condition
from runs.finished_run import FinishedRun
from runs.score_table import as_score_table
from tests.reporting.page.plausible import COUNTS

METHODS = ("LIME", "LIME_adv", "RISE")


def by_name(curves: tuple[Curve, ...]) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves}


@pytest.mark.parametrize("measure", ["drop", "flipped_to_real", "correct_after"])
def test_curves_over_area_are_plain_means(plausible_run: FinishedRun, measure: str) -> None:
    under = plausible_run.rows[plausible_run.rows["attack"] == "nes"]
    curves = by_name(over_area(under, measure))
    assert set(curves) == {*METHODS, "oracle", "random-area"}
    for name, curve in curves.items():
        points = []
        for depth in ("2%", "5%", "10%", "20%"):
            chosen = [r for r in under.itertuples() if (r.method, r.depth) == (name, depth)]
            points.append((100 * sum(r.area for r in chosen) / len(chosen),
                           sum(float(getattr(r, measure)) for r in chosen) / len(chosen)))  # fmt: skip
        assert np.allclose(np.array([curve.x, curve.y]).T, sorted(points))


def test_curves_over_area_fall_back_on_counts(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows
    counted = rows[rows["depth"].isin(["1", "2", "3"]) & (rows["attack"] == "nes")]
    curve = by_name(over_area(counted, "drop"))["LIME"]
    assert len(curve.x) == 3
    main = counted[(counted["method"] == "LIME") & (counted["epsilon"] == 16 / 255)]
    assert curve.y[0] == pytest.approx(main[main["depth"] == "1"]["drop"].mean())


def test_curves_over_budget_are_means_of_the_three_depths(plausible_run: FinishedRun) -> None:
    under = plausible_run.rows[plausible_run.rows["attack"] == "pgd"]
    curve = by_name(over_budget(under, "drop"))["RISE"]
    assert curve.x == pytest.approx((2, 4, 8, 16))
    for x, y in zip(curve.x, curve.y, strict=True):
        chosen = under[(under["method"] == "RISE") & under["depth"].isin(["1", "2", "3"])]
        assert y == pytest.approx(chosen[np.isclose(chosen["epsilon"] * 255, x)]["drop"].mean())


def test_intervals_are_given_one_value_and_the_video_of_each_frame(plausible_run: FinishedRun) -> None:
    under = plausible_run.rows[plausible_run.rows["attack"] == "nes"]
    again = pd.concat([under, under.assign(draw=1, drop=under["drop"] + 0.2)])  # a second draw of everything
    seen: list[tuple[int, int]] = []

    def interval(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
        seen.append((len(values), len(set(videos))))
        return float(values.min()), float(values.max())

    curve = by_name(over_area(again, "drop", interval))["LIME"]
    assert set(seen) == {(24, under["video"].nunique())}
    for depth, low, high in zip(("2%", "5%", "10%", "20%"), curve.low, curve.high, strict=True):
        drops = under[(under["method"] == "LIME") & (under["depth"] == depth)]["drop"] + 0.1
        assert (low, high) == pytest.approx((drops.min(), drops.max()))
    assert by_name(over_area(under, "drop"))["LIME"].low == ()


def test_a_score_table_gives_the_curves_of_its_tidy_table(plausible_run: FinishedRun) -> None:
    scores = as_score_table(plausible_run.rows)
    assert over_area(scores, "drop") == over_area(plausible_run.rows, "drop")


def test_the_main_budget_is_the_first_as_in_tables_and_scores(plausible_run: FinishedRun) -> None:
    first, *others = dict.fromkeys(plausible_run.rows["epsilon"])
    budgets = [*others, first]
    order = plausible_run.rows["epsilon"].map({budget: index for index, budget in enumerate(budgets)})
    turned = plausible_run.rows.iloc[order.argsort(kind="stable")]
    for rows, main in ((plausible_run.rows, first), (turned, others[0])):
        (curve, *_) = over_area(rows[rows["depth"].isin(COUNTS)], "drop")
        expected = rows[(rows["epsilon"] == main) & (rows["depth"] == "1") & (rows["method"] == curve.name)]
        assert curve.y[0] == pytest.approx(expected["drop"].mean())
        assert set(main_condition(rows)["epsilon"]) == set(at_main_budget(rows).columns["epsilon"]) == {main}


def test_other_segmentations_do_not_mix_in(plausible_run: FinishedRun) -> None:
    other = plausible_run.rows.assign(segmentation="grid-7", drop=1.0)
    both = pd.concat([plausible_run.rows, other])
    assert over_area(main_segmentation(both), "drop") == over_area(plausible_run.rows, "drop")


def test_survival_is_the_estimate_of_kaplan_and_meier() -> None:
    """Against statsmodels, with ties and with frames censored in between and at the end."""
    survfunc = pytest.importorskip("statsmodels.duration.survfunc")
    rng = np.random.default_rng(3)
    value = rng.integers(1, 12, size=60) / 4
    reached = rng.random(60) < 0.7
    flip_thresholds = pd.DataFrame({"key": [f"{n}" for n in range(60)], "method": "LIME", "measure": "budget",
                           "value": value, "reached": reached})  # fmt: skip
    curve = by_name(survival_curves(flip_thresholds, "budget", scale=2.0))["LIME"]
    reference = survfunc.SurvfuncRight(value * 2.0, reached.astype(int))
    events = reference.n_events > 0
    assert curve.x[0] == 0.0
    assert curve.y[0] == 1.0
    assert curve.x[1:-1] == pytest.approx(reference.surv_times[events].tolist())
    assert curve.y[1:-1] == pytest.approx(reference.surv_prob[events].tolist())
    assert curve.x[-1] == 2 * value.max()


def test_nothing_that_flips_stands_to_the_end() -> None:
    flip_thresholds = pd.DataFrame({"key": ["a", "b"], "method": "LIME", "measure": "queries", "value": [50.0, 50.0],
                           "reached": [False, False]})  # fmt: skip
    assert by_name(survival_curves(flip_thresholds, "queries"))["LIME"].y == (1.0, 1.0)
