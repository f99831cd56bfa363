"""Frames that were scored in part: what is missing of them, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from common.console import count
from scoring.attempts import from_text


@dataclass(frozen=True)
class MissingPart:
    """A part of one frame that failed while the rest of it was scored.

    Attributes:
        key: the frame.
        stage: which part (`scoring.attempts.StageFailure`); with its trial where the run has several.
        reason: why it failed.
    """

    key: str
    stage: str
    reason: str


def missing_parts(verdicts: pd.DataFrame) -> Iterator[MissingPart]:
    """What is missing of frames, in their order; `verdicts` are theirs (`scoring.records.FrameVerdict`)."""
    several = len(verdicts[["seed", "segmentation"]].drop_duplicates()) > 1
    chosen = verdicts.loc[verdicts["unscored"] != "", ["key", "seed", "segmentation", "unscored"]]
    for key, seed, segmentation, unscored in chosen.itertuples(index=False):
        trial = f" (seed {seed}, {segmentation})" if several else ""
        for failure in from_text(str(unscored)):
            yield MissingPart(str(key), f"{failure.stage}{trial}", failure.reason)


def partial_frames(parts: Sequence[MissingPart]) -> str:
    """How many frames lack what, in a sentence; "" for none."""
    if not parts:
        return ""
    frames: dict[str, set[str]] = {}
    for part in parts:
        frames.setdefault(part.stage, set()).add(part.key)
    listing = ", ".join(f"{len(keys)} without {stage}" for stage, keys in frames.items())
    return (
        f"Scored in part: {count(len({part.key for part in parts}), 'frame')}, {listing}. Each number is "
        "of the frames that have it, and comparisons are of the frames that have both; failures.csv says why, and "
        "another --run NAME tries them again."
    )
