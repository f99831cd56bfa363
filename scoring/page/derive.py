"""From a run's tables to what the report draws, where that is a plain mean; intervals come from the statistics."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

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
from scoring.summary import detected, main_budget

REFERENCES = (ORACLE, RANDOM_AREA)
LOCATED = (*COUNTS, *AREAS)


def compact(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with names as categories: the report asks them hundreds of times which name they have."""
    names = ("key", "video", "family", "predicted", "segmentation", "method", "of", "fill", "attack", "depth")
    return rows.assign(**{name: rows[name].astype("category") for name in names})


def methods(rows: pd.DataFrame) -> tuple[str, ...]:
    """The explanations in a table, in its order, without the reference arms."""
    return tuple(str(name) for name in rows["method"].unique() if name not in ARMS)


def arms(rows: pd.DataFrame) -> tuple[str, ...]:
    """The reference arms in a table, the strongest first."""
    present = set(rows["method"].unique())
    return tuple(name for name in ARMS if name in present)


def attacks(rows: pd.DataFrame) -> tuple[str, ...]:
    """The attacks in a table, in its order."""
    return tuple(str(name) for name in rows["attack"].unique())


def families(rows: pd.DataFrame) -> tuple[str, ...]:
    """The manipulations in a table, in its order, without those that are missing."""
    return tuple(str(name) for name in rows["family"].dropna().unique())


def main_segmentation(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the run's own segmentation: the first in the table."""
    return rows if rows.empty else rows[rows["segmentation"] == rows["segmentation"].iloc[0]]


def unattackable(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """By attack, the detected frames whose verdict stands whatever is attacked, at the main budget.

    The whole frame must be among what was attacked, and nothing else may flip it either: an attack of few steps can do
    less on a whole frame than on a small region, where its estimate of a gradient is better.
    """
    tried = main_budget(detected(rows))
    found: dict[str, list[str]] = {str(a): [] for a in tried.loc[tried["method"] == WHOLE, "attack"].unique()}
    stands = ~tried.groupby(["attack", "key"], sort=False, observed=True)["flipped_to_real"].any()
    for attack, key in stands[stands].index.tolist():
        if str(attack) in found:
            found[str(attack)].append(str(key))
    return {attack: tuple(keys) for attack, keys in found.items()}


def attackable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of detected frames without those that are unattackable under the row's attack."""
    found = detected(rows)
    for attack, keys in unattackable(rows).items():
        if keys:
            found = found[~((found["attack"] == attack) & found["key"].isin(keys))]
    return found


def over_area(rows: pd.DataFrame, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the attacked share of the frame (%), a curve for each explanation and reference.

    Depths by area where the rows have them, else by count. All random regions of the same area are one curve. With
    `interval` each point has the interval of the mean of its frames.
    """
    depths = AREAS if rows["depth"].isin(AREAS).any() else COUNTS
    chosen = main_budget(rows)
    chosen = chosen[chosen["depth"].isin(depths)]
    return _curves(chosen.assign(x=100 * chosen["area"].where(chosen["area"] > 0)), measure, "depth", interval)


def over_budget(rows: pd.DataFrame, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the L-infinity budget (in 1/255), averaged over the best, two and three regions."""
    chosen = rows[rows["depth"].isin(COUNTS)]
    return _curves(chosen.assign(x=255 * chosen["epsilon"]), measure, "epsilon", interval)


def survival(graded: pd.DataFrame, measure: str, scale: float = 1.0) -> tuple[Curve, ...]:
    """The share of verdicts that still stand after so much of a measure, by Kaplan and Meier (1958).

    Frames that never flip are censored at their value. `x` is the value times `scale`.
    """
    chosen = graded[graded["measure"] == measure]
    return tuple(_survival(name, chosen[chosen["method"] == name], scale) for name in _series(chosen))


def graded_grid(graded: pd.DataFrame, measure: str, scale: float = 1.0) -> Grid:
    """By ranking: the restricted mean of a measure, the share of frames that flipped, and how many frames."""
    chosen = graded[graded["measure"] == measure]
    lines = []
    for name in _series(chosen):
        part = chosen[chosen["method"] == name]
        count = part["key"].nunique()
        lines.append((Cell(scale * float(part["value"].mean()), count), Cell(float(part["reached"].mean()), count)))
    return Grid(_series(chosen), ("mean", "flipped"), tuple(lines))


def cost_points(costs: pd.DataFrame, headline: Headline) -> tuple[CostPoint, ...]:
    """What each explanation takes a frame (means), with its score."""
    points = []
    for line in headline.ranked:
        spent = costs[costs["stage"] == line.method] if len(costs) else costs
        if len(spent):
            seconds, forwards = float(spent["seconds"].mean()), float(spent["forwards"].mean())
            points.append(CostPoint(line.method, seconds, forwards, line.score))
    return tuple(points)


def cost_grid(costs: pd.DataFrame) -> Grid:
    """Every stage by its mean forwards, calls and seconds a frame."""
    columns = ("forwards", "calls", "seconds")
    means = costs.groupby("stage", sort=False)[list(columns)].mean()
    counts = costs.groupby("stage", sort=False)["key"].nunique()
    cells = tuple(
        tuple(Cell(float(value), int(counts[stage])) for value in line)
        for stage, line in zip(means.index, means.to_numpy(), strict=True)
    )
    return Grid(tuple(map(str, means.index)), columns, cells)


def localisation(rows: pd.DataFrame) -> Grid:
    """The share of each ranking's regions that was truly manipulated, by depth; the best explanation's is marked."""
    known = main_segmentation(rows[rows["inside"].notna()])
    known = known.drop_duplicates(["key", "seed", "method", "of", "draw", "depth"])
    depths = tuple(depth for depth in LOCATED if depth in set(known["depth"].unique()))
    names = tuple(name for name in (*methods(known), *arms(known)) if name != WHOLE)
    return _grid(known, names, "method", depths, "depth", "inside")


def controls(rows: pd.DataFrame) -> Grid:
    """Every ranking by its mean area, flips, drop and accuracy left, over the depths 1 to 3 (the whole frame apart)."""
    chosen = main_budget(rows)
    chosen = chosen[chosen["depth"].isin(COUNTS) | (chosen["method"] == WHOLE)]
    found, columns = attackable(chosen), ("area", "flipped_to_real", "drop")
    names, lines = (*methods(chosen), *arms(chosen)), []
    for name in names:
        part, classed = found[found["method"] == name], chosen[chosen["method"] == name]
        classed = classed[classed["correct_after"].notna()]
        cells = [Cell(_mean(part, column), part["key"].nunique()) for column in columns]
        lines.append((*cells, Cell(_mean(classed, "correct_after"), classed["key"].nunique())))
    return Grid(names, ("area", "flips", "drop", "accuracy left"), tuple(lines))


def circularity(rows: pd.DataFrame, attack_of_fill: Mapping[str, str]) -> Grid:
    """What an explanation gains over random regions in the mean drop, by its fill and by the attack that scores it.

    A fill that an attack made (`attack_of_fill`) may favour explanations under that very attack: such cells are marked.
    """
    chosen = main_budget(attackable(rows))
    chosen = chosen[chosen["depth"].isin(COUNTS)]
    explained = chosen[chosen["method"].isin(methods(chosen))]
    fills, columns = tuple(str(fill) for fill in explained["fill"].unique()), attacks(explained)
    lines = []
    for fill in fills:
        cells = []
        for attack in columns:
            ours = explained[(explained["fill"] == fill) & (explained["attack"] == attack)]
            reference = chosen[(chosen["method"] == RANDOM_AREA) & (chosen["attack"] == attack)]
            reference = reference[reference["of"].isin(ours["method"])]
            gain = _mean(ours, "drop") - _mean(reference, "drop")
            cells.append(Cell(gain, ours["key"].nunique(), same=attack_of_fill.get(fill) == attack))
        lines.append(tuple(cells))
    return Grid(fills, columns, tuple(lines))


ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def metric_grid(metrics: pd.DataFrame) -> Grid:
    """Explanations by standard metric (means over frames), the best marked; an arrow tells whether higher is better.

    Where neither is, there is no arrow and no best.
    """
    better = {str(name): str(part.iloc[0]) for name, part in metrics.groupby("metric", sort=False)["better"]}
    grid = _grid(metrics, methods(metrics), "method", tuple(better), "metric", "value", better)
    return replace(grid, columns=tuple(f"{name} {ARROWS[way]}".strip() for name, way in better.items()))


def first_flip(rows: pd.DataFrame, attack: str) -> dict[tuple[str, str], str]:
    """By frame and ranking: the smallest depth ("1" to "3") at which the attack flipped the verdict, or ""."""
    chosen = main_budget(main_segmentation(rows[rows["attack"] == attack]))
    chosen = chosen[chosen["depth"].isin(COUNTS) & (chosen["of"] == "") & (chosen["draw"] == 0)]
    chosen = chosen[chosen["seed"] == chosen["seed"].min()]
    flipped: dict[tuple[str, str], str] = {}
    columns = (chosen[name] for name in ("key", "method", "depth", "flipped_to_real"))
    for key, method, depth, flips in zip(*columns, strict=True):
        pair = (str(key), str(method))
        before = flipped.setdefault(pair, "")
        if flips and (not before or depth < before):
            flipped[pair] = str(depth)
    return flipped


def _series(table: pd.DataFrame) -> tuple[str, ...]:
    """The explanations and references of a table: the latter first, so that the former are drawn over them."""
    present = set(table["method"].unique()) if len(table) else set()
    return tuple(name for name in REFERENCES if name in present) + (methods(table) if len(table) else ())


def _curves(rows: pd.DataFrame, measure: str, by: str, interval: Interval | None) -> tuple[Curve, ...]:
    """The means of a measure at the means of `x`, for each value of `by`."""
    known = rows[rows[measure].notna()]
    known = known.assign(y=known[measure].astype(float))
    points = known.groupby(["method", by], observed=True)[["x", "y"]].mean().dropna().reset_index().sort_values("x")
    counts = known.groupby("method", observed=True)["key"].nunique()
    ends = {} if interval is None else _ends(known, by, interval)
    curves = []
    for name in _series(known):
        part = points[points["method"] == name]
        if len(part):
            found = [ends[(name, place)] for place in part[by].tolist()] if ends else []
            low, high = (tuple(each[side] for each in found) for side in (0, 1))
            curves.append(
                Curve(name, tuple(part["x"].tolist()), tuple(part["y"].tolist()), low, high, int(counts[name]))
            )
    return tuple(curves)


def _ends(known: pd.DataFrame, by: str, interval: Interval) -> dict[tuple[Any, ...], tuple[float, float]]:
    """The interval of the mean of `y` over frames, by method and `by`."""
    chosen = known[known["method"].isin(_series(known))]
    frames = chosen.groupby(["method", by, "key", "video"], observed=True)["y"].mean().reset_index()
    groups = frames.groupby(["method", by], observed=True)
    return {place: interval(part["y"].to_numpy(), part["video"].to_numpy(object)) for place, part in groups}


def _survival(name: str, part: pd.DataFrame, scale: float) -> Curve:
    """The product-limit estimate: at each time the share standing falls by the share of those at risk that flip."""
    times, reached = scale * part["value"].to_numpy(float), part["reached"].to_numpy(bool)
    x, y, standing = [0.0], [1.0], 1.0
    for time in np.unique(times[reached]).tolist():
        standing *= 1.0 - float((times[reached] == time).sum() / (times >= time).sum())
        x.append(time)
        y.append(standing)
    last = float(times.max())
    return Curve(name, (*x, last), (*y, standing), count=part["key"].nunique())


def _grid(
    table: pd.DataFrame,
    rows: Sequence[str],
    row: str,
    columns: Sequence[str],
    column: str,
    value: str,
    better: Mapping[str, str] | None = None,
) -> Grid:
    """Means of `value` by `row` and `column`; of each column the best explanation's is marked."""
    grouped = table.groupby([row, column], observed=True)
    means, counts = dict(grouped[value].mean().items()), grouped["key"].nunique().to_dict()
    best = {each: _best(means, rows, each, "higher" if better is None else better[each]) for each in columns}
    cells = tuple(
        tuple(
            Cell(float(means.get((r, c), math.nan)), int(counts.get((r, c), 0)), best=means.get((r, c)) == best[c])
            if r not in ARMS
            else Cell(float(means.get((r, c), math.nan)), int(counts.get((r, c), 0)))
            for c in columns
        )
        for r in rows
    )
    return Grid(tuple(rows), tuple(columns), cells)


def _best(means: Mapping[Any, float], rows: Iterable[str], column: str, better: str) -> float:
    """The best value of a column among the explanations; NaN where there is none."""
    values = [means[(row, column)] for row in rows if row not in ARMS and (row, column) in means]
    if not values or not better:
        return math.nan
    return max(values) if better == "higher" else min(values)


def _mean(table: pd.DataFrame, column: str) -> float:
    return float(table[column].astype("Float64").mean()) if len(table) else math.nan
