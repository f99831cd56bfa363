"""From a run's tables to what the report draws, where that is a plain mean; intervals come from the statistics."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from scoring.page.content import (
    AREAS,
    ARMS,
    COUNTS,
    ORACLE,
    RANDOM_AREA,
    WHOLE,
    Cell,
    CostPoint,
    Curve,
    Grid,
    Headline,
    Interval,
)
from scoring.sheet import GRADED, MEASURED, SPENT, Sheet, of_table
from scoring.summary import detected, main_budget
from scoring.survival import product_limit

REFERENCES = (ORACLE, RANDOM_AREA)
LOCATED = (*COUNTS, *AREAS)


Rows = pd.DataFrame | Sheet
"""A run's scores: a sheet, or a tidy table in memory. Functions here that return scores return sheets."""


def methods(rows: Rows) -> tuple[str, ...]:
    """The explanations in scores, in their order, without the reference arms."""
    return tuple(name for name in _names(rows, "method") if name not in ARMS)


def arms(rows: Rows) -> tuple[str, ...]:
    """The reference arms in scores, the strongest first."""
    present = set(_names(rows, "method"))
    return tuple(name for name in ARMS if name in present)


def attacks(rows: Rows) -> tuple[str, ...]:
    """The attacks in scores, in their order."""
    return _names(rows, "attack")


def families(rows: Rows) -> tuple[str, ...]:
    """The manipulations in scores, in their order, without those that are missing."""
    return of_table(rows).families


def under(rows: Rows, attack: str) -> Sheet:
    """The scores under one attack."""
    sheet = of_table(rows)
    return sheet.with_columns(sheet.columns["attack"] == attack)


def main_segmentation(rows: Rows) -> Sheet:
    """The scores on the run's own segmentation: the first."""
    sheet = of_table(rows)
    columns = sheet.columns
    return sheet if columns.empty else sheet.with_columns(columns["segmentation"] == columns["segmentation"].iloc[0])


def at_main_budget(rows: Rows) -> Sheet:
    """The scores at each attack's main budget: the one that comes first."""
    sheet = of_table(rows)
    return sheet.with_columns(main_budget(sheet.columns))


def unattackable(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By attack, the detected frames whose verdict stands whatever is attacked, at the main budget.

    The whole frame must be among what was attacked, and nothing else may flip it either: an attack of few steps can do
    less on a whole frame than on a small region, where its estimate of a gradient is better.
    """
    found = detected(of_table(rows))
    keys = found.frames["key"]
    return {attack: tuple(keys[stands].tolist()) for attack, stands in _standing(found).items()}


def _standing(found: Sheet) -> dict[str, np.ndarray]:
    """By attack that was tried on the whole frame, which of the detected frames nothing flips, (n,)."""
    tried = at_main_budget(found)
    whole = tried.columns.loc[tried.columns["method"] == WHOLE, "attack"].unique()
    return {str(attack): ~under(tried, attack).any("flipped_to_real") for attack in whole}


def attackable(rows: Rows) -> Sheet:
    """The detected frames without those that are unattackable, of scores under one attack."""
    found = detected(of_table(rows))
    standing = _standing(found)
    if len(attacks(found)) > 1:
        raise ValueError(f"frames are attackable under one attack or not; got {', '.join(attacks(found))}")
    return found.with_frames(~next(iter(standing.values()))) if standing else found


def over_area(rows: Rows, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the attacked share of the frame (%), a curve for each explanation and reference.

    Depths by area where the scores have them, else by count. All random regions of the same area are one curve. With
    `interval` each point has the interval of the mean of its frames.
    """
    chosen = at_main_budget(rows)
    depths = AREAS if of_table(rows).columns["depth"].isin(AREAS).any() else COUNTS
    return _curves(chosen.with_columns(chosen.columns["depth"].isin(depths)), measure, "depth", interval)


def over_budget(rows: Rows, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the L-infinity budget (in 1/255), averaged over the best, two and three regions."""
    sheet = of_table(rows)
    return _curves(sheet.with_columns(sheet.columns["depth"].isin(COUNTS)), measure, "epsilon", interval)


def survival(graded: Rows, measure: str, scale: float = 1.0) -> tuple[Curve, ...]:
    """The share of verdicts that still stand after so much of a measure, by Kaplan and Meier (1958).

    Frames that never flip are censored at their value. `x` is the value times `scale`.
    """
    chosen = of_table(graded, GRADED).by("measure")[measure].by("method")
    return tuple(_survival(name, chosen[name], scale) for name in _series(tuple(chosen)))


def graded_grid(graded: Rows, measure: str, scale: float = 1.0) -> Grid:
    """By ranking: the restricted mean of a measure, the share of frames that flipped, and how many frames."""
    chosen = of_table(graded, GRADED).by("measure")[measure].by("method")
    lines = []
    for name in _series(tuple(chosen)):
        (value, count), (reached, _) = (chosen[name].overall(each) for each in ("value", "reached"))
        lines.append((Cell(scale * value, count), Cell(reached, count)))
    return Grid(_series(tuple(chosen)), ("mean", "flipped"), tuple(lines))


def cost_points(costs: Rows, headline: Headline) -> tuple[CostPoint, ...]:
    """What each explanation takes a frame (means), with its score."""
    by_stage = of_table(costs, SPENT).by("stage")
    points = []
    for line in headline.ranked:
        if line.method in by_stage:
            seconds, forwards = (by_stage[line.method].overall(name)[0] for name in ("seconds", "forwards"))
            points.append(CostPoint(line.method, seconds, forwards, line.score))
    return tuple(points)


def cost_grid(costs: Rows) -> Grid:
    """Every stage by its mean forwards, calls and seconds a frame."""
    columns, by_stage = ("forwards", "calls", "seconds"), of_table(costs, SPENT).by("stage")
    cells = tuple(tuple(Cell(*part.overall(name)) for name in columns) for part in by_stage.values())
    return Grid(tuple(by_stage), columns, cells)


def localisation(rows: Rows) -> Grid:
    """The share of each ranking's regions that was truly manipulated, by depth; the best explanation's is marked."""
    sheet = main_segmentation(rows)
    regions = sheet.columns.drop_duplicates(["seed", "method", "of", "draw", "depth"])
    known = sheet.with_columns(regions)
    depths = tuple(depth for depth in LOCATED if depth in set(regions["depth"]))
    names = tuple(name for name in (*methods(known), *arms(known)) if name != WHOLE)
    return _grid(known, names, "method", depths, "depth", "inside")


def controls(rows: Rows) -> Grid:
    """Every ranking by its mean area, flips, drop and accuracy left, over the depths 1 to 3 (the whole frame apart)."""
    chosen = at_main_budget(rows)
    columns = chosen.columns
    chosen = chosen.with_columns(columns["depth"].isin(COUNTS) | (columns["method"] == WHOLE))
    found, every = attackable(chosen).by("method"), chosen.by("method")
    names, lines = (*methods(chosen), *arms(chosen)), []
    for name in names:
        cells = [Cell(*found[name].overall(measure)) for measure in ("area", "flipped_to_real", "drop")]
        lines.append((*cells, Cell(*every[name].overall("correct_after"))))
    return Grid(names, ("area", "flips", "drop", "accuracy left"), tuple(lines))


def circularity(rows: Rows, attack_of_fill: Mapping[str, str]) -> Grid:
    """What an explanation gains over random regions in the mean drop, by its fill and by the attack that scores it.

    A fill that an attack made (`attack_of_fill`) may favour explanations under that very attack: such cells are marked.
    """
    sheet = of_table(rows)
    explained = sheet.columns[sheet.columns["method"].isin(methods(sheet)) & sheet.columns["depth"].isin(COUNTS)]
    fills, columns = _unique(explained["fill"]), _unique(explained["attack"])
    gains = {attack: _gains(attackable(under(sheet, attack)), fills) for attack in columns}
    cells = tuple(
        tuple(Cell(*gains[attack][fill], same=attack_of_fill.get(fill) == attack) for attack in columns)
        for fill in fills
    )
    return Grid(fills, columns, cells)


def _gains(found: Sheet, fills: Sequence[str]) -> dict[str, tuple[float, int]]:
    """The gain over random regions of the explanations with each fill, and on how many frames."""
    chosen = at_main_budget(found)
    chosen = chosen.with_columns(chosen.columns["depth"].isin(COUNTS))
    gains = {}
    for fill in fills:
        ours = (chosen.columns["fill"] == fill) & chosen.columns["method"].isin(methods(chosen))
        named = set(chosen.columns.loc[ours, "method"])
        theirs = (chosen.columns["method"] == RANDOM_AREA) & chosen.columns["of"].isin(named)
        drop, count = chosen.with_columns(ours).overall("drop")
        gains[fill] = (drop - chosen.with_columns(theirs).overall("drop")[0], count)
    return gains


ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def metric_grid(metrics: Rows) -> Grid:
    """Explanations by standard metric (means over frames), the best marked; an arrow tells whether higher is better.

    Where neither is, there is no arrow and no best.
    """
    sheet = of_table(metrics, MEASURED)
    better = {name: str(part.columns["better"].iloc[0]) for name, part in sheet.by("metric").items()}
    grid = _grid(sheet, methods(sheet), "method", tuple(better), "metric", "value", better)
    return replace(grid, columns=tuple(f"{name} {ARROWS[way]}".strip() for name, way in better.items()))


def first_flip(rows: Rows, attack: str) -> dict[tuple[str, str], str]:
    """By frame and ranking: the smallest depth ("1" to "3") at which the attack flipped the verdict, or ""."""
    chosen = at_main_budget(main_segmentation(under(rows, attack)))
    columns = chosen.columns[chosen.columns["depth"].isin(COUNTS)]
    columns = columns[(columns["of"] == "") & (columns["draw"] == 0) & (columns["seed"] == columns["seed"].min())]
    flipped: dict[tuple[str, str], str] = {}
    for place, column in columns.sort_values("depth").iterrows():
        for key, flips in zip(chosen.frames["key"], chosen.read("flipped_to_real", int(place)), strict=True):
            pair = (str(key), str(column["method"]))
            if not np.isnan(flips) and not flipped.setdefault(pair, "") and flips:
                flipped[pair] = str(column["depth"])
    return flipped


def _names(rows: Rows, column: str) -> tuple[str, ...]:
    return _unique(of_table(rows).columns[column])


def _unique(names: pd.Series) -> tuple[str, ...]:
    return tuple(str(name) for name in names.unique())


def _series(names: Sequence[str]) -> tuple[str, ...]:
    """The explanations and references among names: the latter first, so that the former are drawn over them."""
    return tuple(name for name in REFERENCES if name in names) + tuple(name for name in names if name not in ARMS)


def _curves(sheet: Sheet, measure: str, by: str, interval: Interval | None) -> tuple[Curve, ...]:
    """The means of a measure at the means of the attacked share or the budget, for each value of `by`."""
    by_method, curves = sheet.by("method"), []
    for name in _series(tuple(by_method)):
        points, there = [], np.zeros(len(sheet), dtype=bool)
        for part in by_method[name].by(by).values():
            x, y, values = _point(part, measure, by)
            there |= ~np.isnan(values)
            if not math.isnan(x + y):
                points.append((x, y, *(() if interval is None else _ends(values, sheet, interval))))
        if points:
            xs, ys, *ends = zip(*sorted(points, key=lambda point: point[0]), strict=True)
            low, high = ends or ((), ())
            curves.append(Curve(name, xs, ys, low, high, int(there.sum())))
    return tuple(curves)


def _point(part: Sheet, measure: str, by: str) -> tuple[float, float, np.ndarray]:
    """Where a point is, over all rows of which the measure is known, and the measure's mean of each frame, (n,)."""
    shares = total = 0.0
    attacked = rows = 0
    for place, epsilon in zip(part.columns.index, part.columns["epsilon"], strict=True):
        values = part.read(measure, place)
        known = ~np.isnan(values)
        x = 100 * part.read("area", place)[known] if by == "depth" else np.full(known.sum(), 255 * epsilon)
        shares, attacked = shares + float(x.sum()), attacked + int(np.count_nonzero(x))
        total, rows = total + float(values[known].sum()), rows + int(known.sum())
    if not rows or not attacked:
        return math.nan, math.nan, np.full(len(part), np.nan)
    return shares / attacked, total / rows, part.mean(measure)


def _ends(values: np.ndarray, sheet: Sheet, interval: Interval) -> tuple[float, float]:
    """The interval of the mean of the frames that have a value."""
    known = ~np.isnan(values)
    return interval(values[known], sheet.videos[known])


def _survival(name: str, part: Sheet, scale: float) -> Curve:
    _, (value, reached) = part.rows("value", "reached")
    times, standing = product_limit(value, reached > 0)
    x, y = (0.0, *(scale * times).tolist()), (1.0, *standing.tolist())
    return Curve(name, (*x, float(scale * value.max())), (*y, y[-1]), count=part.overall("value")[1])


def _grid(
    sheet: Sheet,
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
        for one, line in sheet.by(row).items()
        for other, cell in line.by(column).items()
    }
    means = {place: found for place, found in means.items() if found[1]}
    best = {each: _best(means, rows, each, "higher" if better is None else better[each]) for each in columns}

    def cell(r: str, c: str) -> Cell:
        mean, count = means.get((r, c), (math.nan, 0))
        return Cell(mean, count, best=r not in ARMS and mean == best[c])

    return Grid(tuple(rows), tuple(columns), tuple(tuple(cell(r, c) for c in columns) for r in rows))


def _best(means: Mapping[tuple[str, str], tuple[float, int]], rows: Iterable[str], column: str, better: str) -> float:
    """The best value of a column among the explanations; NaN where there is none."""
    values = [means[(row, column)][0] for row in rows if row not in ARMS and (row, column) in means]
    if not values or not better:
        return math.nan
    return max(values) if better == "higher" else min(values)
