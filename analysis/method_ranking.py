"""Scores the methods and says which beat chance and which each other, under every condition of a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, repeat

import numpy as np
import pandas as pd

from analysis.condition_values import DROP, FLIPS, Values, values
from analysis.headline import NO_FLIP, Condition, Headline, HeadlineLine
from analysis.score_subsets import Rows
from analysis.statistics import (
    OF_DROPS,
    Estimate,
    PairedComparison,
    RatioScore,
    compare_drops,
    compare_with_draws,
    corrected_interval,
    estimates,
    ratio_scores,
    videos_needed,
    with_holm,
)
from analysis.statistics.videos import how_many
from analysis.surviving_flips import SurvivingFlips, surviving_flips, transforms
from common.seeds import generator
from runs.conditions import MEAN, depth_groups, detected, main_condition
from runs.score_table import ScoreTable, as_score_table, of_family
from scoring.baselines.table import BASELINES, RANDOM_AREA, UNINFORMED

_SAME = 1e-6  # drops closer than this are equal, as the oracle takes them


def rank_methods(rows: Rows, seed: int, frames: Rows | None = None) -> list[Headline]:
    """Scores and compares the methods: under each attack, for all frames, each family, and each other segmentation.

    The first headline is the answer: of the first attack at its main budget on the run's own segments. Methods are
    compared with random regions, corrected over the methods (Holm); only one that differs from those is then compared
    with the others, corrected over all pairs, so that where nothing matters both together are wrong in 5 % of the runs.
    Nothing without a frame that is called fake.

    Args:
        rows: a run's scores.
        seed: the run's, for resamples and permutations.
        frames: the lines of its frames (`runs.frame_table`); needed where the run asks what its flips outlive.
    """
    lines_of_frames = pd.DataFrame() if frames is None else frames
    fakes = detected(as_score_table(rows))
    if not len(fakes):
        return []
    columns = fakes.columns
    first = columns["segmentation"].iloc[0]
    headlines = []
    for attack in columns["attack"].unique():
        under = fakes.with_columns(main_condition(columns[columns["attack"] == attack]))
        families = under.families
        headlines.append(_headline(under, lines_of_frames, Condition(str(attack)), seed, pairs=True))
        if len(families) > 1:
            headlines += [
                _headline(of_family(under, family), lines_of_frames, Condition(str(attack), family=family), seed)
                for family in families
            ]
        for segmentation in columns["segmentation"].unique():
            if segmentation != first:
                chosen = columns[(columns["attack"] == attack) & (columns["segmentation"] == segmentation)]
                part = fakes.with_columns(main_condition(chosen))
                condition = Condition(str(attack), segmentation=str(segmentation))
                headlines.append(_headline(part, lines_of_frames, condition, seed))
    return headlines


def _headline(score_table: ScoreTable, frames: Rows, condition: Condition, seed: int, pairs: bool = False) -> Headline:
    uninformed = [name for name in UNINFORMED if name in set(score_table.columns["method"])]
    methods = [str(name) for name in score_table.columns["method"].unique() if name not in BASELINES]
    every_drop, flips = (values(score_table, measure, [*methods, *uninformed]) for measure in (DROP, FLIPS))
    drop = every_drop.of(methods)
    videos, needed = how_many(drop.videos), videos_needed(len(methods), max(1, drop.draws.shape[2]))
    kind = _Kind(score_table, frames, condition, seed, every_drop, flips, needed, pairs)
    lines = kind.lines(methods, uninformed if pairs else ())
    above = np.nan_to_num(drop.own - drop.oracle[:, None])
    return Headline(
        condition,
        lines,
        kind.lines(uninformed) if uninformed else (),
        videos,
        needed,
        frames_above_oracle=int((above > _SAME).any(axis=1).sum()),
        most_above_oracle=float(above.max(initial=0.0)),
    )


@dataclass(frozen=True)
class _Kind:
    """Makes the lines of a kind, explanations or baselines, under one condition."""

    score_table: ScoreTable
    frames: Rows
    condition: Condition
    seed: int
    drop: Values
    flips: Values
    needed: int
    pairs: bool

    @property
    def purpose(self) -> tuple[str, ...]:
        return self.condition.attack, self.condition.family, self.condition.segmentation

    def lines(self, names: Sequence[str], opponents: Sequence[str] = ()) -> tuple[HeadlineLine, ...]:
        """The lines of some rankings, tested against random regions and the `opponents`, corrected over these names."""
        if not names:
            return ()
        drop, flips = self.drop.of(names), self.flips.of(names)
        scores, flip_scores = (self._ratios(quantity) for quantity in (drop, flips))
        means, rates = (
            estimates(
                quantity.own, quantity.videos, generator(self.seed, "mean", *self.purpose), _bounds(quantity is flips)
            )
            for quantity in (drop, flips)
        )
        against = self._against(drop, opponents)
        better = _better(drop, self.seed, self.purpose) if self.pairs else {}
        columns, survives, stability = self.score_table.columns, self._survives(), self._stability(names)
        lines = []
        for index, name in enumerate(names):
            compared = {opponent: pairs[index] for opponent, pairs in against.items()}
            scored, own = not scores[index].undefined, means[index].videos
            significant = scored and RANDOM_AREA in compared and compared[RANDOM_AREA].is_significant
            lines.append(
                HeadlineLine(
                    method=name,
                    score=self._shown(corrected_interval(scores[index].score, len(names), significant), own),
                    fill=str(columns.loc[columns["method"] == name, "fill"].iloc[0]) if "fill" in columns else "",
                    flips=self._shown(flip_scores[index].score, own),
                    drop=self._shown(means[index], own),
                    flip_rate=self._shown(rates[index], own),
                    frames=means[index].frames,
                    videos=own,
                    undefined=scores[index].coincide,
                    unscored=scores[index].undefined,
                    is_significant=significant,
                    against=compared,
                    better_than=better.get(name, ()) if significant else (),
                    survives={transform: by_method[name] for transform, by_method in survives.items()},
                    stability=stability[name],
                )
            )
        return tuple(lines)

    def _ratios(self, quantity: Values) -> list[RatioScore]:
        """The scores on a quantity; none where nothing flips, as a share of what flips no verdict is no share of it."""
        draws = generator(self.seed, "headline", *self.purpose)
        scores = ratio_scores(quantity.own, quantity.areas, quantity.oracle, quantity.videos, draws)
        if self.score_table.any("flipped_to_real").any():
            return scores
        return [score if score.undefined else _unscored(score) for score in scores]

    def _against(self, drop: Values, opponents: Sequence[str]) -> dict[str, list[PairedComparison]]:
        """Each ranking's drops less those of random regions and of the opponents, each corrected over the rankings."""
        if how_many(drop.videos) < 2:
            return {}
        compared: dict[str, list[PairedComparison]] = {}
        if not np.isnan(drop.draws).all():
            chance = [
                compare_with_draws(own, draws, drop.videos, generator(self.seed, "chance", *self.purpose))
                for own, draws in zip(drop.own.T, drop.draws.transpose(1, 0, 2), strict=True)
            ]
            compared[RANDOM_AREA] = list(with_holm(chance, repeat(OF_DROPS)))
        for opponent in opponents:
            theirs = self.drop.of([opponent]).own[:, 0]
            pairs = [
                compare_drops(own, theirs, drop.videos, generator(self.seed, "uninformed", *self.purpose))
                for own in drop.own.T
            ]
            compared[opponent] = list(with_holm(pairs, repeat(OF_DROPS)))
        return compared

    @cached_property
    def _averaged(self) -> ScoreTable:
        """The scores at the depths that means are of."""
        columns = self.score_table.columns
        return self.score_table.with_columns(columns["depth"].isin(depth_groups(columns)[MEAN]))

    def _stability(self, names: Sequence[str]) -> dict[str, float]:
        by_method = self._averaged.by("method")
        return {name: by_method[name].overall("stability")[0] for name in names}

    def _survives(self) -> dict[str, dict[str, SurvivingFlips]]:
        averaged = self._averaged
        return {name: surviving_flips(averaged, self.frames, name, self.seed) for name in transforms(averaged)}

    def _shown(self, estimate: Estimate, videos: int) -> Estimate:
        """Without its interval where what it is of is from fewer videos than a test needs."""
        return estimate if videos >= self.needed else replace(estimate, low=math.nan, high=math.nan)


def _unscored(ratio: RatioScore) -> RatioScore:
    """A score taken away, as nothing flips."""
    unknown = replace(ratio.score, value=math.nan, low=math.nan, high=math.nan)
    return replace(ratio, score=unknown, undefined=NO_FLIP)


def _bounds(are_rates: bool) -> tuple[float, float]:
    return (0.0 if are_rates else -1.0), 1.0


def _better(drops: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Which methods each method beats by its drop, corrected over all pairs."""
    couples = list(combinations(range(len(drops.methods)), 2))
    if not couples or how_many(drops.videos) < 2:
        return {}
    compared = with_holm(
        [
            compare_drops(drops.own[:, i], drops.own[:, j], drops.videos, generator(seed, "pair", *purpose))
            for i, j in couples
        ],
        repeat(OF_DROPS),
    )
    better: dict[str, list[str]] = {}
    for (i, j), pair in zip(couples, compared, strict=True):
        if pair.is_significant:
            winner, loser = (i, j) if pair.difference.value > 0 else (j, i)
            better.setdefault(drops.methods[winner], []).append(drops.methods[loser])
    return {winner: tuple(losers) for winner, losers in better.items()}
