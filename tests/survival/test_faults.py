"""Kills, full and read-only disks, memory, garbage, clocks and slow storage: the resumed tables are a clean run's.

In short form here; `FLIPSCOPE_INPUTS=long` kills 50 times in each way of running.
"""

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.errors import InputError
from data.index import read_index
from data.stores.lmdb_writer import LmdbWriter
from tests.runs.test_run import contents
from tests.runs.workers.stand_ins import MEMORY, Plan, left_after
from tests.scoring.stand_ins import TINY, write_frames
from tests.survival.runs import (
    ALONE,
    LONG,
    PACKING,
    PROCESSES,
    RAY,
    Job,
    finish,
    jumping_clock,
    kill_often,
    slow_storage,
    start,
    tables,
    timed,
)

KILLS = {ALONE: 8, PACKING: 4, PROCESSES: 6, RAY: 1}
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan(write_frames(tmp_path_factory.mktemp("frames"), videos=3), seconds=0.03)


@pytest.fixture(scope="module")
def expected(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a clean run in one process writes."""
    path = tmp_path_factory.mktemp("clean") / "run"
    finish(Job(path, plan))
    found = contents(path)
    assert len([name for name in found if name.startswith("frames/")]) == 12
    return found


@pytest.mark.parametrize("kind", KILLS)
def test_killed_at_random_moments(kind: str, plan: Plan, expected: dict[str, bytes], tmp_path: Path) -> None:
    seconds = timed(Job(tmp_path / "first", plan, kind))
    jobs = (Job(tmp_path / f"run-{number}", plan, kind) for number in range(10**6))
    finished = list(kill_often(jobs, 50 if LONG else KILLS[kind], seconds, seed=len(kind)))
    assert finished
    for path in (tmp_path / "first", *finished):
        assert tables(contents(path)) == tables(expected)
        if kind == PACKING:
            assert list(path.rglob("part-*.parquet")), "nothing was packed"
        else:
            assert contents(path) == expected


@pytest.mark.parametrize("kind", [ALONE, PROCESSES])
@pytest.mark.parametrize("before", [jumping_clock, slow_storage])
def test_odd_clocks_and_slow_storage_change_nothing(
    kind: str, before: Callable[[], None], plan: Plan, expected: dict[str, bytes], tmp_path: Path
) -> None:
    finish(Job(tmp_path / "run", plan, kind, before))
    assert contents(tmp_path / "run") == expected


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own, of that size; gives what mounts it anew with other options. Skips where not allowed."""
    path.mkdir()

    def mount(*words: str) -> bool:
        return subprocess.run(["mount", *words, str(path)], capture_output=True, check=False).returncode == 0

    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        pytest.skip("no file system may be mounted here")
    try:
        yield lambda options: assert_true(mount("-o", f"remount,{options}"))
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def assert_true(done: bool) -> None:
    assert done


@pytest.mark.parametrize("size", ["64k", "200k", "600k"])
def test_a_full_disk_loses_nothing(size: str, plan: Plan, expected: dict[str, bytes], tmp_path: Path) -> None:
    """Full among the frames, and among the tables."""
    with small_disk(tmp_path / "disk", size) as mount:
        job = Job(tmp_path / "disk" / "run", replace(plan, seconds=0.0))
        with pytest.raises(OSError, match="No space left") as caught:
            job()
        assert caught.value.errno == errno.ENOSPC
        mount("size=64m")
        job()
        assert contents(job.path) == expected


def test_a_read_only_folder_is_refused_and_left_alone(plan: Plan, expected: dict[str, bytes], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m") as mount:
        job = Job(tmp_path / "disk" / "run", replace(plan, seconds=0.0))
        job()
        for name in ("frames", "grades"):
            next((job.path / name).iterdir()).unlink()
        before = contents(job.path)
        mount("ro")
        with pytest.raises(OSError, match="Read-only file system") as caught:
            job()
        assert caught.value.errno == errno.EROFS
        assert contents(job.path) == before
        mount("rw")
        job()
        assert contents(job.path) == expected


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group of 64 MiB of memory."""
    group = MEMORY_GROUPS / f"flipscope-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(64 << 20))
    except OSError:
        pytest.skip("no memory control group (of version 1) may be made here")
    yield group
    deadline = time.monotonic() + 10
    while (group / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.1)
    group.rmdir()


def test_a_worker_that_the_system_kills_for_memory_costs_its_frame_only(
    little_memory: Path, plan: Plan, expected: dict[str, bytes], tmp_path: Path
) -> None:
    greedy = replace(plan, trouble={"Face2Face/c23/videos/002": f"{MEMORY}{little_memory}"})
    results = Job(tmp_path / "run", greedy, PROCESSES)()
    assert list(results.failures.values()) == [
        "2 workers died of it; the last was ended by SIGKILL, as the system does where memory runs out"
    ]
    assert len(results.rows) == 11
    Job(tmp_path / "run", plan)()
    assert contents(tmp_path / "run") == expected


@pytest.mark.parametrize("kind", [ALONE, PROCESSES])
def test_a_store_that_becomes_garbage_is_named_and_its_frames_can_be_scored_later(
    kind: str, plan: Plan, tmp_path: Path
) -> None:
    """Overwritten in place, and cut off: a reader may be killed by that (SIGBUS), which only workers survive."""
    store = tmp_path / "faces.lmdb"
    with LmdbWriter(store, map_size=2**22) as writer:
        entries = read_index(plan.index)
        writer.put([(each.key, (plan.index.parent / each.key).read_bytes()) for each in entries])
    whole = store.read_bytes()
    stored = replace(plan, images=store, seconds=0.2)
    finish(Job(tmp_path / "clean", stored))
    process = start(Job(tmp_path / "run", stored, kind))
    while len(list((tmp_path / "run" / "frames").glob("*.npy"))) < 3:
        assert process.is_alive()
        time.sleep(0.01)
    noise = random.Random(0).randbytes(len(whole))
    with store.open("r+b") as file:
        file.write(noise)
        file.truncate(len(noise) // 2 if kind == PROCESSES else len(noise))
    process.join()
    assert process.exitcode == 0 or kind == ALONE
    failed = (tmp_path / "run" / "failures.csv").read_text().splitlines()[1:] if process.exitcode == 0 else []
    assert len(failed) == (12 - len(list((tmp_path / "run" / "frames").glob("*.npy"))) if process.exitcode == 0 else 0)
    assert all("faces.lmdb" in line or "workers died of it" in line for line in failed)
    store.write_bytes(whole)
    finish(Job(tmp_path / "run", stored, kind))
    assert contents(tmp_path / "run") == contents(tmp_path / "clean")


def test_of_two_runs_on_a_folder_the_second_refuses_until_the_first_has_died(
    plan: Plan, expected: dict[str, bytes], tmp_path: Path
) -> None:
    first = start(Job(tmp_path / "run", replace(plan, seconds=60.0)))
    while not (tmp_path / "run" / "config.json").exists():
        assert first.is_alive()
        time.sleep(0.01)
    second = Job(tmp_path / "run", plan)
    with pytest.raises(InputError, match="another process is working on"):
        second()
    first.kill()
    first.join()
    assert (tmp_path / "run" / ".lock").exists(), "the lock's file stays, but nobody holds it"
    second()
    assert contents(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("sent", "workers", "ended"),
    [(signal.SIGINT, 1, (130, "interrupted")), (signal.SIGTERM, 2, (143, "terminated"))],
)
def test_a_signal_stops_an_evaluation_cleanly(
    sent: signal.Signals, workers: int, ended: tuple[int, str], tmp_path: Path
) -> None:
    index = write_frames(tmp_path / "frames", videos=12)
    words = ["--method", "RISE", "--frames", str(index), "--detector", "tests.scoring.stand_ins:PlantedDetector",
             "--results", str(tmp_path), "--run", "run", "--preset", "quick", "--threads", "1"]  # fmt: skip
    words += [word for each in TINY if each.startswith(("RISE", "nes", "segments")) for word in ("--set", each)]
    command = [sys.executable, "evaluate.py", *words, "--workers", str(workers)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=_hear_signals
    )
    frames, deadline = tmp_path / "run" / "frames", time.monotonic() + 120
    while len(list(frames.glob("*.npy"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    helpers = psutil.Process(process.pid).children(recursive=True)
    assert len(helpers) >= (workers if workers > 1 else 0)
    process.send_signal(sent)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == ended[0]
    assert told.splitlines()[-1] == f"error: {ended[1]}; what was finished is saved"
    assert "Traceback" not in told
    assert not left_after([each.pid for each in helpers], seconds=60)
    log = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert log[-1].endswith(f"ERROR   {ended[1]}; what was finished is saved")
    assert sum("scored in" in line for line in log) == len(list(frames.glob("*.npy")))


def _hear_signals() -> None:
    """A process started in the background ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
