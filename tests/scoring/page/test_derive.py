"""What the report draws from tables, held against sums done by hand and naive twins."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scoring.page import derive
from scoring.page.content import ARMS, COUNTS, Condition, Curve, Finished, Headline, HeadlineLine
from scoring.sheet import of_table
from scoring.statistics import Estimate
from scoring.summary import main_condition
from tests.scoring.page import plausible

METHODS = ("LIME", "LIME_adv", "RISE")


@pytest.fixture(scope="module")
def run() -> Finished:
    return plausible.finished(24, METHODS)


def by_name(curves: tuple[Curve, ...]) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves}


@pytest.mark.parametrize("measure", ["drop", "flipped_to_real", "correct_after"])
def test_curves_over_area_are_plain_means(run: Finished, measure: str) -> None:
    under = run.rows[run.rows["attack"] == "nes"]
    curves = by_name(derive.over_area(under, measure))
    assert set(curves) == {*METHODS, "oracle", "random-area"}
    for name, curve in curves.items():
        points = []
        for depth in ("2%", "5%", "10%", "20%"):
            chosen = [r for r in under.itertuples() if (r.method, r.depth) == (name, depth)]
            points.append((100 * sum(r.area for r in chosen) / len(chosen),
                           sum(float(getattr(r, measure)) for r in chosen) / len(chosen)))  # fmt: skip
        assert np.allclose(np.array([curve.x, curve.y]).T, sorted(points))


def test_curves_over_area_fall_back_on_counts(run: Finished) -> None:
    counted = run.rows[run.rows["depth"].isin(["1", "2", "3"]) & (run.rows["attack"] == "nes")]
    curve = by_name(derive.over_area(counted, "drop"))["LIME"]
    assert len(curve.x) == 3
    main = counted[(counted["method"] == "LIME") & (counted["epsilon"] == 16 / 255)]
    assert curve.y[0] == pytest.approx(main[main["depth"] == "1"]["drop"].mean())


def test_curves_over_budget_are_means_of_the_three_depths(run: Finished) -> None:
    under = run.rows[run.rows["attack"] == "pgd"]
    curve = by_name(derive.over_budget(under, "drop"))["RISE"]
    assert curve.x == pytest.approx((2, 4, 8, 16))
    for x, y in zip(curve.x, curve.y, strict=True):
        chosen = under[(under["method"] == "RISE") & under["depth"].isin(["1", "2", "3"])]
        assert y == pytest.approx(chosen[np.isclose(chosen["epsilon"] * 255, x)]["drop"].mean())


def test_intervals_are_given_one_value_and_the_video_of_each_frame(run: Finished) -> None:
    under = run.rows[run.rows["attack"] == "nes"]
    again = pd.concat([under, under.assign(draw=1, drop=under["drop"] + 0.2)])  # a second draw of everything
    seen: list[tuple[int, int]] = []

    def interval(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
        seen.append((len(values), len(set(videos))))
        return float(values.min()), float(values.max())

    curve = by_name(derive.over_area(again, "drop", interval))["LIME"]
    assert set(seen) == {(24, under["video"].nunique())}
    for depth, low, high in zip(("2%", "5%", "10%", "20%"), curve.low, curve.high, strict=True):
        drops = under[(under["method"] == "LIME") & (under["depth"] == depth)]["drop"] + 0.1
        assert (low, high) == pytest.approx((drops.min(), drops.max()))
    assert by_name(derive.over_area(under, "drop"))["LIME"].low == ()


def test_a_sheet_says_the_same_as_its_table(run: Finished) -> None:
    sheet = of_table(run.rows)
    assert derive.over_area(sheet, "drop") == derive.over_area(run.rows, "drop")
    assert derive.unattackable(sheet) == derive.unattackable(run.rows)
    assert derive.first_flip(sheet, "nes") == derive.first_flip(run.rows, "nes")


def test_the_main_budget_is_the_first_as_in_tables_and_scores(run: Finished) -> None:
    first, *others = dict.fromkeys(run.rows["epsilon"])
    budgets = [*others, first]
    order = run.rows["epsilon"].map({each: place for place, each in enumerate(budgets)})
    turned = run.rows.iloc[order.argsort(kind="stable")]
    for rows, main in ((run.rows, first), (turned, others[0])):
        (curve, *_) = derive.over_area(rows[rows["depth"].isin(COUNTS)], "drop")
        expected = rows[(rows["epsilon"] == main) & (rows["depth"] == "1") & (rows["method"] == curve.name)]
        assert curve.y[0] == pytest.approx(expected["drop"].mean())
        assert set(main_condition(rows)["epsilon"]) == set(derive.at_main_budget(rows).columns["epsilon"]) == {main}


def test_unattackable_is_where_nothing_flips_not_even_the_whole_frame(run: Finished) -> None:
    rows = run.rows.copy()
    real = rows[rows["predicted"] == "Real"]["key"].unique()
    keys = [key for key in rows["key"].unique() if key not in real]
    whole = (rows["method"] == "whole") & (rows["epsilon"] == 16 / 255)
    rows.loc[whole, "flipped_to_real"] = True
    stubborn = (rows["attack"] == "nes") & (rows["epsilon"] == 16 / 255) & rows["key"].isin(keys[:3])
    rows.loc[stubborn, "flipped_to_real"] = False
    rows.loc[stubborn & (rows["key"] == keys[2]) & (rows["method"] == "LIME"), "flipped_to_real"] = True  # somewhere
    rows.loc[whole & rows["key"].isin(real), "flipped_to_real"] = False  # no fake verdict: not unattackable
    assert derive.unattackable(rows) == {"nes": tuple(keys[:2]), "pgd": ()}
    assert derive.attackable(derive.under(rows, "nes")).frames["key"].tolist() == keys[2:]
    assert derive.attackable(derive.under(rows, "pgd")).frames["key"].tolist() == keys
    with pytest.raises(ValueError, match="one attack"):
        derive.attackable(rows)
    assert derive.unattackable(rows[rows["method"] != "whole"]) == {}


def test_survival_is_the_estimate_of_kaplan_and_meier() -> None:
    """Against statsmodels, with ties and with frames censored in between and at the end."""
    survfunc = pytest.importorskip("statsmodels.duration.survfunc")
    rng = np.random.default_rng(3)
    value = rng.integers(1, 12, size=60) / 4
    reached = rng.random(60) < 0.7
    graded = pd.DataFrame({"key": [f"{n}" for n in range(60)], "method": "LIME", "measure": "budget",
                           "value": value, "reached": reached})  # fmt: skip
    curve = by_name(derive.survival(graded, "budget", scale=2.0))["LIME"]
    reference = survfunc.SurvfuncRight(value * 2.0, reached.astype(int))
    events = reference.n_events > 0
    assert curve.x[0] == 0.0
    assert curve.y[0] == 1.0
    assert curve.x[1:-1] == pytest.approx(reference.surv_times[events].tolist())
    assert curve.y[1:-1] == pytest.approx(reference.surv_prob[events].tolist())
    assert curve.x[-1] == 2 * value.max()


def test_nothing_that_flips_stands_to_the_end() -> None:
    graded = pd.DataFrame({"key": ["a", "b"], "method": "LIME", "measure": "queries", "value": [50.0, 50.0],
                           "reached": [False, False]})  # fmt: skip
    assert by_name(derive.survival(graded, "queries"))["LIME"].y == (1.0, 1.0)
    grid = derive.graded_grid(graded, "queries")
    assert [cell.value for cell in grid.cells[0]] == [50.0, 0.0]


def test_costs_are_means_a_frame_with_the_score(run: Finished) -> None:
    headline = Headline(Condition("nes"), tuple(HeadlineLine(m, Estimate(0.1 * n)) for n, m in enumerate(METHODS)))
    costs = pd.DataFrame([("a", "LIME", 10, 1, 2.0), ("b", "LIME", 30, 1, 4.0), ("a", "attack nes", 5, 5, 5.0)],
                         columns=["key", "stage", "forwards", "calls", "seconds"])  # fmt: skip
    (point,) = derive.cost_points(costs, headline)
    assert (point.method, point.seconds, point.forwards, point.score.value) == ("LIME", 3.0, 20.0, 0.0)
    grid = derive.cost_grid(costs)
    assert grid.rows == ("LIME", "attack nes")
    assert [cell.value for cell in grid.cells[0]] == [20.0, 1.0, 3.0]


def test_localisation_takes_each_region_once_and_marks_the_best(run: Finished) -> None:
    rows = run.rows.assign(inside=run.rows["inside"].where(run.rows["key"] != run.rows["key"].iloc[0]))
    grid = derive.localisation(rows)
    assert grid.columns == ("1", "2", "3", "2%", "5%", "10%", "20%")
    assert "whole" not in grid.rows
    for name, cells in grid.lines:
        if name in METHODS:
            part = rows[(rows["method"] == name) & (rows["depth"] == "2") & (rows["attack"] == "nes")]
            part = part[part["epsilon"] == 2 / 255]  # the first of the same region
            assert cells[1].value == pytest.approx(part["inside"].mean())
            assert cells[1].count == part["inside"].notna().sum()
    for column in range(len(grid.columns)):
        ours = {name: cells[column] for name, cells in grid.lines if name not in ARMS}
        best = max(ours, key=lambda name: ours[name].value)
        assert [name for name, cell in ours.items() if cell.best] == [best]


def test_controls_are_means_over_the_depths_1_to_3(run: Finished) -> None:
    under = run.rows[run.rows["attack"] == "nes"]
    grid = derive.controls(under)
    assert grid.rows[:3] == METHODS
    assert grid.rows[3:] == tuple(arm for arm in ARMS if arm in set(under["method"]))
    chosen = under[(under["epsilon"] == 16 / 255) & under["depth"].isin(["1", "2", "3"]) & (under["method"] == "LIME")]
    stubborn = derive.unattackable(under)["nes"]
    found = chosen[(chosen["predicted"] != "Real") & ~chosen["key"].isin(stubborn)]
    area, flips, drop, accuracy = grid.cells[0]
    assert (area.value, flips.value, drop.value) == pytest.approx(
        (found["area"].mean(), found["flipped_to_real"].mean(), found["drop"].mean())
    )
    assert accuracy.value == pytest.approx(chosen["correct_after"].astype(float).mean())
    assert accuracy.count == 24


def test_circularity_is_the_gain_over_the_methods_own_random_regions() -> None:
    base = plausible.rows(plausible.keys(8), ("LIME", "LIME_adv"))
    rows = base[base["epsilon"] == 16 / 255].copy()
    drops = {("LIME", "nes"): 0.5, ("LIME", "pgd"): 0.6, ("LIME_adv", "nes"): 0.9, ("LIME_adv", "pgd"): 0.7}
    for (method, attack), drop in drops.items():
        rows.loc[(rows["method"] == method) & (rows["attack"] == attack), "drop"] = drop
        of = (rows["method"] == "random-area") & (rows["of"] == method) & (rows["attack"] == attack)
        rows.loc[of, "drop"] = 0.1 if method == "LIME" else 0.3
    grid = derive.circularity(rows, {"adversarial": "nes"})
    assert (grid.rows, grid.columns) == (("blur", "adversarial"), ("nes", "pgd"))
    values = [[round(cell.value, 6) for cell in cells] for cells in grid.cells]
    assert values == [[0.4, 0.5], [0.6, 0.4]]
    assert [[cell.same for cell in cells] for cells in grid.cells] == [[False, False], [True, False]]


def test_metrics_know_which_direction_is_better() -> None:
    metrics = pd.DataFrame(
        [("a", "LIME", "deletion", 0.2, "lower"), ("a", "RISE", "deletion", 0.4, "lower"),
         ("a", "LIME", "insertion", 0.7, "higher"), ("a", "RISE", "insertion", 0.9, "higher"),
         ("a", "LIME", "sparseness", 0.7, ""), ("a", "RISE", "sparseness", 0.9, "")],
        columns=["key", "method", "metric", "value", "better"],
    )  # fmt: skip
    grid = derive.metric_grid(metrics)
    assert grid.columns == ("deletion ↓", "insertion ↑", "sparseness")
    assert [[cell.best for cell in cells] for cells in grid.cells] == [[True, False, False], [False, True, False]]


def test_the_first_flip_is_the_smallest_depth(run: Finished) -> None:
    rows = run.rows[run.rows["attack"] == "nes"].copy()
    key = derive.attackable(rows).frames["key"].iloc[0]
    main = (rows["key"] == key) & (rows["epsilon"] == 16 / 255)
    for method, depths in (("LIME", {"2", "3"}), ("RISE", set())):
        ours = main & (rows["method"] == method)
        rows.loc[ours, "flipped_to_real"] = rows.loc[ours, "depth"].isin(depths)
    found = derive.first_flip(rows, "nes")
    assert (found[(key, "LIME")], found[(key, "RISE")]) == ("2", "")


def test_other_segmentations_do_not_mix_in(run: Finished) -> None:
    other = run.rows.assign(segmentation="grid-7", drop=1.0)
    both = pd.concat([run.rows, other])
    assert derive.over_area(derive.main_segmentation(both), "drop") == derive.over_area(run.rows, "drop")


def test_missing_families_and_empty_tables() -> None:
    rows = plausible.rows(plausible.keys(4), ("LIME",)).assign(family=None)
    assert derive.families(rows) == ()
    assert derive.unattackable(rows.iloc[:0]) == {}
    assert len(derive.main_segmentation(rows.iloc[:0])) == 0


def test_a_headline_without_a_score_comes_last() -> None:
    lines = (HeadlineLine("a", Estimate()), HeadlineLine("b", Estimate(0.1)), HeadlineLine("c", Estimate(0.5)))
    ranked = Headline(Condition("nes"), lines).ranked
    assert [line.method for line in ranked] == ["c", "b", "a"]
    assert math.isnan(replace(ranked[-1]).score.value)
