"""Curves of a run: a measure over the attacked area or the budget, and what stands the longer an attack goes on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.score_subsets import Rows, at_main_budget, averaged, shares
from analysis.survival import product_limit
from runs.score_table import FLIP_THRESHOLDS, ScoreTable, as_score_table
from scoring.baselines.table import BASELINES, ORACLE, RANDOM_AREA

CURVE_BASELINES = (ORACLE, RANDOM_AREA)
"""The baselines that have a curve beside the explanations'."""

Interval = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
"""From a value for each frame, (n,), and the video of each, (n,), to the 95 % interval of their mean."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `y` over `x`, with its interval where one is known, a mean of `count` frames."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    count: int = 0


def over_area(rows: Rows, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the attacked share of the frame (%), a curve for each explanation and baseline.

    Depths by area where the scores have them, else by count. All random regions of the same area are one curve. The
    oracle, the same at every depth, stands at the area of the explanations of each. With `interval` each point has the
    interval of the mean of its frames.
    """
    chosen = at_main_budget(rows)
    depths = shares(rows) or averaged(rows)
    return _curves(chosen.with_columns(chosen.columns["depth"].isin(depths)), measure, "depth", interval)


def over_budget(rows: Rows, measure: str, interval: Interval | None = None) -> tuple[Curve, ...]:
    """The mean of a measure over the L-infinity budget (in 1/255), over the averaged depths."""
    scores = as_score_table(rows)
    return _curves(scores.with_columns(scores.columns["depth"].isin(averaged(scores))), measure, "epsilon", interval)


def survival_curves(flip_thresholds: Rows, measure: str, scale: float = 1.0) -> tuple[Curve, ...]:
    """The share of verdicts that still stand after so much of a measure, by Kaplan and Meier (1958), frames alike.

    Frames that never flip are censored at their value. `x` is the value times `scale`.
    """
    chosen = as_score_table(flip_thresholds, FLIP_THRESHOLDS).by("measure")[measure].by("method")
    return tuple(_survival(name, chosen[name], scale) for name in curve_names(tuple(chosen)))


def curve_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names that have a curve: CURVE_BASELINES first, so that the explanations are drawn over them."""
    explanations = tuple(name for name in names if name not in BASELINES)
    return tuple(name for name in CURVE_BASELINES if name in names) + explanations


def _curves(scores: ScoreTable, measure: str, by: str, interval: Interval | None) -> tuple[Curve, ...]:
    """The means of a measure at the means of the attacked share or the budget, for each value of `by`."""
    by_method, curves = scores.by("method"), []
    explained = scores.with_columns(~scores.columns["method"].isin(BASELINES)).by(by)
    for name in curve_names(tuple(by_method)):
        points, there = [], np.zeros(len(scores), dtype=bool)
        for at, part in by_method[name].by(by).items():
            x, y, values = _point(part, measure, by)
            if name == ORACLE and at in explained:
                x = _point(explained[at], measure, by)[0]
            there |= ~np.isnan(values)
            if not math.isnan(x + y):
                points.append((x, y, *(() if interval is None else _ends(values, scores, interval))))
        if points:
            xs, ys, *ends = zip(*sorted(points, key=lambda point: point[0]), strict=True)
            low, high = ends or ((), ())
            curves.append(Curve(name, xs, ys, low, high, int(there.sum())))
    return tuple(curves)


def _point(part: ScoreTable, measure: str, by: str) -> tuple[float, float, np.ndarray]:
    """Where a point is, a mean of the attacked frames of which the measure is known, and its mean of each, (n,)."""
    values, areas = part.mean(measure), part.mean("area")
    known = ~np.isnan(values)
    attacked = known & (areas > 0)
    if not attacked.any():
        return math.nan, math.nan, np.full(len(part), np.nan)
    x = 100 * areas[attacked].mean() if by == "depth" else 255 * float(part.columns["epsilon"].iloc[0])
    return float(x), float(values[known].mean()), values


def _ends(values: np.ndarray, scores: ScoreTable, interval: Interval) -> tuple[float, float]:
    """The interval of the mean of the frames that have a value."""
    known = ~np.isnan(values)
    return interval(values[known], scores.videos[known])


def _survival(name: str, part: ScoreTable, scale: float) -> Curve:
    frames, (value, reached) = part.rows("value", "reached")
    times, standing = product_limit(value, reached > 0, frames)
    x, y = (0.0, *(scale * times).tolist()), (1.0, *standing.tolist())
    return Curve(name, (*x, float(scale * value.max())), (*y, y[-1]), count=part.overall("value")[1])
