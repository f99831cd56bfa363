"""The answer of a run: where each explanation stands between random regions and the oracle, and who beats whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from common.seeds import generator
from scoring.page.content import Condition, Headline, HeadlineLine
from scoring.protocol import ARMS, ORACLE, RANDOM, RANDOM_AREA
from scoring.sheet import Sheet, of_family, of_table
from scoring.statistics import (
    DropPair,
    compare_drops,
    compare_with_draws,
    estimates,
    headlines,
    with_holm,
)
from scoring.statistics.videos import how_many
from scoring.summary import ALPHA, MEAN, detected, main_condition, tops

DROP, FLIPS = "drop", "flipped_to_real"


@dataclass(frozen=True, eq=False)
class Values:
    """One quantity of the detected frames under one condition, means over the numbers of segments.

    Attributes:
        methods: the explanation methods' names.
        own: (n, m) their values.
        areas: (n, m) the mean of the random regions of each method's own area; NaN without that arm.
        draws: (n, m, d) those regions draw by draw; where there are none, the draws of "random".
        oracle: (n,) NaN without that arm.
        videos: (n,) of each frame.
    """

    methods: tuple[str, ...]
    own: np.ndarray
    areas: np.ndarray
    draws: np.ndarray
    oracle: np.ndarray
    videos: np.ndarray


def stand(rows: pd.DataFrame | Sheet, seed: int) -> list[Headline]:
    """Where the methods stand: under each attack, for all frames and each family, then for each other segmentation.

    The first is the answer: of the first attack at its main budget on the run's own segments. Methods are compared with
    random regions, corrected over the methods (Holm); only one that differs from those is then compared with the
    others, corrected over all pairs, so that where nothing matters both together are wrong in 5 % of the runs. `rows`
    are a run's scores, as a sheet or a tidy table.
    """
    found = detected(of_table(rows))
    if not len(found):
        return []
    columns = found.columns
    first = columns["segmentation"].iloc[0]
    made = []
    for attack in columns["attack"].unique():
        under = found.with_columns(main_condition(columns[columns["attack"] == attack]))
        families = under.families
        made.append(_headline(under, Condition(str(attack)), seed, pairs=True))
        if len(families) > 1:
            made += [
                _headline(of_family(under, family), Condition(str(attack), family=family), seed) for family in families
            ]
        for segmentation in columns["segmentation"].unique():
            if segmentation != first:
                chosen = columns[(columns["attack"] == attack) & (columns["segmentation"] == segmentation)]
                part = found.with_columns(main_condition(chosen))
                made.append(_headline(part, Condition(str(attack), segmentation=str(segmentation)), seed))
    return made


def values(rows: pd.DataFrame | Sheet, measure: str) -> Values:
    """The values of a measure under one condition; `rows` are of detected frames."""
    sheet = of_table(rows)
    sheet = sheet.with_columns(sheet.columns["depth"].isin(tops(sheet.columns)[MEAN]))
    own, none = sheet.by("method"), np.full(len(sheet), np.nan)
    methods = tuple(method for method in own if method not in ARMS)
    areas = own[RANDOM_AREA].by("of") if RANDOM_AREA in own else {}
    return Values(
        methods=methods,
        own=_stacked([own[method].mean(measure) for method in methods], sheet),
        areas=_stacked([areas[m].mean(measure) if m in areas else none for m in methods], sheet),
        draws=_draws([areas.get(m) for m in methods] if areas else [own.get(RANDOM)] * len(methods), measure, sheet),
        oracle=own[ORACLE].mean(measure) if ORACLE in own else none,
        videos=sheet.videos,
    )


def _draws(owned: Sequence[Sheet | None], measure: str, sheet: Sheet) -> np.ndarray:
    """What each method is tested against: random regions of its own area, else of its number of segments; (n, m, d)."""
    known = [each for each in owned if each is not None]
    if not known or len(known) < len(owned):
        return np.full((len(sheet), len(owned), 0), np.nan)
    made: dict[Sheet, np.ndarray] = {}
    for each in known:
        if each not in made:  # all methods may share theirs
            made[each] = each.table(measure, "draw").sort_index(axis=1, key=lambda draws: draws.astype(int)).to_numpy()
    return np.stack([made[each] for each in known], axis=1)


def _stacked(columns: list[np.ndarray], sheet: Sheet) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.zeros((len(sheet), 0))


def _headline(sheet: Sheet, condition: Condition, seed: int, pairs: bool = False) -> Headline:
    drop, flips = values(sheet, DROP), values(sheet, FLIPS)
    purpose = (condition.attack, condition.family, condition.segmentation)
    scores, flip_scores = (
        headlines(each.own, each.areas, each.oracle, each.videos, generator(seed, "headline", *purpose))
        for each in (drop, flips)
    )
    means, rates = (
        estimates(each.own, each.videos, generator(seed, "mean", *purpose), bounds)
        for each, bounds in ((drop, (-1.0, 1.0)), (flips, (0.0, 1.0)))
    )
    certain = _beyond_chance(drop, seed, purpose)
    better = _better(drop, seed, purpose) if pairs else {}
    return Headline(
        condition,
        tuple(
            HeadlineLine(
                method=method,
                score=scores[place].score,
                flips=flip_scores[place].score,
                drop=means[place],
                flip_rate=rates[place],
                frames=len(drop.videos),
                videos=how_many(drop.videos),
                undefined=scores[place].coincide,
                certain=certain.get(method, False),
                better_than=better.get(method, ()) if certain.get(method) else (),
            )
            for place, method in enumerate(drop.methods)
        ),
    )


def _beyond_chance(found: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, bool]:
    """Which methods' drops differ from their random regions', corrected over the methods; nothing without any."""
    if not found.draws.shape[2] or how_many(found.videos) < 2:
        return {}
    compared: list[DropPair] = [
        compare_with_draws(found.own[:, i], found.draws[:, i], found.videos, generator(seed, "chance", *purpose))
        for i in range(len(found.methods))
    ]
    return {m: pair.p_holm < ALPHA for m, pair in zip(found.methods, with_holm(compared), strict=True)}


def _better(found: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Which methods each method beats by its drop, corrected over all pairs."""
    couples = list(combinations(range(len(found.methods)), 2))
    if not couples or how_many(found.videos) < 2:
        return {}
    compared = with_holm(
        [
            compare_drops(found.own[:, i], found.own[:, j], found.videos, generator(seed, "pair", *purpose))
            for i, j in couples
        ]
    )
    better: dict[str, list[str]] = {}
    for (i, j), pair in zip(couples, compared, strict=True):
        if pair.p_holm < ALPHA:
            winner, loser = (i, j) if pair.difference.value > 0 else (j, i)
            better.setdefault(found.methods[winner], []).append(found.methods[loser])
    return {winner: tuple(losers) for winner, losers in better.items()}
