"""The messages between a run and its workers: tasks, and their answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import FAILED, InputError
from common.process_state import kept_process_state
from data.frames import Frame
from runs.gallery.albums import album
from runs.gallery.sprites import Album
from scoring.attempts import NothingScoredError, StageFailure
from scoring.costs import Cost, ProgressCallback
from scoring.scored import Drift, Scored

Score = Callable[[Frame, ProgressCallback], Scored]
"""Scores a frame, and calls back with the name of each stage that begins."""

READING = "reading"


@dataclass(frozen=True)
class Task:
    """A frame to score: where it is in the selection, and whether the gallery shows it."""

    index: int
    pictured: bool


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What is kept of a scored frame.

    Attributes:
        records: by kind.
        costs: by stage.
        pictures: where they are asked for.
        seconds: that it took.
        failures: what of the frame could not be scored.
        drift: see `Scored`.
    """

    records: Mapping[type, Sequence[Any]]
    costs: Sequence[Cost]
    pictures: Album | None
    seconds: float
    failures: Sequence[StageFailure] = ()
    drift: Drift | None = None


@dataclass(frozen=True)
class Failure:
    """Why a frame cannot be scored.

    Attributes:
        reason: on one line.
        trace: where in the code, over several lines; "" where the reason says all.
    """

    reason: str
    trace: str = ""


Answer = FrameResult | Failure


def score_frame(score: Score, frame: Callable[[], Frame], task: Task, on_stage: ProgressCallback) -> Answer:
    """Scores a frame; whatever error this meets becomes a failure of the frame, but for a disk that cannot be read.

    Args:
        score: scores a frame.
        frame: reads the frame.
        task: whether its pictures are asked for.
        on_stage: called with the name of each stage that begins.

    Raises:
        OSError: of `frame`.
    """
    started, stage, read = time.perf_counter(), READING, None

    def tell(begun: str) -> None:
        nonlocal stage
        stage = begun
        on_stage(begun)

    try:
        read = frame()
        with kept_process_state(f"scoring {read.key}"):
            scored = score(read, tell)
        stage = "pictures"
        pictures = album(read, scored) if task.pictured else None
    except FAILED as error:
        if read is None and isinstance(error, OSError):
            raise
        return failure(error, stage)
    seconds = time.perf_counter() - started
    return FrameResult(scored.records, scored.costs, pictures, seconds, scored.failures, scored.drift)


def failure(error: BaseException, stage: str) -> Failure:
    """A failure in the words of the error; where they do not say so themselves, with the stage at which it was met."""
    failed = StageFailure.of(stage, error)
    if isinstance(error, NothingScoredError):
        return Failure(failed.reason, "\n".join(filter(None, (part.trace for part in error.failures))))
    return Failure(failed.reason if isinstance(error, InputError) else str(failed), failed.trace)
