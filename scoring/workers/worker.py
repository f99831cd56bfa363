"""A worker: one detector, and the frames that it is given one at a time."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from common import console
from common.errors import InputError
from scoring.selection import Selection
from scoring.workers.answers import Answer, Score, Task, score_frame


class Plan(Protocol):
    """How a worker prepares itself: can be sent to another process."""

    def __call__(self, seat: int) -> tuple[Selection, Score]:
        """The run's frames and the worker's own scorer; `seat` counts workers from 0. Raises InputError."""
        ...


@dataclass(frozen=True)
class Ready:
    """A worker has prepared itself."""


@dataclass(frozen=True)
class Done:
    """A task's answer, and the warnings on the way."""

    answer: Answer
    warnings: Sequence[str]


@dataclass(frozen=True)
class Refused:
    """A worker cannot prepare itself, for a reason that a user can mend."""

    reason: str


@dataclass(frozen=True)
class Bug:
    """Something that should not happen did: its traceback."""

    trace: str


@dataclass(frozen=True)
class Died:
    """A worker ended without an answer; how, as far as is known."""

    how: str


Report = Ready | Done | Refused | Bug | Died


class Worker:
    """Prepares itself once, then scores frames. Every method answers, and never raises."""

    def __init__(self, plan: Plan, seat: int) -> None:
        self._plan, self._seat = plan, seat

    def prepare(self) -> Report:
        """Loads what the plan says. Its warnings were told when the run was prepared, so they are not repeated."""
        try:
            with console.withheld():
                self._selection, self._score = self._plan(self._seat)
        except InputError as error:
            return Refused(str(error))
        except Exception:
            return Bug(traceback.format_exc())
        return Ready()

    def score(self, task: Task) -> Report:
        """The frame's parcel, or why there is none."""
        try:
            with console.withheld() as warnings:
                answer = score_frame(self._score, lambda: self._selection.frame(task.place), task, _silent)
        except Exception:
            return Bug(traceback.format_exc())
        return Done(answer, warnings)


def _silent(_stage: str) -> None:
    """Stages are not shown of several frames at once."""
