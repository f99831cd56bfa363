"""Handing out: every frame is answered once, whatever workers do; what cannot go on says so."""

import collections
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from scoring.workers.answers import Failure, Parcel, Task
from scoring.workers.crew import DEATHS, hand_out
from scoring.workers.worker import Bug, Died, Done, Ready, Refused, Report

PARCEL = Parcel({}, [], None, 0.0)


class Pretend:
    """A crew whose workers do what a script says: at most one thing at a time, each report once."""

    def __init__(self, seats: int, deadly: Sequence[int] = (), first: Report = Ready(), seed: int = 0) -> None:  # noqa: B008
        self.seats = seats
        self.first = first
        self.deadly = collections.Counter(deadly)  # how often each place kills its worker
        self.order = random.Random(seed)
        self.due: dict[int, Report] = {}
        self.given: list[tuple[int, int]] = []
        self.started: list[int] = []
        self.closed = False

    def start(self, seat: int) -> None:
        assert seat not in self.due
        self.started.append(seat)
        self.due[seat] = self.first

    def give(self, seat: int, task: Task) -> None:
        assert seat not in self.due, "a worker was given a second thing"
        self.given.append((seat, task.place))
        if self.deadly[task.place]:
            self.deadly[task.place] -= 1
            self.due[seat] = Died("was ended by SIGKILL")
        else:
            self.due[seat] = Done(PARCEL, [f"warning of {task.place}"])

    def reports(self) -> Sequence[tuple[int, Report]]:
        assert self.due, "nobody is at work, so this would wait for ever"
        ready = self.order.sample(sorted(self.due), self.order.randint(1, len(self.due)))
        return [(seat, self.due.pop(seat)) for seat in ready]

    def close(self) -> None:
        self.closed = True


def tasks(count: int) -> list[Task]:
    return [Task(place, pictured=False) for place in range(count)]


@given(
    seats=st.integers(1, 5),
    count=st.integers(1, 12),
    deadly=st.lists(st.integers(0, 11), max_size=20),
    seed=st.integers(0, 1000),
)
def test_every_frame_is_answered_once_whoever_dies(seats: int, count: int, deadly: list[int], seed: int) -> None:
    crew = Pretend(seats, deadly, seed=seed)
    answers = list(hand_out(crew, tasks(count)))
    assert sorted(task.place for task, _ in answers) == list(range(count))
    expected = {place for place, times in collections.Counter(deadly).items() if times >= DEATHS and place < count}
    assert {task.place for task, answer in answers if isinstance(answer, Failure)} == expected
    asked = collections.Counter(place for _, place in crew.given)
    assert all(asked[place] == 1 + min(deadly.count(place), DEATHS - 1) for place in range(count))
    assert len(set(crew.started)) == min(seats, count), "more seats are taken than there are frames"
    assert crew.closed


def test_a_frame_that_kills_twice_is_a_failure_that_says_how() -> None:
    (_, answer), *_ = hand_out(Pretend(1, [0, 0]), tasks(1))
    assert answer == Failure("2 workers died of it; the last was ended by SIGKILL")


def test_a_worker_s_warnings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    list(hand_out(Pretend(1), tasks(2)))
    assert capsys.readouterr().err == "warning: warning of 0\nwarning: warning of 1\n"


@pytest.mark.parametrize(
    ("first", "error", "words"),
    [
        (Refused("no such file"), InputError, "a worker cannot start: no such file"),
        (Died("was ended by SIGKILL"), InputError, "workers die before they are ready: the last was ended by SIGKILL"),
        (Bug("Traceback: KeyError"), RuntimeError, "in a worker:\nTraceback: KeyError"),
    ],
)
def test_what_cannot_start_ends_the_run(first: Report, error: type[Exception], words: str) -> None:
    crew = Pretend(3, first=first)
    with pytest.raises(error) as caught:
        list(hand_out(crew, tasks(5)))
    assert words in str(caught.value)
    assert crew.closed


def test_workers_end_where_nobody_wants_the_answers_any_more() -> None:
    crew = Pretend(2)
    answers = hand_out(crew, tasks(5))
    next(answers)
    answers.close()
    assert crew.closed
