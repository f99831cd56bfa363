"""What the rows say about each method and reference: rates, means and accuracies, with intervals and tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from attacks.budgets import fraction
from common.seeds import generator
from data.frames import REAL
from scoring.protocol import ARMS, RANDOM
from scoring.regions import ALL, Depth
from scoring.statistics import Estimate, against_draws_p, estimates, holm, sign_flip_p

CONTROL = RANDOM
ALPHA = 0.05
MEAN = "mean"


@dataclass(frozen=True)
class Comparison:
    """A method's mean less the control's on the same frames.

    Attributes:
        difference: with its interval.
        p: of a permutation test over videos that there is none.
        p_holm: p corrected over the methods compared.
    """

    difference: Estimate = field(default_factory=Estimate)
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
        attack: its name, with the budget and the segments where they are not the main ones (`conditions`).
        method: its name, or a reference arm's; an arm of which every method has its own is averaged over them.
        top: a key of `tops`.
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

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The depths that "mean" averages, as names of `tops`: what tables and pictures show one by one."""
        every = [top for top in dict.fromkeys(line.top for line in self.lines) if top != MEAN]
        return tuple(top for top in every if "%" not in top) or tuple(every)

    def of(self, attack: str, top: str) -> dict[str, Line]:
        """The lines of one attack and depth by method."""
        return {line.method: line for line in self.lines if (line.attack, line.top) == (attack, top)}

    def ranked(self, attack: str) -> list[str]:
        """The methods, the one with the highest flip rate (mean of the depths) first; the references last."""
        mean = self.of(attack, MEAN)
        best = sorted(mean, key=lambda m: -mean[m].flip_rate.value if mean[m].frames else 0.0)
        return [*(m for m in best if m not in ARMS), *(m for m in ARMS if m in mean)]

    def methods(self, attack: str) -> list[str]:
        """The explanation methods alone, in the order of `ranked`."""
        return [method for method in self.ranked(attack) if method not in ARMS]


def detected(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of frames that the detector called fake: only there is a verdict to explain and to flip."""
    return rows[rows["predicted"] != REAL]


def summarise(rows: pd.DataFrame, seed: int = 0) -> Summary:
    """The summary of a run's tidy table.

    Intervals take videos as the sample. p-values are corrected over the methods of the same attack and depth.
    """
    rows = rows.assign(attack=conditions(rows))
    names = tops(rows)
    lines = []
    for attack in rows["attack"].unique():
        part = rows[rows["attack"] == attack]
        for top, depths in names.items():
            lines += _lines(part[part["depth"].isin((*depths, ALL))], str(attack), top, seed)
    return Summary(tuple(lines))


def tops(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """How deep into a ranking a line looks, by name: which depths it averages.

    "1-3" are the best three segments, "5%" the best up to that share; "mean" averages all numbers of segments (or,
    where there are none, all shares), and is what methods are ranked by.
    """
    depths = {str(depth): Depth.parse(str(depth)) for depth in rows["depth"].unique() if depth != ALL}
    counts = sorted((each.count, text) for text, each in depths.items() if each.count)
    shares = sorted((each.share, text) for text, each in depths.items() if not each.count)
    found = {("1" if count == 1 else f"1-{count}"): (text,) for count, text in counts}
    found |= {text: (text,) for _, text in shares}
    return {**found, MEAN: tuple(text for _, text in counts or shares)}


def main_condition(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each attack's main budget on the main segments: those that come first."""
    return main_budget(rows[rows["segmentation"] == rows["segmentation"].iloc[0]] if len(rows) else rows)


def main_budget(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each attack's main budget: the one that comes first."""
    return rows[rows["epsilon"] == rows.groupby("attack", observed=True)["epsilon"].transform("first")]


def conditions(rows: pd.DataFrame) -> pd.Series:
    """What each row's attack is called: with its budget and segments where they are not the main ones.

    "nes", "nes 4/255", "nes, slic-100".
    """
    main = rows.groupby("attack", observed=True)["epsilon"].transform("first")
    budget = (" " + rows["epsilon"].map(fraction)).where(rows["epsilon"] != main, "")
    segments = (", " + rows["segmentation"]).where(rows["segmentation"] != rows["segmentation"].iloc[0], "")
    return rows["attack"] + budget + segments


def compare(rows: pd.DataFrame, attack: str, method: str, others: Sequence[str], seed: int) -> dict[str, float]:
    """Holm-corrected p-values that the mean flip rates of `method` and each of `others` differ."""
    rows = rows[(conditions(rows) == attack) & rows["depth"].isin((*tops(rows)[MEAN], ALL))]
    values = _values(detected(rows), "flipped_to_real")
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


def _values(rows: pd.DataFrame, column: str) -> _Values:
    """Means over depths, draws, repeats and, of an arm that every method has its own of, over methods."""
    chosen = rows[["key", "video", "method"]].assign(value=rows[column].astype(float))
    wide = chosen.pivot_table(index=["key", "video"], columns="method", values="value", aggfunc="mean")
    methods = [str(m) for m in rows["method"].unique() if m in wide]
    return _Values(methods, wide[methods].to_numpy(), wide.index.get_level_values("video").to_numpy())


def _draws(rows: pd.DataFrame, column: str) -> np.ndarray:
    """The control's values by frame and draw, (n, d), in the order of `_values`; means over depths and repeats."""
    control = rows[rows["method"] == CONTROL]
    control = control[["key", "video", "draw"]].assign(value=control[column].astype(float))
    wide = control.pivot_table(index=["key", "video"], columns="draw", values="value", aggfunc="mean")
    found: np.ndarray = wide.to_numpy()
    return found


def _lines(rows: pd.DataFrame, attack: str, top: str, seed: int) -> list[Line]:
    """The lines of one attack and depth."""
    methods = [str(m) for m in rows["method"].unique()]
    found, classed = detected(rows), rows[rows["correct_after"].notna()]
    flips = _estimates(found, "flipped_to_real", (0.0, 1.0), seed)
    drops = _estimates(found, "drop", (-1.0, 1.0), seed)
    inside = _estimates(found[found["inside"].notna()], "inside", (0.0, 1.0), seed)
    accuracies = _estimates(classed, "correct_after", (0.0, 1.0), seed)
    flip_comparisons = _comparisons(found, "flipped_to_real", (-1.0, 1.0), seed)
    drop_comparisons = _comparisons(found, "drop", (-2.0, 2.0), seed)
    by_method = found.groupby("method")
    frames, videos = (by_method[name].nunique().to_dict() for name in ("key", "video"))
    areas = by_method["area"].mean().to_dict()
    weak = found[found["weak"]].groupby("method")["key"].nunique().to_dict()
    return [
        Line(
            attack=attack,
            method=method,
            top=top,
            frames=int(frames.get(method, 0)),
            videos=int(videos.get(method, 0)),
            weak=int(weak.get(method, 0)),
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


def _estimates(rows: pd.DataFrame, column: str, bounds: tuple[float, float], seed: int) -> dict[str, Estimate]:
    """The means of a column by method, each over the frames where the method has a value ("mask" needs a mask)."""
    if rows.empty:
        return {}
    values = _values(rows, column)
    there = ~np.isnan(values.table)
    found: dict[str, Estimate] = {}
    for pattern in np.unique(there, axis=1).T:
        alike = [place for place in range(len(values.methods)) if (there[:, place] == pattern).all()]
        part = estimates(values.table[pattern][:, alike], values.videos[pattern], generator(seed, "interval"), bounds)
        found |= dict(zip((values.methods[place] for place in alike), part, strict=True))
    return found


def _comparisons(rows: pd.DataFrame, column: str, bounds: tuple[float, float], seed: int) -> dict[str, Comparison]:
    """Each method against the control, frame by frame; `bounds` are those of a difference."""
    methods = [str(m) for m in rows["method"].unique() if m not in ARMS]
    if not methods or CONTROL not in set(rows["method"]):
        return {}
    values = _values(rows, column)
    differences = np.stack([values.of(m) - values.of(CONTROL) for m in methods], axis=1)
    means = estimates(differences, values.videos, generator(seed, "interval"), bounds)
    chance = _draws(rows, column)
    p = np.array(
        [against_draws_p(values.of(m), chance, values.videos, generator(seed, "permutation")) for m in methods]
    )
    found = zip(means, p.tolist(), holm(p).tolist(), strict=True)
    return dict(zip(methods, (Comparison(*each) for each in found), strict=True))
