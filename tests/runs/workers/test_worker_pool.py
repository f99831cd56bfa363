"""Handing out: every frame is answered once, whatever workers do; what cannot go on says so."""

import collections
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from runs.workers.messages import Failure, FrameResult, Task
from runs.workers.worker import Done, Ready, Report, StartupError, WorkerCrash, WorkerLost
from runs.workers.worker_pool import MAX_CRASHES, dispatch

FRAME_RESULT = FrameResult({}, [], None, 0.0)


class Pretend:
    """A worker pool whose workers do what a script says: at most one thing at a time, each report once."""

    def __init__(self, slots: int, deadly: Sequence[int] = (), first: Report = Ready(), seed: int = 0) -> None:  # noqa: B008
        self.slots = slots
        self.first = first
        self.deadly = collections.Counter(deadly)  # how often each place kills its worker
        self.order = random.Random(seed)
        self.due: dict[int, Report] = {}
        self.given: list[tuple[int, int]] = []
        self.started: list[int] = []
        self.closed = False

    def start(self, slot: int) -> None:
        assert slot not in self.due
        self.started.append(slot)
        self.due[slot] = self.first

    def give(self, slot: int, task: Task) -> None:
        assert slot not in self.due, "a worker was given a second thing"
        self.given.append((slot, task.index))
        if self.deadly[task.index]:
            self.deadly[task.index] -= 1
            self.due[slot] = WorkerLost("was ended by SIGKILL")
        else:
            self.due[slot] = Done(FRAME_RESULT, [f"warning of {task.index}"])

    def reports(self) -> Sequence[tuple[int, Report]]:
        assert self.due, "nobody is at work, so this would wait for ever"
        ready = self.order.sample(sorted(self.due), self.order.randint(1, len(self.due)))
        return [(slot, self.due.pop(slot)) for slot in ready]

    def close(self) -> None:
        self.closed = True


def tasks(count: int) -> list[Task]:
    return [Task(place, pictured=False) for place in range(count)]


@given(
    slots=st.integers(1, 5),
    count=st.integers(1, 12),
    deadly=st.lists(st.integers(0, 11), max_size=20),
    seed=st.integers(0, 1000),
)
def test_every_frame_is_answered_once_whoever_dies(slots: int, count: int, deadly: list[int], seed: int) -> None:
    pool = Pretend(slots, deadly, seed=seed)
    answers = list(dispatch(pool, tasks(count)))
    assert sorted(task.index for task, _ in answers) == list(range(count))
    expected = {place for place, times in collections.Counter(deadly).items() if times >= MAX_CRASHES and place < count}
    assert {task.index for task, answer in answers if isinstance(answer, Failure)} == expected
    asked = collections.Counter(place for _, place in pool.given)
    assert all(asked[place] == 1 + min(deadly.count(place), MAX_CRASHES - 1) for place in range(count))
    assert len(set(pool.started)) == min(slots, count), "more slots are taken than there are frames"
    assert pool.closed


def test_a_frame_that_kills_twice_is_a_failure_that_says_how() -> None:
    (_, answer), *_ = dispatch(Pretend(1, [0, 0]), tasks(1))
    assert answer == Failure("2 workers died of it; the last was ended by SIGKILL")


def test_a_worker_s_warnings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    list(dispatch(Pretend(1), tasks(2)))
    assert capsys.readouterr().err == "warning: warning of 0\nwarning: warning of 1\n"


@pytest.mark.parametrize(
    ("first", "error", "words"),
    [
        (StartupError("no such file"), InputError, "a worker cannot start: no such file"),
        (
            WorkerLost("was ended by SIGKILL"),
            InputError,
            "workers die before they are ready: the last was ended by SIGKILL",
        ),
        (WorkerCrash("Traceback: KeyError"), RuntimeError, "in a worker:\nTraceback: KeyError"),
    ],
)
def test_what_cannot_start_ends_the_run(first: Report, error: type[Exception], words: str) -> None:
    pool = Pretend(3, first=first)
    with pytest.raises(error) as caught:
        list(dispatch(pool, tasks(5)))
    assert words in str(caught.value)
    assert pool.closed


def test_workers_end_where_nobody_wants_the_answers_any_more() -> None:
    pool = Pretend(2)
    answers = dispatch(pool, tasks(5))
    next(answers)
    answers.close()
    assert pool.closed
