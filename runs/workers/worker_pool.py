"""Dispatches frames to workers, one by one, and replaces workers that are lost."""

import collections
from collections.abc import Generator, Sequence
from typing import Protocol

from common.console import warn
from common.errors import InputError
from runs.workers.messages import Answer, Failure, Task
from runs.workers.worker import Done, Ready, Report, StartupError, WorkerCrash, WorkerLost

MAX_CRASHES = 2
"""Workers lost at one frame until it counts as failed; failed starts in a row, for each slot, until the run ends."""


class WorkerPool(Protocol):
    """Slots for workers: each holds one worker at a time, which does one thing at a time."""

    slots: int

    def start(self, slot: int) -> None:
        """Starts a new worker in a slot; its first report is Ready, StartupError, WorkerCrash or WorkerLost."""
        ...

    def give(self, slot: int, task: Task) -> None:
        """Gives the worker of a slot a frame to score."""
        ...

    def reports(self) -> Sequence[tuple[int, Report]]:
        """Waits until there are reports, and returns each with its slot."""
        ...

    def close(self) -> None:
        """Ends every worker at once, also where there is none, or none any more."""
        ...


def dispatch(pool: WorkerPool, tasks: Sequence[Task]) -> Generator[tuple[Task, Answer]]:
    """Every task with its answer, in the order in which workers finish them.

    A frame whose worker is lost is given to another one, after the frames that wait; one that loses MAX_CRASHES
    workers is answered by a failure. The pool is closed in the end, also by an error. Raises InputError where workers
    cannot be started, RuntimeError for an error in a worker that is no fault of a frame.
    """
    waiting, doing, idle = collections.deque(tasks), dict[int, Task](), set[int]()
    crashes, failed_starts = collections.Counter[Task](), 0
    try:
        for slot in range(min(pool.slots, len(tasks))):
            pool.start(slot)
        while waiting or doing:
            for slot, report in pool.reports():
                task = doing.pop(slot, None)
                match report:
                    case Ready():
                        failed_starts = 0
                        idle.add(slot)
                    case Done(answer, warnings) if task is not None:
                        idle.add(slot)
                        for warning in warnings:
                            warn(warning)
                        yield task, answer
                    case WorkerLost(how) if task is not None:
                        crashes[task] += 1
                        if crashes[task] >= MAX_CRASHES:
                            yield task, Failure(f"{MAX_CRASHES} workers died of it; the last {how}")
                        else:
                            waiting.append(task)
                        pool.start(slot)
                    case WorkerLost(how):
                        failed_starts += 1
                        if failed_starts >= MAX_CRASHES * pool.slots:
                            raise InputError(f"workers die before they are ready: the last {how}; try fewer --workers")
                        pool.start(slot)
                    case StartupError(reason):
                        raise InputError(f"a worker cannot start: {reason}")
                    case WorkerCrash(trace):
                        raise RuntimeError(f"in a worker:\n{trace}")
            while waiting and idle:
                slot, task = idle.pop(), waiting.popleft()
                doing[slot] = task
                pool.give(slot, task)
    finally:
        pool.close()
