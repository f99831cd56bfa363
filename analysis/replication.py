"""The published table with one difference from the published evaluation less: which columns move, and by how much."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from analysis.statistics import Estimate, Statistic, estimates, intervals_of
from common.seeds import generator
from data.frames import SHORT_NAMES
from runs.conditions import detected, main_condition
from runs.score_table import ScoreTable
from scoring.baselines.table import BASELINES
from xai.methods import SUFFIX

SUFFICIENCY, ACCURACY = "Sufficiency", "Accuracy"
MEASURES = {SUFFICIENCY: "drop", ACCURACY: "correct_after"}
BOUNDS = {SUFFICIENCY: (-2.0, 2.0), ACCURACY: (-1.0, 1.0)}  # of a difference


@dataclass(frozen=True)
class ColumnMove:
    """How one column of one method changes between two runs on the same frames: the second less the first.

    Attributes:
        method: the row.
        family: "DF", "F2F", "FS" or "NT", or "" for all frames together.
        measure: "Sufficiency" or "Accuracy".
        depth: "1", "2", "3", ...
        first, second: the column in each run; each over the frames that it has for the method.
        difference: with its 95 % interval, videos as the sample; NaN where a video has no row in one of the runs.
    """

    method: str
    family: str
    measure: str
    depth: str
    first: float
    second: float
    difference: Estimate

    @property
    def column(self) -> str:
        """ "Sufficiency DF Top 1"."""
        return " ".join(part for part in (self.measure, self.family, f"Top {self.depth}") if part)

    @property
    def moved(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


def column_moves(first: ScoreTable, second: ScoreTable, seed: int = 0) -> list[ColumnMove]:
    """Every column of every method that both runs have, of all frames and of each manipulation."""
    tables = [_frames_and_columns(scores) for scores in (first, second)]
    (frames, ours), (_, theirs) = tables
    shared = frames.index.intersection(tables[1][0].index)
    frames, families = frames.loc[shared], {"": None, **SHORT_NAMES}
    moves = []
    for (method, measure, depth), values in ours.items():
        if (method, measure, depth) not in theirs:
            continue
        pair = values.reindex(shared).to_numpy(), theirs[method, measure, depth].reindex(shared).to_numpy()
        for short, family in families.items():
            kept = np.full(len(frames), True) if family is None else (frames["family"] == family).to_numpy(dtype=bool)
            if kept.any():
                videos = frames["video"].to_numpy()[kept]
                moves.append(_move((method, short, measure, depth), pair[0][kept], pair[1][kept], videos, seed))
    return moves


def adversarial_gains(scores: ScoreTable, seed: int = 0) -> dict[str, Estimate]:
    """By how much the adversarial fill raises a method's Sufficiency, mean of the depths, on frames that both have.

    By the method's name without the fill; only methods that the run has with both.
    """
    frames, columns = _frames_and_columns(scores)
    means = mean_drops(columns)
    gains = {}
    for method in means:
        if method + SUFFIX in means:
            gain = (means[method + SUFFIX] - means[method]).to_numpy()[:, None]
            (gains[method],) = estimates(gain, frames["video"].to_numpy(), generator(seed, "fill", method), (-2.0, 2.0))
    return gains


def order_of_methods(scores: ScoreTable) -> dict[str, float]:
    """The mean Sufficiency of the depths by method, the highest first; a method without any is not in it."""
    _, columns = _frames_and_columns(scores)
    means = {method: float(values.mean()) for method, values in mean_drops(columns).items()}
    known = {method: mean for method, mean in means.items() if not math.isnan(mean)}
    return dict(sorted(known.items(), key=lambda item: (-item[1], item[0])))


def in_groups(order: Mapping[str, float]) -> list[list[str]]:
    """The methods of an order, those together that have the same mean."""
    return [list(methods) for _, methods in groupby(order, key=lambda method: order[method])]


def agreement(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Kendall's tau-b of two orders, by the means of the methods that both have, in [-1, 1].

    Methods that tie in one order have no order there. NaN for fewer than two methods, or where all tie.
    """
    shared = [method for method in first if method in second]
    if len(shared) < 2:
        return float("nan")
    ours, theirs = ([means[method] for method in shared] for means in (first, second))
    return float(kendalltau(ours, theirs).statistic)


def mean_drops(columns: Mapping[tuple[str, str, str], pd.Series]) -> dict[str, pd.Series]:
    """Each frame's mean drop over the depths, by method."""
    methods = dict.fromkeys(method for method, _, _ in columns)
    return {
        method: pd.concat(
            [values for (name, measure, _), values in columns.items() if (name, measure) == (method, SUFFICIENCY)],
            axis=1,
        ).mean(axis=1)
        for method in methods
    }


def _frames_and_columns(scores: ScoreTable) -> tuple[pd.DataFrame, dict[tuple[str, str, str], pd.Series]]:
    """The frames by key, and each frame's number for every method, measure and depth; NaN where it has none."""
    scores = scores.with_columns(main_condition(scores.columns))
    scores = scores.with_columns(scores.columns["of"].eq("") & ~scores.columns["method"].isin(set(BASELINES)))
    frames = scores.frames[["key", "video", "family"]].astype(object).set_index("key")
    return frames, dict(_columns(scores, frames.index))


def _columns(scores: ScoreTable, keys: pd.Index) -> Iterator[tuple[tuple[str, str, str], pd.Series]]:
    fakes = detected(scores)
    for method, of_method in scores.by("method").items():
        for depth, part in of_method.by("depth").items():
            of_fakes = fakes.with_columns(part.columns)
            drops = pd.Series(of_fakes.mean(MEASURES[SUFFICIENCY]), index=of_fakes.frames["key"].astype(object))
            yield (method, SUFFICIENCY, depth), drops.reindex(keys)
            yield (method, ACCURACY, depth), pd.Series(part.mean(MEASURES[ACCURACY]), index=keys)


def _move(
    name: tuple[str, str, str, str], first: np.ndarray, second: np.ndarray, videos: np.ndarray, seed: int
) -> ColumnMove:
    method, family, measure, depth = name
    there = ~(np.isnan(first) & np.isnan(second))
    numbers, places = np.unique(videos[there], return_inverse=True)
    counts = np.bincount(places, minlength=len(numbers))
    parts = np.column_stack(
        [
            np.bincount(places, weights=weights, minlength=len(numbers))
            for values in (first[there], second[there])
            for weights in (np.nan_to_num(values), (~np.isnan(values)).astype(float))
        ]
    )
    statistic, low, high = Statistic(parts, _difference), np.nan, np.nan
    if len(numbers) > 1 and (parts[:, (1, 3)] > 0).all():
        draws = generator(seed, "replication", *name)
        ((low, high),) = intervals_of(statistic, counts, draws, BOUNDS[measure])
    value = float(statistic.value[0]) if len(numbers) else np.nan
    ends = [float(np.nanmean(values)) if (~np.isnan(values)).any() else np.nan for values in (first, second)]
    estimate = Estimate(value, float(low), float(high), int(there.sum()), len(numbers))
    return ColumnMove(method, family, measure, depth, ends[0], ends[1], estimate)


def _difference(totals: np.ndarray) -> np.ndarray:
    """From the sums and counts of both runs, (b, 4), to the difference of their means, (b, 1)."""
    with np.errstate(invalid="ignore"):
        return (totals[:, 2] / totals[:, 3] - totals[:, 0] / totals[:, 1])[:, None]
