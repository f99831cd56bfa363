"""Who is hired for what was asked, and that nobody stays when the work is over."""

from pathlib import Path

import pytest

from scoring.setup import Options
from scoring.workers import hiring
from scoring.workers.hiring import Staff, hired
from tests.scoring.workers.test_crew import Pretend


def test_a_crew_leaves_also_where_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second cluster cannot be joined while the first one is held."""
    crew = Pretend(2)
    monkeypatch.setattr(hiring, "Processes", lambda plan, seats: crew)
    with hired(Staff(workers=2), Options(), Path()) as found:
        assert found is crew
        assert not crew.closed
    assert crew.closed


def test_one_process_needs_no_crew() -> None:
    for staff in (Staff(), Staff(workers=1)):
        with hired(staff, Options(), Path()) as found:
            assert found is None


def test_threads_are_shared_equally_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiring.torch, "get_num_threads", lambda: 8)
    counts = [Staff(), Staff(workers=3), Staff(workers=20), Staff(workers=3, threads=5), Staff(workers=3, ray="auto")]
    assert [staff.threads_each() for staff in counts] == [8, 2, 1, 5, 1]
