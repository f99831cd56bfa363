"""How many flips outlive a transform of the attacked picture: the detector still calls it Real.

A frame that the transform alone, without any attack, makes the detector call Real says nothing about the attack: its
flips do not count for that transform.
"""

from dataclasses import dataclass

import numpy as np

from analysis.score_subsets import Rows
from analysis.statistics import Estimate, ratio_intervals
from analysis.statistics.videos import how_many
from common.seeds import generator
from runs.conditions import detected
from runs.frame_table import FRAMES
from runs.score_table import ScoreTable, as_score_table
from runs.transform_columns import REAL_AFTER
from scoring.records import SURVIVES


@dataclass(frozen=True)
class SurvivingFlips:
    """How many flips outlive one transform.

    Attributes:
        share: of the flips, those that do, with its interval over videos; NaN without a flip.
        flips: attacked regions that flipped, on frames that the transform alone does not turn to Real.
        survived: how many of them the detector still calls Real.
    """

    share: Estimate
    flips: int
    survived: int


def transforms(rows: Rows) -> tuple[str, ...]:
    """The names of the transforms that a run's rows were asked about."""
    measures = as_score_table(rows).store.measures
    return tuple(name.removeprefix(SURVIVES) for name in measures if name.startswith(SURVIVES))


def turned_alone(frames: Rows, transform: str) -> tuple[str, ...]:
    """The frames called fake that the transform alone makes the detector call Real.

    `frames` are the lines of the run's frames (`runs.frame_table`). Raises ValueError where they do not say.
    """
    lines = as_score_table(frames, FRAMES)
    if REAL_AFTER + transform not in lines.store.measures:
        raise ValueError(
            f"what {transform} alone does is not known: the lines of frames have no {REAL_AFTER}{transform}"
        )
    return tuple(lines.frames["key"][lines.any(REAL_AFTER + transform)].tolist())


def counted(rows: Rows, frames: Rows, transform: str) -> ScoreTable:
    """The detected frames in scores whose flips count for a transform."""
    fakes = detected(as_score_table(rows))
    return fakes.with_frames(~fakes.frames["key"].isin(turned_alone(frames, transform)).to_numpy(dtype=bool))


def surviving_flips(rows: Rows, frames: Rows, transform: str, seed: int) -> dict[str, SurvivingFlips]:
    """How many of the flips in scores outlive a transform, by method and baseline.

    Every flip weighs the same; intervals are of a ratio of means by frame (`analysis.statistics.ratio`), and end at 0
    and 1.

    Args:
        rows: the scores that are counted: under one attack, at some depths.
        frames: the lines of the run's frames.
        transform: its name.
        seed: of the run's draws.
    """
    scores = counted(rows, frames, transform)
    return {method: _surviving(part, transform, seed) for method, part in scores.by("method").items()}


def _surviving(scores: ScoreTable, transform: str, seed: int) -> SurvivingFlips:
    flips, survived = np.zeros(len(scores)), np.zeros(len(scores))
    for values in scores.each(SURVIVES + transform):
        flips += ~np.isnan(values)
        survived += values == 1
    kept = flips > 0
    if not kept.any():
        return SurvivingFlips(Estimate(), 0, 0)
    flips, survived, videos = flips[kept], survived[kept], scores.videos[kept]
    draws = generator(seed, "survives", transform)
    low, high = np.clip(ratio_intervals(survived[:, None], flips[:, None], videos, draws)[0], 0.0, 1.0)
    share = Estimate(float(survived.sum() / flips.sum()), float(low), float(high), len(flips), how_many(videos))
    return SurvivingFlips(share, int(flips.sum()), int(survived.sum()))
