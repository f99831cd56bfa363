"""Two runs on the frames that both called fake: by how much each score of each method differs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics import PairedComparison, paired_comparisons, sign_flip_p, with_holm
from analysis.statistics.method_pairs import ROUNDING
from common.seeds import generator
from runs.conditions import MEAN, conditions, depth_groups, detected
from runs.score_table import ScoreTable
from scoring.baselines.table import WHOLE

MEASURES = {"drop": (-2.0, 2.0), "flipped_to_real": (-1.0, 1.0)}
"""What is compared, with the bounds of a difference."""


@dataclass(frozen=True, kw_only=True)
class ScoreDifference(PairedComparison):
    """How one score of one method differs between two runs: second less first.

    Attributes:
        attack: its name, with the budget and the segments where they are not the main ones.
        method: an explanation method or a baseline.
        measure: of MEASURES.
        first, second: the means over the frames that both runs called fake, of all numbers of segments.
    """

    attack: str
    method: str
    measure: str
    first: float
    second: float


def score_differences(first: ScoreTable, second: ScoreTable, seed: int = 0) -> list[ScoreDifference]:
    """Every score that both runs have, p-values corrected over all of them; none where they share no frame."""
    shared = _scores(first).merge(_scores(second), on=["attack", "method", "key"], suffixes=("_first", "_second"))
    differences = []
    for (attack, method), rows in shared.groupby(["attack", "method"], sort=False):
        videos = rows["video_first"].to_numpy()
        for measure, bounds in MEASURES.items():
            before, after = (rows[f"{measure}_{end}"].to_numpy(dtype=float) for end in ("first", "second"))
            change = np.where(np.abs(after - before) <= ROUNDING, 0.0, after - before)  # of another batch or machine
            p = sign_flip_p(change, videos, generator(seed, "versus permutation", measure))
            draws = generator(seed, "versus", measure)
            (compared,) = paired_comparisons(change[:, None], [p], videos, draws, bounds)
            differences.append(
                ScoreDifference(
                    attack=str(attack),
                    method=str(method),
                    measure=measure,
                    first=float(np.mean(before)),
                    second=float(np.mean(after)),
                    **vars(compared),
                )
            )
    return with_holm(differences, [MEASURES[difference.measure] for difference in differences])


def _scores(scores: ScoreTable) -> pd.DataFrame:
    """The mean drop and flip rate of each frame, by attack and method."""
    fakes = detected(scores)
    attacks, columns = conditions(fakes.columns), fakes.columns
    chosen = columns["depth"].isin(depth_groups(columns)[MEAN]) | columns["method"].eq(WHOLE)
    frames = fakes.frames[["key", "video"]].astype(object)
    parts = [
        frames.assign(attack=attack, method=method, **{measure: part.mean(measure) for measure in MEASURES})
        for attack in attacks.unique()
        for method, part in fakes.with_columns(chosen & (attacks == attack)).by("method").items()
    ]
    empty = frames.iloc[:0].assign(attack="", method="", **dict.fromkeys(MEASURES, 0.0))
    return pd.concat([empty, *parts], ignore_index=True).dropna(subset=list(MEASURES))
