"""Which worker pool is started for what was asked, and that no worker stays when the work is over."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.errors import InputError
from runs.configuration import DetectorIdentity
from runs.run_options import EvaluationOptions
from runs.workers import start
from runs.workers.start import PreparedRun, WorkerOptions, prepared_parts, worker_pool
from tests.runs.workers.test_worker_pool import Pretend


def prepared(weights: str = "a", code: str = "b", keys: tuple[str, ...] = ("x.png",)) -> Any:
    """What of a prepared run says from which files it is."""
    detector = DetectorIdentity("net.pth", weights, ("Real", "Fake"), 16)
    configuration = SimpleNamespace(detector=detector, own_code={"mine": code})
    told: list[Any] = []
    selection = SimpleNamespace(keys=keys, stamps={"x.png": b"of the run"}, told=told, expect=told.append)
    return SimpleNamespace(configuration=configuration, selection=selection, scorer="scorer")


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({}, None),
        ({"weights": "c"}, "the detector changed since the run was started"),
        ({"code": "c"}, "the user's own code changed since the run was started"),
        ({"weights": "c", "keys": ("y.png",)}, "the detector and the frames' index changed since the run was started"),
    ],
)
def test_a_worker_that_finds_other_files_than_the_run_did_scores_nothing(
    later: dict[str, Any], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "prepare_run", lambda options, **_: prepared(**later))
    plan = PreparedRun(EvaluationOptions(), Path(), 1, prepared_parts(prepared()), {"x.png": b"of the run"})
    if said is None:
        selection, score = plan(0)
        assert score == "scorer"
        assert cast(Any, selection).told == [{"x.png": b"of the run"}], "pictures of other bytes are refused"
        return
    with pytest.raises(InputError, match=said):
        plan(0)


def test_a_crew_leaves_also_where_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second cluster cannot be joined while the first one is held."""
    pool = Pretend(2)
    monkeypatch.setattr(start, "ProcessPool", lambda plan, slots: pool)
    with worker_pool(WorkerOptions(workers=2), prepared(), EvaluationOptions(), Path()) as found:
        assert found is pool
        assert not pool.closed
    assert pool.closed


def test_one_process_needs_no_crew() -> None:
    for worker_options in (WorkerOptions(), WorkerOptions(workers=1)):
        with worker_pool(worker_options, prepared(), EvaluationOptions(), Path()) as found:
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
