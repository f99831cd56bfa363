"""The answer of a run: how far each explanation is from random regions to the oracle, and which methods beat which."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.score_subsets import Rows
from analysis.statistics import (
    DropPair,
    Estimate,
    compare_drops,
    compare_with_draws,
    estimates,
    ratio_scores,
    with_holm,
)
from analysis.statistics.videos import how_many
from common.seeds import generator
from runs.conditions import MEAN, depth_groups, detected, main_condition
from runs.score_table import ScoreTable, as_score_table, of_family
from scoring.baselines.table import BASELINES, ORACLE, RANDOM, RANDOM_AREA

UNKNOWN = Estimate()
DROP, FLIPS = "drop", "flipped_to_real"


@dataclass(frozen=True)
class Condition:
    """Under what a headline was found: an attack, a manipulation ("" for all) and a segmentation ("" for the run's)."""

    attack: str
    family: str = ""
    segmentation: str = ""


@dataclass(frozen=True)
class HeadlineLine:
    """What one explanation is worth.

    Attributes:
        method: its name.
        score: (method - random-area) / (oracle - random-area) of the mean drop, averaged over the depths 1 to 3; 0 is
            no better than random regions of the same size, 1 as good as the best regions that can be found.
        flips: the same of the share of verdicts flipped.
        drop: the mean fall of p(target).
        flip_rate: the share of verdicts flipped to Real.
        frames: detected frames that these are means of.
        videos: that those are from.
        undefined: parts (frames, families, ...) without a score as random regions did as well as the oracle.
        is_significant: whether the score differs from 0 beyond chance, corrected for the methods compared.
        better_than: the methods with a lower score beyond chance, corrected likewise.
        stability: the mean probability that a re-run of the explanation has the same region, over frames and depths;
            NaN where not known.
    """

    method: str
    score: Estimate
    flips: Estimate = UNKNOWN
    drop: Estimate = UNKNOWN
    flip_rate: Estimate = UNKNOWN
    frames: int = 0
    videos: int = 0
    undefined: int = 0
    is_significant: bool = False
    better_than: tuple[str, ...] = ()
    stability: float = math.nan


@dataclass(frozen=True)
class Headline:
    """What the explanations are worth under one condition."""

    condition: Condition
    lines: tuple[HeadlineLine, ...]

    @property
    def ranked(self) -> tuple[HeadlineLine, ...]:
        """The lines, best first, those without a score last."""
        return tuple(sorted(self.lines, key=lambda line: (math.isnan(line.score.value), -line.score.value)))

    def of(self, method: str) -> HeadlineLine | None:
        """The line of a method, or None."""
        return next((line for line in self.lines if line.method == method), None)


@dataclass(frozen=True, eq=False)
class Values:
    """One quantity of the detected frames under one condition, means over the numbers of segments.

    Attributes:
        methods: the explanation methods' names.
        own: (n, m) their values.
        areas: (n, m) the mean of the random regions of each method's own area; NaN without that baseline.
        draws: (n, m, d) those regions draw by draw; where there are none, the draws of "random".
        oracle: (n,) its values; NaN without that baseline.
        videos: (n,) the number of each frame's video.
    """

    methods: tuple[str, ...]
    own: np.ndarray
    areas: np.ndarray
    draws: np.ndarray
    oracle: np.ndarray
    videos: np.ndarray


def rank_methods(rows: Rows, seed: int) -> list[Headline]:
    """Scores and compares the methods: under each attack, for all frames, each family, and each other segmentation.

    The first headline is the answer: of the first attack at its main budget on the run's own segments. Methods are
    compared with random regions, corrected over the methods (Holm); only one that differs from those is then compared
    with the others, corrected over all pairs, so that where nothing matters both together are wrong in 5 % of the runs.
    `rows` are a run's scores; `seed` is the run's, for resamples and permutations. Nothing without a frame that is
    called fake.
    """
    fakes = detected(as_score_table(rows))
    if not len(fakes):
        return []
    columns = fakes.columns
    first = columns["segmentation"].iloc[0]
    headlines = []
    for attack in columns["attack"].unique():
        under = fakes.with_columns(main_condition(columns[columns["attack"] == attack]))
        families = under.families
        headlines.append(_headline(under, Condition(str(attack)), seed, pairs=True))
        if len(families) > 1:
            headlines += [
                _headline(of_family(under, family), Condition(str(attack), family=family), seed) for family in families
            ]
        for segmentation in columns["segmentation"].unique():
            if segmentation != first:
                chosen = columns[(columns["attack"] == attack) & (columns["segmentation"] == segmentation)]
                part = fakes.with_columns(main_condition(chosen))
                headlines.append(_headline(part, Condition(str(attack), segmentation=str(segmentation)), seed))
    return headlines


def values(rows: Rows, measure: str) -> Values:
    """The values of a measure under one condition; `rows` are of detected frames."""
    scores = as_score_table(rows)
    scores = scores.with_columns(scores.columns["depth"].isin(depth_groups(scores.columns)[MEAN]))
    own, none = scores.by("method"), np.full(len(scores), np.nan)
    methods = tuple(method for method in own if method not in BASELINES)
    areas = own[RANDOM_AREA].by("of") if RANDOM_AREA in own else {}
    return Values(
        methods=methods,
        own=_stacked([own[method].mean(measure) for method in methods], scores),
        areas=_stacked([areas[m].mean(measure) if m in areas else none for m in methods], scores),
        draws=_draws([areas.get(m) for m in methods] if areas else [own.get(RANDOM)] * len(methods), measure, scores),
        oracle=own[ORACLE].mean(measure) if ORACLE in own else none,
        videos=scores.videos,
    )


def _draws(owned: Sequence[ScoreTable | None], measure: str, scores: ScoreTable) -> np.ndarray:
    """What each method is tested against: random regions of its own area, else of its number of segments; (n, m, d)."""
    known = [own for own in owned if own is not None]
    if not known or len(known) < len(owned):
        return np.full((len(scores), len(owned), 0), np.nan)
    drawn: dict[ScoreTable, np.ndarray] = {}
    for own in known:
        if own not in drawn:  # all methods may share theirs
            drawn[own] = own.table(measure, "draw").sort_index(axis=1, key=lambda draws: draws.astype(int)).to_numpy()
    return np.stack([drawn[own] for own in known], axis=1)


def _stacked(columns: list[np.ndarray], scores: ScoreTable) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.zeros((len(scores), 0))


def _headline(score_table: ScoreTable, condition: Condition, seed: int, pairs: bool = False) -> Headline:
    drop, flips = values(score_table, DROP), values(score_table, FLIPS)
    purpose = (condition.attack, condition.family, condition.segmentation)
    scores, flip_scores = (
        ratio_scores(
            quantity.own, quantity.areas, quantity.oracle, quantity.videos, generator(seed, "headline", *purpose)
        )
        for quantity in (drop, flips)
    )
    means, rates = (
        estimates(quantity.own, quantity.videos, generator(seed, "mean", *purpose), bounds)
        for quantity, bounds in ((drop, (-1.0, 1.0)), (flips, (0.0, 1.0)))
    )
    significant = _beyond_chance(drop, seed, purpose)
    better = _better(drop, seed, purpose) if pairs else {}
    of_mean = score_table.columns["depth"].isin(depth_groups(score_table.columns)[MEAN])
    stable = score_table.with_columns(of_mean).by("method")
    return Headline(
        condition,
        tuple(
            HeadlineLine(
                method=method,
                score=scores[index].score,
                flips=flip_scores[index].score,
                drop=means[index],
                flip_rate=rates[index],
                frames=len(drop.videos),
                videos=how_many(drop.videos),
                undefined=scores[index].coincide,
                is_significant=significant.get(method, False),
                better_than=better.get(method, ()) if significant.get(method) else (),
                stability=stable[method].overall("stability")[0],
            )
            for index, method in enumerate(drop.methods)
        ),
    )


def _beyond_chance(drops: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, bool]:
    """Which methods' drops differ from their random regions', corrected over the methods; nothing without any."""
    if not drops.draws.shape[2] or how_many(drops.videos) < 2:
        return {}
    compared: list[DropPair] = [
        compare_with_draws(drops.own[:, i], drops.draws[:, i], drops.videos, generator(seed, "chance", *purpose))
        for i in range(len(drops.methods))
    ]
    return {m: pair.is_significant for m, pair in zip(drops.methods, with_holm(compared), strict=True)}


def _better(drops: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Which methods each method beats by its drop, corrected over all pairs."""
    couples = list(combinations(range(len(drops.methods)), 2))
    if not couples or how_many(drops.videos) < 2:
        return {}
    compared = with_holm(
        [
            compare_drops(drops.own[:, i], drops.own[:, j], drops.videos, generator(seed, "pair", *purpose))
            for i, j in couples
        ]
    )
    better: dict[str, list[str]] = {}
    for (i, j), pair in zip(couples, compared, strict=True):
        if pair.is_significant:
            winner, loser = (i, j) if pair.difference.value > 0 else (j, i)
            better.setdefault(drops.methods[winner], []).append(drops.methods[loser])
    return {winner: tuple(losers) for winner, losers in better.items()}
