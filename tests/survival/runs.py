"""Runs that are ended from outside, again and again, and what is left of them in the end."""

import errno
import fcntl
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reporting.products import RunResults
from runs import run_folder
from runs.workers.processes import PRELOADED, ProcessPool
from runs.workers.ray_cluster import LOCAL, RayPool
from runs.workers.worker_pool import WorkerPool
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.whole_runs import score_and_report
from tests.runs.workers.stand_ins import METHODS, Plan
from tests.survival.inputs import PROFILE

LONG = PROFILE == "long"
ALONE, PROCESSES, RAY, PACKING = "one process", "workers", "Ray", "one process that packs"


@dataclass(frozen=True)
class Job:
    """One call of `run`, in a process of its own that may be killed.

    Attributes:
        path: the run's folder.
        plan: its frames and how they are scored.
        kind: ALONE, PROCESSES, RAY or PACKING: one process that packs finished frames three at a time.
        before: called first in that process, to make its world worse.
    """

    path: Path
    plan: Plan
    kind: str = ALONE
    before: Callable[[], None] | None = None

    def __call__(self) -> RunResults:
        if self.before is not None:
            self.before()
        if self.kind == PACKING:
            run_folder.PACK = 3
        selection, score = replace(self.plan, trouble={})(0)
        configuration = replace(CONFIGURATION, methods=METHODS, frames=selection.identity)
        results = score_and_report(self.path, configuration, selection, score, None, start_pool(self.kind, self.plan))
        assert isinstance(results, RunResults)
        return results


def start_pool(kind: str, plan: Plan) -> WorkerPool | None:
    """The worker pool of a kind; None for ALONE."""
    if kind == PROCESSES:
        return ProcessPool(plan, 2)
    if kind == RAY:
        pytest.importorskip("ray", reason="Ray is not installed")
        return RayPool(plan, LOCAL, slots=2, threads=1, gpus=0)
    return None


def start(job: Job) -> Any:
    """A job's process, just started. It is forked from a server that has imported all it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, "tests.survival.runs"])
    process = context.Process(target=job)
    process.start()
    return process


def finish(job: Job) -> None:
    """Runs a job to its end; it must end well."""
    process = start(job)
    process.join()
    assert process.exitcode == 0


def kill_often(jobs: Iterator[Job], kills: int, seconds: float, seed: int) -> Iterator[Path]:
    """Kills jobs at random moments in [0, `seconds`], `kills` times in all; gives the folder of each that is done.

    A job is started again after each kill until it ends by itself, as a user would; then the next one is begun. The
    last one, which has been killed often enough, is left to end.
    """
    chance, left = random.Random(seed), kills
    for job in jobs:
        while True:
            process = start(job)
            if left:
                process.join(chance.uniform(0, seconds))
            else:
                process.join()
            if process.exitcode is None:
                process.kill()
                process.join()
                left -= 1
                continue
            assert process.exitcode == 0
            yield job.path
            break
        if not left:
            return


def tables(found: dict[str, bytes]) -> dict[str, bytes]:
    """Of the contents of a run what is made of all its frames, however those are kept."""
    return {name: content for name, content in found.items() if "/" not in name}


def timed(job: Job) -> float:
    """The seconds that a job takes from its start to its end."""
    started = time.monotonic()
    finish(job)
    return time.monotonic() - started


def jumping_clock() -> None:
    """A wall clock that jumps days forwards and backwards at every look."""
    real, chance = time.time, random.Random(0)

    def jumping() -> float:
        return real() + chance.uniform(-1e6, 1e6)

    time.time = jumping


def slow_storage() -> None:
    """A file system that takes its time over whatever must be on it for certain, and knows no locks."""
    for name in ("fsync", "replace"):
        setattr(os, name, _slow(getattr(os, name)))

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl.flock = unknown  # type: ignore[assignment]


def _slow(call: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*words: Any, **named: Any) -> Any:
        time.sleep(0.02)
        return call(*words, **named)

    return slow
