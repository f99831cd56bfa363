"""The options of a worker pool, and how they become one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from detectors.devices import resolve_device
from runs.run_options import EvaluationOptions
from runs.selection import Selection
from runs.setup import prepare_run
from runs.workers.messages import Score
from runs.workers.processes import ProcessPool
from runs.workers.ray_cluster import RayPool
from runs.workers.worker_pool import WorkerPool


@dataclass(frozen=True)
class WorkerOptions:
    """How many workers score a run, and where.

    Attributes:
        workers: how many processes, or actors of a Ray cluster; None for one, or as many as the cluster has room for.
        ray: the cluster's address, "local" for one that is started here, "auto" for the one that runs here; None for
            no cluster.
        threads: CPU threads of each worker; None for as many as torch takes, shared equally by several processes, or
            for 1 on a Ray cluster.
    """

    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Score in so many processes, each with a detector of its own (and a GPU)."
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Score on a Ray cluster: its address, auto, or nothing to start one here.",
        ),
    ] = None
    threads: int | None = None

    @property
    def alone(self) -> bool:
        """Whether this process scores every frame itself."""
        return self.ray is None and self.workers in (None, 1)

    def threads_each(self) -> int:
        """How many CPU threads each worker has."""
        if self.threads is not None:
            return self.threads
        if self.ray is not None:
            return 1
        return max(1, torch.get_num_threads() // (self.workers or 1))


@dataclass(frozen=True)
class PreparedRun:
    """A worker's plan: the run as `runs.setup.prepare_run` makes it from the same options, on the slot's own device."""

    options: EvaluationOptions
    folder: Path
    threads: int

    def __call__(self, slot: int) -> tuple[Selection, Score]:
        """See `WorkerPlan`."""
        torch.set_num_threads(self.threads)
        options = replace(self.options, device=device_of(self.options.device, slot))
        setup = prepare_run(options, folder=self.folder, as_written=True)
        return setup.selection, setup.scorer


def device_of(name: str, slot: int) -> str:
    """The device of a worker: of several CUDA devices each slot's own, in turn, unless `name` gives a number."""
    device = resolve_device(name)
    if device.type != "cuda" or device.index is not None:
        return str(device)
    return f"cuda:{slot % torch.cuda.device_count()}"


@contextmanager
def worker_pool(worker_options: WorkerOptions, options: EvaluationOptions, folder: Path) -> Iterator[WorkerPool | None]:
    """The worker pool that scores a run with these options in its folder; None where this process does. It is closed.

    Raises InputError for a cluster that is not to be had.
    """
    if worker_options.alone:
        yield None
        return
    pool = _pool(worker_options, options, folder)
    try:
        yield pool
    finally:
        pool.close()


def _pool(worker_options: WorkerOptions, options: EvaluationOptions, folder: Path) -> WorkerPool:
    plan = PreparedRun(options, folder, worker_options.threads_each())
    if worker_options.ray is None:
        return ProcessPool(plan, worker_options.workers or 1)
    gpus = 1.0 if resolve_device(options.device).type == "cuda" else 0.0
    return RayPool(plan, worker_options.ray, worker_options.workers, worker_options.threads_each(), gpus)
