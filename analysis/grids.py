"""Tables of plain means, by name: localisation, controls, circularity, metrics, costs and flip thresholds.

They have no intervals; those of the answer come from `analysis.statistics`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.curves import curve_names
from analysis.score_subsets import (
    Rows,
    at_main_budget,
    averaged,
    baselines,
    main_segmentation,
    methods,
    shares,
    under,
    unique_names,
)
from analysis.surviving_flips import counted, transforms
from runs.conditions import detected
from runs.score_table import COSTS, FLIP_THRESHOLDS, METRIC_VALUES, ScoreTable, as_score_table
from scoring.baselines.table import BASELINES, RANDOM_AREA, WHOLE
from scoring.records import SURVIVES

ARROWS = {"higher": "↑", "lower": "↓", "": ""}


@dataclass(frozen=True)
class Cell:
    """A number in a table; the `best` of its kind, or where a fill meets the `same` attack that made it."""

    value: float = math.nan
    count: int = 0
    best: bool = False
    same: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of numbers: `cells[row][column]`."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def lines(self) -> Sequence[tuple[str, tuple[Cell, ...]]]:
        """Each row's name with its cells."""
        return list(zip(self.rows, self.cells, strict=True))


def flip_threshold_grid(flip_thresholds: Rows, measure: str, scale: float = 1.0) -> Grid:
    """By ranking: the restricted mean of a measure, the share of frames that flipped, and how many frames."""
    chosen = as_score_table(flip_thresholds, FLIP_THRESHOLDS).by("measure")[measure].by("method")
    lines = []
    for name in curve_names(tuple(chosen)):
        (value, count), (reached, _) = (chosen[name].overall(field) for field in ("value", "reached"))
        lines.append((Cell(scale * value, count), Cell(reached, count)))
    return Grid(curve_names(tuple(chosen)), ("mean", "flipped"), tuple(lines))


def cost_grid(costs: Rows) -> Grid:
    """Every stage by its mean forwards, calls and seconds a frame, of all its trials and budgets together."""
    columns, by_stage = ("forwards", "calls", "seconds"), as_score_table(costs, COSTS).by("stage")
    cells = tuple(tuple(_total(part, name) for name in columns) for part in by_stage.values())
    return Grid(tuple(by_stage), columns, cells)


def _total(part: ScoreTable, measure: str) -> Cell:
    """The mean over frames of what a stage took in each, however often it was done."""
    totals = part.sum(measure)
    known = totals[~np.isnan(totals)]
    return Cell(float(known.mean()) if len(known) else math.nan, len(known))


def localisation(rows: Rows) -> Grid:
    """The share of each ranking's regions that was truly manipulated, by depth; the best explanation's is marked."""
    scores = main_segmentation(rows)
    regions = scores.columns.drop_duplicates(["seed", "method", "of", "draw", "depth"])
    known = scores.with_columns(regions)
    depths = tuple(dict.fromkeys((*averaged(scores), *shares(scores))))
    names = tuple(name for name in (*methods(known), *baselines(known)) if name != WHOLE)
    return _mean_grid(known, names, "method", depths, "depth", "mask_precision")


def controls(rows: Rows) -> Grid:
    """Every ranking by its mean area, flips, drop and accuracy left, over the averaged depths, or the whole frame."""
    chosen = at_main_budget(rows)
    columns = chosen.columns
    chosen = chosen.with_columns(columns["depth"].isin(averaged(chosen)) | (columns["method"] == WHOLE))
    attacked, every = detected(chosen).by("method"), chosen.by("method")
    names, lines = (*methods(chosen), *baselines(chosen)), []
    for name in names:
        cells = [Cell(*attacked[name].overall(measure)) for measure in ("area", "flipped_to_real", "drop")]
        lines.append((*cells, Cell(*every[name].overall("correct_after"))))
    return Grid(names, ("area", "flips", "drop", "accuracy left"), tuple(lines))


def surviving_flips(rows: Rows, frames: Rows) -> Grid:
    """Every ranking by its flips, over the averaged depths, or the whole frame, and how many outlive each transform.

    Flips are a share of frames as in `controls`; the others shares of the flips, their `count`
    (`analysis.surviving_flips`). `frames` are the lines of the run's frames (`runs.frame_table`).
    """
    chosen = at_main_budget(rows)
    columns = chosen.columns
    chosen = chosen.with_columns(columns["depth"].isin(averaged(chosen)) | (columns["method"] == WHOLE))
    attacked = detected(chosen).by("method")
    asked = {name: counted(chosen, frames, name).by("method") for name in transforms(chosen)}
    names = (*methods(chosen), *baselines(chosen))
    cells = tuple(
        (Cell(*attacked[method].overall("flipped_to_real")), *(_surviving(asked[t][method], t) for t in asked))
        for method in names
    )
    return Grid(names, ("flips", *asked), cells)


def _surviving(scores: ScoreTable, transform: str) -> Cell:
    """The share of a ranking's flips that outlive a transform, of so many flips."""
    _, (survived,) = scores.rows(SURVIVES + transform)
    return Cell(float(survived.mean()) if len(survived) else math.nan, len(survived))


def circularity(rows: Rows, attack_of_fill: Mapping[str, str]) -> Grid:
    """What an explanation gains over random regions in the mean drop, by its fill and by the attack that scores it.

    A fill that an attack made (`attack_of_fill`) may favour explanations under that very attack: such cells are marked.
    """
    scores = as_score_table(rows)
    explained = scores.columns[scores.columns["depth"].isin(averaged(scores))]
    explained = explained[explained["method"].isin(methods(scores))]
    fills, columns = unique_names(explained["fill"]), unique_names(explained["attack"])
    gains = {attack: _gains(detected(under(scores, attack)), fills) for attack in columns}
    cells = tuple(
        tuple(Cell(*gains[attack][fill], same=attack_of_fill.get(fill) == attack) for attack in columns)
        for fill in fills
    )
    return Grid(fills, columns, cells)


def metric_grid(metrics: Rows) -> Grid:
    """Explanations by standard metric (means over frames), the best marked; an arrow says whether higher is better.

    Where neither is, there is no arrow and no best.
    """
    values = main_segmentation(as_score_table(metrics, METRIC_VALUES))
    better = {name: str(part.columns["better"].iloc[0]) for name, part in values.by("metric").items()}
    grid = _mean_grid(values, methods(values), "method", tuple(better), "metric", "value", better)
    return replace(grid, columns=tuple(f"{name} {ARROWS[way]}".strip() for name, way in better.items()))


def _gains(attacked: ScoreTable, fills: Sequence[str]) -> dict[str, tuple[float, int]]:
    """The gain over random regions of the explanations with each fill, and on how many frames."""
    chosen = at_main_budget(attacked)
    chosen = chosen.with_columns(chosen.columns["depth"].isin(averaged(chosen)))
    gains = {}
    for fill in fills:
        ours = (chosen.columns["fill"] == fill) & chosen.columns["method"].isin(methods(chosen))
        named = set(chosen.columns.loc[ours, "method"])
        theirs = (chosen.columns["method"] == RANDOM_AREA) & chosen.columns["of"].isin(named)
        drop, count = chosen.with_columns(ours).overall("drop")
        gains[fill] = (drop - chosen.with_columns(theirs).overall("drop")[0], count)
    return gains


def _mean_grid(
    scores: ScoreTable,
    rows: Sequence[str],
    row: str,
    columns: Sequence[str],
    column: str,
    value: str,
    better: Mapping[str, str] | None = None,
) -> Grid:
    """Means of `value` by `row` and `column`; of each column the best explanation's is marked."""
    means = {
        (one, other): cell.overall(value)
        for one, line in scores.by(row).items()
        for other, cell in line.by(column).items()
    }
    means = {names: (mean, count) for names, (mean, count) in means.items() if count}
    best = {name: _best(means, rows, name, "higher" if better is None else better[name]) for name in columns}

    def cell(r: str, c: str) -> Cell:
        mean, count = means.get((r, c), (math.nan, 0))
        return Cell(mean, count, best=r not in BASELINES and mean == best[c])

    return Grid(tuple(rows), tuple(columns), tuple(tuple(cell(r, c) for c in columns) for r in rows))


def _best(means: Mapping[tuple[str, str], tuple[float, int]], rows: Iterable[str], column: str, better: str) -> float:
    """The best value of a column among the explanations; NaN where there is none."""
    values = [means[(row, column)][0] for row in rows if row not in BASELINES and (row, column) in means]
    if not values or not better:
        return math.nan
    return max(values) if better == "higher" else min(values)
