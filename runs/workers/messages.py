"""The messages between a run and its workers: tasks, and their answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import InputError
from data.frames import Frame
from runs.gallery.albums import album
from runs.gallery.sprites import Album
from scoring.costs import Cost
from scoring.frame import ProgressCallback, Scored

Score = Callable[[Frame, ProgressCallback], Scored]
"""Scores a frame, and calls back with the name of each stage that begins."""

FRAME_ERRORS = (ValueError, ArithmeticError, RuntimeError)  # what numerical code raises on an image it cannot handle


@dataclass(frozen=True)
class Task:
    """A frame to score: where it is in the selection, and whether the gallery shows it."""

    index: int
    pictured: bool


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What is kept of a scored frame: its records by kind, its costs, its pictures where asked for, and its seconds."""

    records: Mapping[type, Sequence[Any]]
    costs: Sequence[Cost]
    pictures: Album | None
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why a frame cannot be scored."""

    reason: str


Answer = FrameResult | Failure


def score_frame(score: Score, frame: Callable[[], Frame], task: Task, on_stage: ProgressCallback) -> Answer:
    """Scores a frame; an error that is the frame's fault (FRAME_ERRORS) becomes a failure.

    Args:
        score: scores a frame.
        frame: reads the frame.
        task: whether its pictures are asked for.
        on_stage: called with the name of each stage that begins.

    Raises:
        Exception: any other error of `frame` or `score`.
    """
    started = time.perf_counter()
    try:
        read = frame()
        scored = score(read, on_stage)
        pictures = album(read, scored) if task.pictured else None
    except FRAME_ERRORS as error:
        return failure(error)
    return FrameResult(scored.records, scored.costs, pictures, time.perf_counter() - started)


def failure(error: Exception) -> Failure:
    """A failure in the words of the error."""
    text = " ".join(str(error).split())
    return Failure(text if isinstance(error, InputError) else f"{type(error).__name__}: {text}")
