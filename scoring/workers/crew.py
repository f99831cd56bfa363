"""Hands frames out to workers, one by one, and goes on where workers die."""

import collections
from collections.abc import Generator, Sequence
from typing import Protocol

from common.console import warn
from common.errors import InputError
from scoring.workers.answers import Answer, Failure, Task
from scoring.workers.worker import Bug, Died, Done, Ready, Refused, Report

DEATHS = 2
"""So many workers may die at one frame, or in a row before they are ready, until it is given up."""


class Crew(Protocol):
    """Seats for workers: each holds one at a time, which does one thing at a time."""

    seats: int

    def start(self, seat: int) -> None:
        """Puts a new worker in a seat; its first report is Ready, Refused, Bug or Died."""
        ...

    def give(self, seat: int, task: Task) -> None:
        """Has the worker of a seat score a frame."""
        ...

    def reports(self) -> Sequence[tuple[int, Report]]:
        """Waits until something is reported, from which seat."""
        ...

    def close(self) -> None:
        """Ends every worker at once, also where there is none, or none any more."""
        ...


def hand_out(crew: Crew, tasks: Sequence[Task]) -> Generator[tuple[Task, Answer]]:
    """Every task with its answer, in the order in which workers finish them.

    A frame whose worker dies is given to another one, after the frames that wait; one that kills DEATHS workers is
    answered by a failure. Raises InputError where workers cannot be started, RuntimeError for a bug in one. The crew
    is closed in the end, however that comes.
    """
    waiting, doing, idle = collections.deque(tasks), dict[int, Task](), set[int]()
    deaths, stillborn = collections.Counter[Task](), 0
    try:
        for seat in range(min(crew.seats, len(tasks))):
            crew.start(seat)
        while waiting or doing:
            for seat, report in crew.reports():
                task = doing.pop(seat, None)
                match report:
                    case Ready():
                        stillborn = 0
                        idle.add(seat)
                    case Done(answer, warnings) if task is not None:
                        idle.add(seat)
                        for warning in warnings:
                            warn(warning)
                        yield task, answer
                    case Died(how) if task is not None:
                        deaths[task] += 1
                        if deaths[task] >= DEATHS:
                            yield task, Failure(f"{DEATHS} workers died of it; the last {how}")
                        else:
                            waiting.append(task)
                        crew.start(seat)
                    case Died(how):
                        stillborn += 1
                        if stillborn >= DEATHS * crew.seats:
                            raise InputError(f"workers die before they are ready: the last {how}; try fewer --workers")
                        crew.start(seat)
                    case Refused(reason):
                        raise InputError(f"a worker cannot start: {reason}")
                    case Bug(trace):
                        raise RuntimeError(f"in a worker:\n{trace}")
            while waiting and idle:
                seat, task = idle.pop(), waiting.popleft()
                doing[seat] = task
                crew.give(seat, task)
    finally:
        crew.close()
