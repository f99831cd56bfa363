"""A worker: one detector, and the frames that it is given one at a time."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from common import console
from common.errors import InputError
from common.memory import no_memory, place, ran_out
from runs.selection import Selection
from runs.workers.messages import Answer, Score, Task, score_frame


class WorkerPlan(Protocol):
    """How a worker prepares itself: can be sent to another process."""

    def __call__(self, slot: int) -> tuple[Selection, Score]:
        """The run's frames and the worker's own scorer; `slot` counts workers from 0. Raises InputError."""
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
class StartupError:
    """A worker cannot prepare itself, for a reason that a user can remove."""

    reason: str


@dataclass(frozen=True)
class WorkerCrash:
    """The traceback of an error in a worker that is no fault of a frame."""

    trace: str


@dataclass(frozen=True)
class WorkerLost:
    """A worker ended without an answer; `how` it did, as far as is known."""

    how: str


Report = Ready | Done | StartupError | WorkerCrash | WorkerLost


class Worker:
    """Prepares itself once, then scores frames. Every method returns a report, and never raises."""

    def __init__(self, plan: WorkerPlan, slot: int) -> None:
        self._plan, self._slot = plan, slot

    def prepare(self) -> Report:
        """Loads what the plan says. Its warnings were shown when the run was prepared, so they are not repeated."""
        try:
            with console.withheld():
                self._selection, self._score = self._plan(self._slot)
        except InputError as error:
            return StartupError(str(error))
        except Exception as error:
            if ran_out(error):
                return StartupError(f"{no_memory(error)}, at {place(error)}; try fewer --workers")
            return WorkerCrash(traceback.format_exc())
        return Ready()

    def score(self, task: Task) -> Report:
        """The frame's result or failure, with the warnings on the way."""
        try:
            with console.withheld() as warnings:
                answer = score_frame(self._score, lambda: self._selection.frame(task.index), task, _silent)
        except Exception:
            return WorkerCrash(traceback.format_exc())
        return Done(answer, warnings)


def _silent(_stage: str) -> None:
    """Shows nothing: stages of several frames at once would only confuse."""
