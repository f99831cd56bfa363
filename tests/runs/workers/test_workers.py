"""Workers in other processes, here and on a Ray cluster, give what one process gives."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common import log
from common.errors import InputError
from reporting.products import RunResults
from runs.workers.processes import ProcessPool
from runs.workers.ray_cluster import LOCAL, RayPool
from runs.workers.worker_pool import WorkerPool
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.test_run import contents
from tests.runs.whole_runs import score_and_report
from tests.runs.workers.stand_ins import BUG, FAIL, KILL, KILL_ONCE, METHODS, Plan, left_after
from tests.scoring.stand_ins import write_frames

StartPool = Callable[[Plan], WorkerPool]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=3)


@pytest.fixture(scope="module")
def expected(index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes."""
    path = tmp_path_factory.mktemp("alone") / "run"
    score(path, Plan(index))
    return contents(path)


def processes(plan: Plan) -> WorkerPool:
    return ProcessPool(plan, 2)


def actors(plan: Plan) -> WorkerPool:
    pytest.importorskip("ray", reason="Ray is not installed")
    return RayPool(plan, LOCAL, slots=2, threads=1, gpus=0)


def score(path: Path, plan: Plan, start_pool: StartPool | None = None) -> RunResults:
    selection, alone = replace(plan, trouble={}, refuse=None, failed_starts=False)(0)
    configuration = replace(CONFIGURATION, methods=METHODS, frames=selection.identity)
    results = score_and_report(path, configuration, selection, alone, None, start_pool(plan) if start_pool else None)
    assert isinstance(results, RunResults)
    return results


@pytest.fixture
def nobody_left() -> Iterator[None]:
    """No worker outlives its run."""
    before = set(psutil.Process().children(recursive=True))
    yield
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        left = [each for each in set(psutil.Process().children(recursive=True)) - before if _scores(each)]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"{len(left)} workers were left")


def _scores(process: psutil.Process) -> bool:
    """Whether a process is a worker, and not the server that workers are forked from, or its resource tracker."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.parent() != psutil.Process()
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("nobody_left")
@pytest.mark.parametrize("start_pool", [processes, actors])
def test_workers_give_what_one_process_gives_also_where_some_die(
    index: Path, expected: dict[str, bytes], start_pool: StartPool, tmp_path: Path
) -> None:
    plan = Plan(index, {"Face2Face": KILL_ONCE, "FaceSwap": KILL_ONCE}, tmp_path / "notes")
    plan.notes.mkdir()
    score(tmp_path / "run", plan, start_pool)
    assert {path.name for path in plan.notes.iterdir()} == {"Face2Face", "FaceSwap"}, "no worker was killed"
    assert contents(tmp_path / "run") == expected


@pytest.mark.parametrize("start_pool", [processes, actors])
def test_a_frame_that_kills_two_workers_is_left_out_and_the_others_are_scored(
    index: Path, expected: dict[str, bytes], start_pool: StartPool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(index, {"FaceSwap/c23/videos/001": KILL, "Deepfakes/c23/videos/002": FAIL}, tmp_path)
    results = score(tmp_path / "run", plan, start_pool)
    assert len(results.failures) == 2
    (died, how), (failed, why) = sorted(results.failures.items(), key=lambda pair: "Deepfakes" in pair[0])
    assert "FaceSwap/c23/videos/001" in died
    assert how.startswith("2 workers died of it; the last was ")
    assert "Deepfakes/c23/videos/002" in failed
    assert why == "LIME: ValueError: no face"
    assert f"warning: {died} is left out: {how}" in capsys.readouterr().err
    assert len(results.rows) == 10
    score(tmp_path / "run", replace(plan, trouble={}), start_pool)
    assert contents(tmp_path / "run") == expected, "once the trouble is gone the same command ends in the same tables"


def test_a_worker_that_cannot_start_says_why(index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a worker cannot start: weights\.pt is damaged"):
        score(tmp_path / "run", Plan(index, refuse=InputError("weights.pt is damaged")), processes)
    with pytest.raises(InputError, match="workers die before they are ready: the last was ended by SIGKILL"):
        score(tmp_path / "run", Plan(index, failed_starts=True), processes)


def test_a_cluster_that_is_not_there_is_one_line(index: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(InputError, match=r"no Ray cluster is to be reached at '127\.0\.0\.1:1': .*refused"):
        RayPool(Plan(index), "127.0.0.1:1", slots=1, threads=1, gpus=0)


def test_a_bug_in_a_worker_keeps_its_traceback(index: Path, tmp_path: Path) -> None:
    with log.closing():
        log.open_in(tmp_path / "run")
        with pytest.raises(InputError, match=r"none of the 12 frames could be scored; the first: LIME: KeyError: 'a b"):
            score(tmp_path / "run", Plan(index, {"videos": BUG}), processes)
    logged = (tmp_path / "run" / "log.txt").read_text()
    assert logged.count("| KeyError: 'a bug'") == 12
    assert 'raise KeyError("a bug")' in logged


def test_a_worker_without_memory_to_start_says_so(index: Path, tmp_path: Path) -> None:
    short = MemoryError("Unable to allocate 3 GiB")
    with pytest.raises(
        InputError, match=r"cannot start: no memory is left \(Unable to allocate 3 GiB\), at .* in stand_"
    ):
        score(tmp_path / "run", Plan(index, refuse=short), processes)


def test_workers_end_with_the_process_that_they_work_for(index: Path, tmp_path: Path) -> None:
    context = ProcessPool(Plan(index), 1)._context
    driver = context.Process(target=_endless, args=(index, tmp_path / "run", tmp_path / "pids"))
    driver.start()
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "pids").glob("*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
        assert len(workers) == 2
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.join()
    assert not left_after(workers, seconds=60)


class _Noted(Plan):
    """Notes the process of each worker, and never ends."""

    def score(self, frame: object, tell: object) -> object:  # type: ignore[override]
        self.notes.mkdir(exist_ok=True)
        (self.notes / str(os.getpid())).touch()
        time.sleep(600)
        raise AssertionError("nobody ended this worker")


def _endless(index: Path, path: Path, notes: Path) -> None:
    score(path, _Noted(index, notes=notes), processes)
