"""Parts of a run's scores: the names of what was scored, and the scores of one attack, segmentation or budget."""

import pandas as pd

from runs.conditions import MEAN, depth_groups, main_budget
from runs.score_table import ScoreTable, as_score_table
from scoring.baselines.table import BASELINES, STRONGEST_FIRST
from xai.regions import ALL, Depth

Rows = pd.DataFrame | ScoreTable
"""Rows of a run, as a tidy table in memory or as a score table. What is made of them here is a score table."""


def methods(rows: Rows) -> tuple[str, ...]:
    """The explanation methods in scores, in their order, without the baselines."""
    return tuple(name for name in _names(rows, "method") if name not in BASELINES)


def baselines(rows: Rows) -> tuple[str, ...]:
    """The baselines in scores, the strongest first."""
    present = set(_names(rows, "method"))
    return tuple(name for name in STRONGEST_FIRST if name in present)


def attacks(rows: Rows) -> tuple[str, ...]:
    """The attacks in scores, in their order."""
    return _names(rows, "attack")


def families(rows: Rows) -> tuple[str, ...]:
    """The manipulations in scores, in their order, without those that are missing."""
    return as_score_table(rows).families


def under(rows: Rows, attack: str) -> ScoreTable:
    """The scores under one attack."""
    scores = as_score_table(rows)
    return scores.with_columns(scores.columns["attack"] == attack)


def averaged(rows: Rows) -> tuple[str, ...]:
    """The depths that headline numbers average, in order: numbers of segments, or where there are none, all shares."""
    return depth_groups(as_score_table(rows).columns)[MEAN]


def shares(rows: Rows) -> tuple[str, ...]:
    """The depths that are shares of the frame's pixels, in order."""
    depths = dict.fromkeys(str(depth) for depth in as_score_table(rows).columns["depth"] if depth != ALL)
    known = {depth: Depth.parse(depth).share for depth in depths}
    return tuple(sorted((depth for depth in known if known[depth]), key=known.__getitem__))


def main_segmentation(rows: Rows) -> ScoreTable:
    """The scores on the run's own segmentation: the first."""
    scores = as_score_table(rows)
    columns = scores.columns
    if columns.empty or "segmentation" not in columns:
        return scores
    return scores.with_columns(columns["segmentation"] == columns["segmentation"].iloc[0])


def at_main_budget(rows: Rows) -> ScoreTable:
    """The scores at each attack's main budget: the one that comes first."""
    scores = as_score_table(rows)
    return scores.with_columns(main_budget(scores.columns))


def unique_names(names: pd.Series) -> tuple[str, ...]:
    """Each name once, in the order of first occurrence."""
    return tuple(str(name) for name in names.unique())


def _names(rows: Rows, column: str) -> tuple[str, ...]:
    return unique_names(as_score_table(rows).columns[column])
