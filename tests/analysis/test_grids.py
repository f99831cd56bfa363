"""Tables of plain means held against sums done by hand."""

import pandas as pd
import pytest

from analysis.grids import circularity, controls, cost_grid, flip_threshold_grid, localisation, metric_grid
from runs.finished_run import FinishedRun
from scoring.baselines.table import BASELINES, STRONGEST_FIRST
from tests.reporting.page import plausible

METHODS = ("LIME", "LIME_adv", "RISE")


def test_localisation_takes_each_region_once_and_marks_the_best(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows
    rows = rows.assign(mask_precision=rows["mask_precision"].where(rows["key"] != rows["key"].iloc[0]))
    grid = localisation(rows)
    assert grid.columns == ("1", "2", "3", "2%", "5%", "10%", "20%")
    assert "whole" not in grid.rows
    for name, cells in grid.lines:
        if name in METHODS:
            part = rows[(rows["method"] == name) & (rows["depth"] == "2") & (rows["attack"] == "nes")]
            part = part[part["epsilon"] == 2 / 255]  # the first of the same region
            assert cells[1].value == pytest.approx(part["mask_precision"].mean())
            assert cells[1].count == part["mask_precision"].notna().sum()
    for column in range(len(grid.columns)):
        ours = {name: cells[column] for name, cells in grid.lines if name not in BASELINES}
        best = max(ours, key=lambda name: ours[name].value)
        assert [name for name, cell in ours.items() if cell.best] == [best]


def test_controls_are_means_over_the_depths_1_to_3(plausible_run: FinishedRun) -> None:
    under = plausible_run.rows[plausible_run.rows["attack"] == "nes"]
    grid = controls(under)
    assert grid.rows[:3] == METHODS
    assert grid.rows[3:] == tuple(baseline for baseline in STRONGEST_FIRST if baseline in set(under["method"]))
    chosen = under[(under["epsilon"] == 16 / 255) & under["depth"].isin(["1", "2", "3"]) & (under["method"] == "LIME")]
    counted = chosen[chosen["predicted"] != "Real"]
    area, flips, drop, accuracy = grid.cells[0]
    assert (area.value, flips.value, drop.value) == pytest.approx(
        (counted["area"].mean(), counted["flipped_to_real"].mean(), counted["drop"].mean())
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
    grid = circularity(rows, {"adversarial": "nes"})
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
    grid = metric_grid(metrics)
    assert grid.columns == ("deletion ↓", "insertion ↑", "sparseness")
    assert [[cell.best for cell in cells] for cells in grid.cells] == [[True, False, False], [False, True, False]]


def test_the_costs_of_a_stage_are_means_a_frame() -> None:
    costs = pd.DataFrame([("a", "LIME", 10, 1, 2.0), ("b", "LIME", 30, 1, 4.0), ("a", "attack nes", 5, 5, 5.0)],
                         columns=["key", "stage", "forwards", "calls", "seconds"])  # fmt: skip
    grid = cost_grid(costs)
    assert grid.rows == ("LIME", "attack nes")
    assert [cell.value for cell in grid.cells[0]] == [20.0, 1.0, 3.0]


def test_what_a_flip_takes_is_the_mean_with_the_share_that_flipped() -> None:
    flip_thresholds = pd.DataFrame({"key": ["a", "b"], "method": "LIME", "measure": "queries", "value": [50.0, 50.0],
                           "reached": [False, False]})  # fmt: skip
    grid = flip_threshold_grid(flip_thresholds, "queries")
    assert [cell.value for cell in grid.cells[0]] == [50.0, 0.0]


def test_the_cost_of_a_frame_is_of_all_its_trials_and_budgets() -> None:
    taken = [("a", "attack nes", 3), ("a", "attack nes", 5), ("b", "attack nes", 7), ("b", "attack nes", 9)]
    costs = pd.DataFrame(taken, columns=["key", "stage", "forwards"]).assign(calls=1, seconds=0.5)
    ((forwards, calls, seconds),) = cost_grid(costs).cells
    assert (forwards.value, calls.value, seconds.value, forwards.count) == (12, 2, 1.0, 2)


def test_metrics_are_of_the_runs_own_segments() -> None:
    line = {"key": "a", "video": "1", "family": "", "seed": 0, "segmentation": "slic-50", "method": "LIME", "fill": ""}
    line |= {"metric": "irof", "better": "higher", "value": 0.2}
    grid = metric_grid(pd.DataFrame([line, {**line, "segmentation": "grid-16", "value": 0.8}]))
    assert grid.cells[0][0].value == pytest.approx(0.2)
