"""A summary of each method and baseline: rates, means and accuracies, with intervals and tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat

import numpy as np
import pandas as pd

from analysis.score_subsets import Rows
from analysis.statistics import (
    Estimate,
    PairedComparison,
    against_draws_p,
    estimates,
    holm,
    paired_comparisons,
    sign_flip_p,
    with_holm,
)
from analysis.statistics.videos import how_many, known
from analysis.surviving_flips import SurvivingFlips, surviving_flips, transforms
from common.seeds import generator
from runs.conditions import MEAN, conditions, depth_groups, detected
from runs.score_table import ScoreTable, as_score_table
from scoring.baselines.table import BASELINES, RANDOM
from xai.regions import ALL

NOT_COMPARED = PairedComparison()


@dataclass(frozen=True)
class MethodSummary:
    """How one method did under one attack at one depth.

    Attributes:
        attack: its name, with the budget and the segments where they are not the main ones (`conditions`).
        method: its name, or a baseline's; a baseline of which every method has its own is averaged over them.
        top: the depths it is over, a key of `runs.conditions.depth_groups`.
        frames: detected frames, on which flips, drops, areas and weak rankings are counted.
        videos: that these are from.
        weak: on how many frames the ranking was weak.
        stability: the mean probability that a re-run of the explanation has the same region; NaN where not known.
        area: the mean attacked share of the pixels.
        mask_precision: the mean share of the attacked pixels that were truly manipulated, over the frames where that is
            known.
        flip_rate: the share of fake verdicts that became Real.
        drop: the mean fall of p(target).
        accuracy: the share of verdicts that are correct after the attack, over all frames with a class; NaN where none
            of the detected frames was attacked by it.
        accuracy_frames: how many those are, that this method was scored on.
        flip_rate_vs_random: compared with random regions; empty for a baseline, and without random regions.
        drop_vs_random: likewise.
        survives: how many of its flips outlive each transform that the run asks for, by the transform's name.
    """

    attack: str
    method: str
    top: str
    frames: int
    videos: int
    weak: int
    stability: float
    area: float
    mask_precision: Estimate
    flip_rate: Estimate
    drop: Estimate
    accuracy: Estimate
    accuracy_frames: int
    flip_rate_vs_random: PairedComparison = NOT_COMPARED
    drop_vs_random: PairedComparison = NOT_COMPARED
    survives: dict[str, SurvivingFlips] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """The lines of a run: by attack, then depth, then method."""

    lines: tuple[MethodSummary, ...]

    @cached_property
    def attacks(self) -> tuple[str, ...]:
        """In the order of the rows."""
        return tuple(dict.fromkeys(line.attack for line in self.lines))

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The depths that "mean" averages, as names of `depth_groups`: what tables and pictures show one by one."""
        every = [top for top in dict.fromkeys(line.top for line in self.lines) if top != MEAN]
        return tuple(top for top in every if "%" not in top) or tuple(every)

    def of(self, attack: str, top: str) -> dict[str, MethodSummary]:
        """The lines of one attack and depth by method."""
        return {line.method: line for line in self.lines if (line.attack, line.top) == (attack, top)}

    def sample(self, attack: str) -> tuple[int, int]:
        """The frames and videos that a method can be scored on under an attack: the most that any was."""
        lines = self.of(attack, MEAN).values()
        return max(line.frames for line in lines), max(line.videos for line in lines)

    def ranked(self, attack: str) -> list[str]:
        """The methods, the one with the highest flip rate (mean of the depths) first; the baselines last."""
        mean = self.of(attack, MEAN)
        best = sorted(mean, key=lambda m: -mean[m].flip_rate.value if mean[m].frames else 0.0)
        return [*(m for m in best if m not in BASELINES), *(m for m in BASELINES if m in mean)]

    def methods(self, attack: str) -> list[str]:
        """The explanation methods alone, in the order of `ranked`."""
        return [method for method in self.ranked(attack) if method not in BASELINES]


def summarise_methods(rows: Rows, seed: int = 0, frames: Rows | None = None) -> Summary:
    """Summarises a run's scores.

    Intervals take videos as the sample. p-values are corrected over the methods of the same attack and depth.

    Args:
        rows: the run's scores.
        seed: of its draws.
        frames: the lines of its frames (`runs.frame_table`); needed where the run asks what its flips outlive.
    """
    scores = as_score_table(rows)
    names, attacks = depth_groups(scores.columns), conditions(scores.columns)
    lines = []
    for attack in attacks.unique():
        part = scores.with_columns(attacks == attack)
        for top, depths in names.items():
            chosen = part.with_columns(part.columns["depth"].isin((*depths, ALL)))
            lines += _lines(chosen, pd.DataFrame() if frames is None else frames, str(attack), top, seed)
    return Summary(tuple(lines))


def flip_rate_p_values(rows: Rows, attack: str, method: str, others: Sequence[str], seed: int) -> dict[str, float]:
    """Tests whether the mean flip rates of a method and of each of some others differ: Holm-corrected p-values.

    Args:
        rows: a run's scores.
        attack: the name of its condition (`runs.conditions.conditions`).
        method: the method that the others are compared with.
        others: names of methods; p-values are corrected over them.
        seed: of the run's draws.

    Returns:
        The p-value, in [0, 1], of each of `others` by its name.

    Raises:
        ValueError: a method was not scored under this attack.
    """
    scores = as_score_table(rows)
    columns = scores.columns[conditions(scores.columns) == attack]
    columns = columns[columns["depth"].isin((*depth_groups(columns)[MEAN], ALL))]
    values = _values(detected(scores.with_columns(columns)), "flipped_to_real")
    draws = generator(seed, "compare", attack)
    p = []
    for other in others:
        videos, (own, theirs) = known(values.videos, values.of(method), values.of(other))
        p.append(sign_flip_p(own - theirs, videos, draws))
    return dict(zip(others, holm(np.array(p)).tolist(), strict=True))


@dataclass(frozen=True)
class _Values:
    """One quantity by frame and method, (n, m), and the video of each frame, (n,)."""

    methods: list[str]
    table: np.ndarray
    videos: np.ndarray

    def of(self, method: str) -> np.ndarray:
        return self.table[:, self.methods.index(method)]


def _values(scores: ScoreTable, measure: str) -> _Values:
    """Means over depths, draws, seeds and, of a baseline that every method has its own of, over methods."""
    wide = scores.table(measure, "method")
    return _Values(wide.columns.tolist(), wide.to_numpy(), scores.videos)


def _lines(scores: ScoreTable, frames: Rows, attack: str, top: str, seed: int) -> list[MethodSummary]:
    """The lines of one attack and depth."""
    fakes = detected(scores)
    classed = _values(scores, "correct_after")
    flips, drops = _values(fakes, "flipped_to_real"), _values(fakes, "drop")
    rates, means = (
        _estimates(quantity, bounds, seed) for quantity, bounds in ((flips, (0.0, 1.0)), (drops, (-1.0, 1.0)))
    )
    precisions = _estimates(_values(fakes, "mask_precision"), (0.0, 1.0), seed)
    accuracies = _estimates(classed, (0.0, 1.0), seed)
    flip_comparisons = _comparisons(fakes, flips, "flipped_to_real", (-1.0, 1.0), seed)
    drop_comparisons = _comparisons(fakes, drops, "drop", (-2.0, 2.0), seed)
    survives = {name: surviving_flips(fakes, frames, name, seed) for name in transforms(fakes)}
    lines = []
    for method, part in fakes.by("method").items():
        there = ~np.isnan(drops.of(method))
        is_scored = there.any() or not len(there)  # "mask" without a mask has frames that are called Real alone
        lines.append(
            MethodSummary(
                attack=attack,
                method=method,
                top=top,
                frames=int(there.sum()),
                videos=how_many(fakes.videos[there]),
                weak=int(part.any("weak").sum()),
                stability=part.overall("stability")[0],
                area=part.overall("area")[0],
                mask_precision=precisions.get(method, Estimate()),
                flip_rate=rates.get(method, Estimate()),
                drop=means.get(method, Estimate()),
                accuracy=accuracies.get(method, Estimate()) if is_scored else Estimate(),
                accuracy_frames=int((~np.isnan(classed.of(method))).sum()) if is_scored else 0,
                flip_rate_vs_random=flip_comparisons.get(method, NOT_COMPARED),
                drop_vs_random=drop_comparisons.get(method, NOT_COMPARED),
                survives={name: by_method[method] for name, by_method in survives.items()},
            )
        )
    return lines


def _estimates(values: _Values, bounds: tuple[float, float], seed: int) -> dict[str, Estimate]:
    """The means by method, each over the frames where the method has a value ("mask" needs a mask)."""
    means = estimates(values.table, values.videos, generator(seed, "interval"), bounds)
    return dict(zip(values.methods, means, strict=True))


def _comparisons(
    scores: ScoreTable, values: _Values, measure: str, bounds: tuple[float, float], seed: int
) -> dict[str, PairedComparison]:
    """Each method against random regions, on the frames that have both; `bounds` are those of a difference."""
    methods = [method for method in values.methods if method not in BASELINES]
    if not methods or RANDOM not in values.methods or not len(scores):
        return {}
    differences = np.stack([values.of(m) - values.of(RANDOM) for m in methods], axis=1)
    control = scores.with_columns(scores.columns["method"] == RANDOM)
    chance = np.stack(
        [control.with_columns(control.columns["draw"] == draw).mean(measure) for draw in _draws(control)], axis=1
    )
    p_values = []
    for m in methods:
        videos, (own, random) = known(values.videos, values.of(m), chance)
        p_values.append(against_draws_p(own, random, videos, generator(seed, "permutation")))
    compared = paired_comparisons(differences, p_values, values.videos, generator(seed, "interval"), bounds)
    return dict(zip(methods, with_holm(compared, repeat(bounds)), strict=True))


def _draws(scores: ScoreTable) -> list[int]:
    """The numbers of a baseline's draws."""
    return sorted(scores.columns["draw"].unique().tolist())
