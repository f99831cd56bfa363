"""One quantity of the detected frames under one condition: the methods', their random regions' and the oracle's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.score_subsets import Rows
from runs.conditions import MEAN, depth_groups
from runs.score_table import ScoreTable, as_score_table
from scoring.baselines.table import BASELINES, ORACLE, RANDOM, RANDOM_AREA

DROP, FLIPS = "drop", "flipped_to_real"


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

    def of(self, names: Sequence[str]) -> "Values":
        """The values of some of the methods."""
        chosen = [self.methods.index(name) for name in names]
        own, areas, draws = self.own[:, chosen], self.areas[:, chosen], self.draws[:, chosen]
        return Values(tuple(names), own, areas, draws, self.oracle, self.videos)


def values(rows: Rows, measure: str, named: Sequence[str] = ()) -> Values:
    """The values of a measure under one condition; `rows` are of detected frames.

    Of the explanation methods, or of those that are named, baselines among them.
    """
    scores = as_score_table(rows)
    scores = scores.with_columns(scores.columns["depth"].isin(depth_groups(scores.columns)[MEAN]))
    own, none = scores.by("method"), np.full(len(scores), np.nan)
    methods = tuple(named) or tuple(method for method in own if method not in BASELINES)
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
    """What each ranking is tested against: random regions of its own area, else of its number of segments; (n, m, d).

    NaN for a ranking that has none.
    """
    drawn: dict[ScoreTable | None, np.ndarray] = {}
    for own in owned:
        if own is not None and own not in drawn:  # all may share theirs
            drawn[own] = own.table(measure, "draw").sort_index(axis=1, key=lambda draws: draws.astype(int)).to_numpy()
    drawn[None] = np.full((len(scores), max((draws.shape[1] for draws in drawn.values()), default=0)), np.nan)
    return np.stack([drawn[own] for own in owned], axis=1) if owned else np.zeros((len(scores), 0, 0))


def _stacked(columns: list[np.ndarray], scores: ScoreTable) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.zeros((len(scores), 0))
