"""The parts of a run's scores."""

import pandas as pd

from analysis.score_subsets import at_main_budget, attacks, baselines, families, main_segmentation, methods, under
from runs.finished_run import FinishedRun
from scoring.baselines.table import BASELINES, STRONGEST_FIRST
from tests.reporting.page import plausible


def test_names_are_those_of_the_rows_in_their_order(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows
    named = list(dict.fromkeys(rows["method"]))
    assert methods(rows) == tuple(name for name in named if name not in BASELINES) == ("LIME", "LIME_adv", "RISE")
    assert set(baselines(rows)) == set(named) & set(BASELINES)
    assert list(baselines(rows)) == sorted(baselines(rows), key=STRONGEST_FIRST.index)
    assert attacks(rows) == ("nes", "pgd")


def test_a_subset_holds_the_rows_of_its_condition_alone(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows
    assert set(under(rows, "pgd").columns["attack"]) == {"pgd"}
    assert set(at_main_budget(rows).columns["epsilon"]) == {rows["epsilon"].iloc[0]}
    both = pd.concat([rows, rows.assign(segmentation="grid-7")])
    assert set(main_segmentation(both).columns["segmentation"]) == {rows["segmentation"].iloc[0]}
    assert len(main_segmentation(both).columns) == len(main_segmentation(rows).columns)


def test_missing_families_and_empty_tables() -> None:
    rows = plausible.rows(plausible.keys(4), ("LIME",)).assign(family=None)
    assert families(rows) == ()
    assert len(main_segmentation(rows.iloc[:0])) == 0
