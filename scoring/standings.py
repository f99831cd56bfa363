"""The answer of a run: where each explanation stands between random regions and the oracle, and who beats whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from common.seeds import generator
from scoring.page.content import Condition, Headline, HeadlineLine
from scoring.protocol import ARMS, ORACLE, RANDOM, RANDOM_AREA
from scoring.statistics import (
    DropPair,
    compare_drops,
    compare_with_draws,
    estimates,
    headlines,
    with_holm,
)
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


def stand(rows: pd.DataFrame, seed: int) -> list[Headline]:
    """Where the methods stand: under each attack, for all frames and each family, then for each other segmentation.

    The first is the answer: of the first attack at its main budget on the run's own segments. Methods are compared with
    random regions, corrected over the methods (Holm); only one that differs from those is then compared with the
    others, corrected over all pairs, so that where nothing matters both together are wrong in 5 % of the runs.
    """
    found = detected(rows)
    if found.empty:
        return []
    first = found["segmentation"].iloc[0]
    made = []
    for attack in found["attack"].unique():
        under = main_condition(found[found["attack"] == attack])
        families = [str(family) for family in under["family"].dropna().unique()]
        made.append(_headline(under, Condition(str(attack)), seed, pairs=True))
        if len(families) > 1:
            made += [
                _headline(under[under["family"] == family], Condition(str(attack), family=family), seed)
                for family in families
            ]
        for segmentation in found["segmentation"].unique():
            if segmentation != first:
                part = main_condition(found[(found["attack"] == attack) & (found["segmentation"] == segmentation)])
                made.append(_headline(part, Condition(str(attack), segmentation=str(segmentation)), seed))
    return made


def values(rows: pd.DataFrame, column: str) -> Values:
    """The values of a column under one condition; `rows` are of detected frames."""
    rows = rows[rows["depth"].isin(tops(rows)[MEAN])]
    wide = rows.assign(value=rows[column].astype(float))
    frames = pd.MultiIndex.from_frame(wide[["key", "video"]].drop_duplicates())
    methods = tuple(str(name) for name in wide["method"].unique() if name not in ARMS)

    def table(part: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
        return part.pivot_table(index=["key", "video"], columns=by, values="value", aggfunc="mean").reindex(frames)

    area = wide[wide["method"] == RANDOM_AREA]
    oracle = wide[wide["method"] == ORACLE]
    return Values(
        methods=methods,
        own=table(wide, "method")[list(methods)].to_numpy(),
        areas=table(area, "of").reindex(columns=list(methods)).to_numpy(),
        draws=_draws(wide, methods, frames),
        oracle=table(oracle, "method").reindex(columns=[ORACLE]).to_numpy()[:, 0],
        videos=frames.get_level_values("video").to_numpy(),
    )


def _draws(wide: pd.DataFrame, methods: Sequence[str], frames: pd.MultiIndex) -> np.ndarray:
    """What each method is tested against: random regions of its own area, else of its number of segments."""
    area, random = (wide[wide["method"] == arm] for arm in (RANDOM_AREA, RANDOM))
    owned = [area[area["of"] == method] if len(area) else random for method in methods]
    tables = [
        part.pivot_table(index=["key", "video"], columns="draw", values="value", aggfunc="mean").reindex(frames)
        for part in owned
    ]
    if not all(len(table.columns) for table in tables):
        return np.full((len(frames), len(methods), 0), np.nan)
    return np.stack([table.to_numpy() for table in tables], axis=1)


def _headline(rows: pd.DataFrame, condition: Condition, seed: int, pairs: bool = False) -> Headline:
    drop, flips = values(rows, DROP), values(rows, FLIPS)
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
                videos=len(set(drop.videos.tolist())),
                undefined=scores[place].coincide,
                certain=certain.get(method, False),
                better_than=better.get(method, ()) if certain.get(method) else (),
            )
            for place, method in enumerate(drop.methods)
        ),
    )


def _beyond_chance(found: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, bool]:
    """Which methods' drops differ from their random regions', corrected over the methods; nothing without any."""
    if not found.draws.shape[2] or len(set(found.videos.tolist())) < 2:
        return {}
    compared: list[DropPair] = [
        compare_with_draws(found.own[:, i], found.draws[:, i], found.videos, generator(seed, "chance", *purpose))
        for i in range(len(found.methods))
    ]
    return {m: pair.p_holm < ALPHA for m, pair in zip(found.methods, with_holm(compared), strict=True)}


def _better(found: Values, seed: int, purpose: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Which methods each method beats by its drop, corrected over all pairs."""
    couples = list(combinations(range(len(found.methods)), 2))
    if not couples or len(set(found.videos.tolist())) < 2:
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
