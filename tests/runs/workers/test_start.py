"""Which worker pool is started for what was asked, and that no worker stays when the work is over."""

from pathlib import Path

import pytest

from runs.run_options import EvaluationOptions
from runs.workers import start
from runs.workers.start import WorkerOptions, worker_pool
from tests.runs.workers.test_worker_pool import Pretend


def test_a_crew_leaves_also_where_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second cluster cannot be joined while the first one is held."""
    pool = Pretend(2)
    monkeypatch.setattr(start, "ProcessPool", lambda plan, slots: pool)
    with worker_pool(WorkerOptions(workers=2), EvaluationOptions(), Path()) as found:
        assert found is pool
        assert not pool.closed
    assert pool.closed


def test_one_process_needs_no_crew() -> None:
    for worker_options in (WorkerOptions(), WorkerOptions(workers=1)):
        with worker_pool(worker_options, EvaluationOptions(), Path()) as found:
            assert found is None


def test_threads_are_shared_equally_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.torch, "get_num_threads", lambda: 8)
    counts = [
        WorkerOptions(),
        WorkerOptions(workers=3),
        WorkerOptions(workers=20),
        WorkerOptions(workers=3, threads=5),
        WorkerOptions(workers=3, ray="auto"),
    ]
    assert [worker_options.threads_each() for worker_options in counts] == [8, 2, 1, 5, 1]
