"""What is asked of a worker, and what it answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import InputError
from data.frames import Frame
from scoring.albums import album
from scoring.costs import Cost
from scoring.frame import Scored, Tell
from scoring.gallery import Album

Score = Callable[[Frame, Tell], Scored]
"""From a frame to what scoring it gives; says which stage begins as it goes."""

WRONG = (ValueError, ArithmeticError, RuntimeError)  # what numerical code raises on an image it cannot handle


@dataclass(frozen=True)
class Task:
    """A frame to score: where it is in the selection, and whether the gallery shows it."""

    place: int
    pictured: bool


@dataclass(frozen=True, eq=False)
class Parcel:
    """What a scored frame leaves to be kept: its records by kind, its costs, its pictures where asked for, its time."""

    records: Mapping[type, Sequence[Any]]
    costs: Sequence[Cost]
    pictures: Album | None
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why a frame cannot be scored."""

    reason: str


Answer = Parcel | Failure


def score_frame(score: Score, frame: Callable[[], Frame], task: Task, tell: Tell) -> Answer:
    """Scores what `frame` reads. Raises what is no fault of the frame."""
    started = time.perf_counter()
    try:
        read = frame()
        scored = score(read, tell)
        pictures = album(read, scored) if task.pictured else None
    except WRONG as error:
        return failure(error)
    return Parcel(scored.records, scored.costs, pictures, time.perf_counter() - started)


def failure(error: Exception) -> Failure:
    """A failure in the words of the error."""
    text = " ".join(str(error).split())
    return Failure(text if isinstance(error, InputError) else f"{type(error).__name__}: {text}")
