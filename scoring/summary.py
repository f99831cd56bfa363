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
from scoring.sheet import Sheet, of_table
from scoring.statistics import Estimate, against_draws_p, estimates, holm, sign_flip_p
from scoring.statistics.videos import how_many

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


def detected(sheet: Sheet) -> Sheet:
    """The frames that the detector called fake: only there is a verdict to explain and to flip."""
    return sheet.with_frames((sheet.frames["predicted"] != REAL).to_numpy())


def summarise(rows: pd.DataFrame | Sheet, seed: int = 0) -> Summary:
    """The summary of a run's scores, as a sheet or a tidy table.

    Intervals take videos as the sample. p-values are corrected over the methods of the same attack and depth.
    """
    sheet = of_table(rows)
    names, attacks = tops(sheet.columns), conditions(sheet.columns)
    lines = []
    for attack in attacks.unique():
        part = sheet.with_columns(attacks == attack)
        for top, depths in names.items():
            lines += _lines(part.with_columns(part.columns["depth"].isin((*depths, ALL))), str(attack), top, seed)
    return Summary(tuple(lines))


def tops(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """How deep into a ranking a line looks, by name: which depths it averages; of rows, or of a sheet's columns.

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
    """The rows, or columns, of each attack's main budget on the main segments: those that come first."""
    return main_budget(rows[rows["segmentation"] == rows["segmentation"].iloc[0]] if len(rows) else rows)


def main_budget(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or columns, of each attack's main budget: the one that comes first."""
    return rows[rows["epsilon"] == rows.groupby("attack", observed=True)["epsilon"].transform("first")]


def conditions(rows: pd.DataFrame) -> pd.Series:
    """What each row's or column's attack is called: with its budget and segments where they are not the main ones.

    "nes", "nes 4/255", "nes, slic-100".
    """
    main = rows.groupby("attack", observed=True)["epsilon"].transform("first")
    budget = (" " + rows["epsilon"].map(fraction)).where(rows["epsilon"] != main, "")
    segments = (", " + rows["segmentation"]).where(rows["segmentation"] != rows["segmentation"].iloc[0], "")
    return rows["attack"] + budget + segments


def compare(rows: pd.DataFrame | Sheet, attack: str, method: str, others: Sequence[str], seed: int) -> dict[str, float]:
    """Holm-corrected p-values that the mean flip rates of `method` and each of `others` differ."""
    sheet = of_table(rows)
    columns = sheet.columns[conditions(sheet.columns) == attack]
    columns = columns[columns["depth"].isin((*tops(columns)[MEAN], ALL))]
    values = _values(detected(sheet.with_columns(columns)), "flipped_to_real")
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


def _values(sheet: Sheet, measure: str) -> _Values:
    """Means over depths, draws, repeats and, of an arm that every method has its own of, over methods."""
    wide = sheet.table(measure, "method")
    return _Values(wide.columns.tolist(), wide.to_numpy(), sheet.videos)


def _lines(sheet: Sheet, attack: str, top: str, seed: int) -> list[Line]:
    """The lines of one attack and depth."""
    found = detected(sheet)
    classed = _values(sheet, "correct_after")
    flips, drops = _values(found, "flipped_to_real"), _values(found, "drop")
    rates, means = (_estimates(each, bounds, seed) for each, bounds in ((flips, (0.0, 1.0)), (drops, (-1.0, 1.0))))
    inside = _estimates(_values(found, "inside"), (0.0, 1.0), seed)
    accuracies = _estimates(classed, (0.0, 1.0), seed)
    flip_comparisons = _comparisons(found, flips, "flipped_to_real", (-1.0, 1.0), seed)
    drop_comparisons = _comparisons(found, drops, "drop", (-2.0, 2.0), seed)
    lines = []
    for method, part in found.by("method").items():
        there = ~np.isnan(drops.of(method))
        lines.append(
            Line(
                attack=attack,
                method=method,
                top=top,
                frames=int(there.sum()),
                videos=how_many(found.videos[there]),
                weak=int(part.any("weak").sum()),
                area=part.overall("area")[0],
                inside=inside.get(method, Estimate()),
                flip_rate=rates.get(method, Estimate()),
                drop=means.get(method, Estimate()),
                accuracy=accuracies.get(method, Estimate()),
                accuracy_frames=int((~np.isnan(classed.table)).any(axis=1).sum()),
                flip_rate_vs_random=flip_comparisons.get(method, Comparison()),
                drop_vs_random=drop_comparisons.get(method, Comparison()),
            )
        )
    return lines


def _estimates(values: _Values, bounds: tuple[float, float], seed: int) -> dict[str, Estimate]:
    """The means by method, each over the frames where the method has a value ("mask" needs a mask)."""
    there = ~np.isnan(values.table)
    patterns: dict[bytes, list[int]] = {}
    for place in range(len(values.methods)):
        patterns.setdefault(there[:, place].tobytes(), []).append(place)
    found: dict[str, Estimate] = {}
    for alike in patterns.values():
        kept = there[:, alike[0]]
        if kept.any():
            part = estimates(
                values.table[np.ix_(kept, alike)], values.videos[kept], generator(seed, "interval"), bounds
            )
            found |= dict(zip((values.methods[place] for place in alike), part, strict=True))
    return found


def _comparisons(
    sheet: Sheet, values: _Values, measure: str, bounds: tuple[float, float], seed: int
) -> dict[str, Comparison]:
    """Each method against the control, frame by frame; `bounds` are those of a difference."""
    methods = [method for method in values.methods if method not in ARMS]
    if not methods or CONTROL not in values.methods or not len(sheet):
        return {}
    differences = np.stack([values.of(m) - values.of(CONTROL) for m in methods], axis=1)
    means = estimates(differences, values.videos, generator(seed, "interval"), bounds)
    control = sheet.with_columns(sheet.columns["method"] == CONTROL)
    chance = np.stack(
        [control.with_columns(control.columns["draw"] == draw).mean(measure) for draw in _draws(control)], axis=1
    )
    p = np.array(
        [against_draws_p(values.of(m), chance, values.videos, generator(seed, "permutation")) for m in methods]
    )
    found = zip(means, p.tolist(), holm(p).tolist(), strict=True)
    return dict(zip(methods, (Comparison(*each) for each in found), strict=True))


def _draws(sheet: Sheet) -> list[int]:
    """The numbers of an arm's draws."""
    return sorted(sheet.columns["draw"].unique().tolist())
