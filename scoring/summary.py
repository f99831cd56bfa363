"""What the rows say about each method: rates, means and accuracies, with intervals and a test against chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from common.seeds import generator
from data.frames import REAL
from scoring.statistics import holm, intervals, sign_flip_p

CONTROL = "Random"
ALPHA = 0.05
TOPS: Mapping[str, tuple[int, ...]] = {"1": (1,), "1-2": (2,), "1-3": (3,), "mean": (1, 2, 3)}
"""How deep into a ranking a line looks; "mean" averages the three, and is what methods are ranked by."""


@dataclass(frozen=True)
class Estimate:
    """A mean over frames with its 95 % interval; NaN where it cannot be given."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Comparison:
    """A method's mean less the control's on the same frames.

    Attributes:
        difference: with its interval.
        p: of a permutation test over videos that there is none.
        p_holm: p corrected over the methods compared.
    """

    difference: Estimate = Estimate()
    p: float = math.nan
    p_holm: float = math.nan

    @property
    def certain(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class Line:
    """How one method did under one attack at one depth.

    Attributes:
        attack: its name.
        method: its name.
        top: a key of TOPS.
        frames: detected frames, on which flips, drops, areas and weak rankings are counted.
        videos: that these are from.
        weak: on how many frames the ranking was weak.
        area: the mean attacked share of the pixels.
        inside: the mean share of the attacked pixels that were truly manipulated, over the frames where that is known.
        flip_rate: the share of fake verdicts that became Real.
        drop: the mean fall of p(target).
        accuracy: the share of verdicts that are correct after the attack, over all frames with a class.
        accuracy_frames: how many those are.
        flip_rate_vs_random: compared with the control; empty for the control itself or without one.
        drop_vs_random: likewise.
    """

    attack: str
    method: str
    top: str
    frames: int
    videos: int
    weak: int
    area: float
    inside: Estimate
    flip_rate: Estimate
    drop: Estimate
    accuracy: Estimate
    accuracy_frames: int
    flip_rate_vs_random: Comparison = Comparison()
    drop_vs_random: Comparison = Comparison()


@dataclass(frozen=True)
class Summary:
    """The lines of a run: by attack, then depth, then method."""

    lines: tuple[Line, ...]

    @cached_property
    def attacks(self) -> tuple[str, ...]:
        """In the order of the rows."""
        return tuple(dict.fromkeys(line.attack for line in self.lines))

    def of(self, attack: str, top: str) -> dict[str, Line]:
        """The lines of one attack and depth by method."""
        return {line.method: line for line in self.lines if (line.attack, line.top) == (attack, top)}

    def ranked(self, attack: str) -> list[str]:
        """The methods, the one with the highest flip rate (mean of the depths) first, the control last."""
        mean = self.of(attack, "mean")
        best = sorted(mean, key=lambda m: -mean[m].flip_rate.value if mean[m].frames else 0.0)
        return [*(m for m in best if m != CONTROL), *(m for m in best if m == CONTROL)]


def detected(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of frames that the detector called fake: only there is a verdict to explain and to flip."""
    return rows[rows["predicted"] != REAL]


def summarise(rows: pd.DataFrame, seed: int = 0) -> Summary:
    """The summary of a run's tidy table.

    Intervals take videos as the sample. p-values are corrected over the methods of the same attack and depth.
    """
    lines = []
    for attack in rows["attack"].unique():
        part = rows[rows["attack"] == attack]
        for top in TOPS:
            lines += _lines(part, str(attack), top, seed)
    return Summary(tuple(lines))


def compare(rows: pd.DataFrame, attack: str, method: str, others: Sequence[str], seed: int) -> dict[str, float]:
    """Holm-corrected p-values that the mean flip rates of `method` and each of `others` differ."""
    values = _values(detected(rows[rows["attack"] == attack]), "flipped_to_real", "mean")
    draws = generator(seed, "compare", attack)
    p = [sign_flip_p(values.of(method) - values.of(other), values.videos, draws) for other in others]
    return dict(zip(others, holm(np.array(p)).tolist(), strict=True))


@dataclass(frozen=True)
class _Values:
    """One quantity by frame and method, (n, m), and the video of each frame, (n,)."""

    methods: list[str]
    table: np.ndarray
    videos: np.ndarray

    def of(self, method: str) -> np.ndarray:
        return self.table[:, self.methods.index(method)]


def _values(rows: pd.DataFrame, column: str, top: str) -> _Values:
    chosen = rows.loc[rows["k"].isin(TOPS[top]), ["key", "video", "method"]]
    chosen = chosen.assign(value=rows.loc[chosen.index, column].astype(float))
    wide = chosen.pivot_table(index=["key", "video"], columns="method", values="value", aggfunc="mean")
    methods = [str(m) for m in rows["method"].unique()]
    return _Values(methods, wide[methods].to_numpy(), wide.index.get_level_values("video").to_numpy())


def _lines(rows: pd.DataFrame, attack: str, top: str, seed: int) -> list[Line]:
    """The lines of one attack and depth."""
    methods = [str(m) for m in rows["method"].unique()]
    found, classed = detected(rows), rows[rows["correct_after"].notna()]
    flips = _estimates(found, "flipped_to_real", (0.0, 1.0), top, seed)
    drops = _estimates(found, "drop", (-1.0, 1.0), top, seed)
    inside = _estimates(found[found["inside"].notna()], "inside", (0.0, 1.0), top, seed)
    accuracies = _estimates(classed, "correct_after", (0.0, 1.0), top, seed)
    flip_comparisons = _comparisons(found, "flipped_to_real", (-1.0, 1.0), top, seed)
    drop_comparisons = _comparisons(found, "drop", (-2.0, 2.0), top, seed)
    at_top = found[found["k"].isin(TOPS[top])].groupby("method")
    areas, weak = at_top["area"].mean().to_dict(), at_top["weak"].sum().to_dict()
    return [
        Line(
            attack=attack,
            method=method,
            top=top,
            frames=found["key"].nunique(),
            videos=found["video"].nunique(),
            weak=int(weak.get(method, 0)) // len(TOPS[top]),
            area=float(areas.get(method, math.nan)),
            inside=inside.get(method, Estimate()),
            flip_rate=flips.get(method, Estimate()),
            drop=drops.get(method, Estimate()),
            accuracy=accuracies.get(method, Estimate()),
            accuracy_frames=classed["key"].nunique(),
            flip_rate_vs_random=flip_comparisons.get(method, Comparison()),
            drop_vs_random=drop_comparisons.get(method, Comparison()),
        )
        for method in methods
    ]


def _estimates(
    rows: pd.DataFrame, column: str, bounds: tuple[float, float], top: str, seed: int
) -> dict[str, Estimate]:
    """The means of a column by method."""
    if rows.empty:
        return {}
    values = _values(rows, column, top)
    return dict(zip(values.methods, _with_intervals(values.table, values.videos, bounds, seed), strict=True))


def _comparisons(
    rows: pd.DataFrame, column: str, bounds: tuple[float, float], top: str, seed: int
) -> dict[str, Comparison]:
    """Each method against the control, frame by frame; `bounds` are those of a difference."""
    methods = [str(m) for m in rows["method"].unique() if m != CONTROL]
    if not methods or CONTROL not in set(rows["method"]):
        return {}
    values = _values(rows, column, top)
    differences = np.stack([values.of(m) - values.of(CONTROL) for m in methods], axis=1)
    estimates = _with_intervals(differences, values.videos, bounds, seed)
    p = np.array([sign_flip_p(each, values.videos, generator(seed, "permutation")) for each in differences.T])
    found = zip(estimates, p.tolist(), holm(p).tolist(), strict=True)
    return dict(zip(methods, (Comparison(*each) for each in found), strict=True))


def _with_intervals(table: np.ndarray, videos: np.ndarray, bounds: tuple[float, float], seed: int) -> list[Estimate]:
    limits = intervals(table, videos, generator(seed, "interval"), bounds)
    means = table.mean(axis=0)
    return [Estimate(float(m), float(low), float(high)) for m, (low, high) in zip(means, limits, strict=True)]
