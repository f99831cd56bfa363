"""The options of a worker pool, and how they become one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from common.errors import InputError
from data.stores.unchanged_images import Stamps
from detectors import Detector, Queries
from detectors.checks.consistency import differs, probes
from detectors.checks.gradient_check import known_to_mislead, note_misleading
from detectors.devices import resolve_device
from detectors.half_precision import half_types
from runs.asked_own_parts import given_here
from runs.first_given import FirstGiven, require_same_given
from runs.run_options import EvaluationOptions
from runs.selection import Selection
from runs.setup import RunSetup, prepare_run
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


_NAMES = {"detector": "the detector", "own_code": "the user's own code", "frames": "the frames' index"}
"""What parts of a configuration are called where the key would not say it."""


@dataclass(frozen=True)
class PreparedRun:
    """A worker's plan: the run as `runs.setup.prepare_run` makes it from the same options, on the slot's own device.

    Attributes:
        options: of the run.
        folder: of the run.
        threads: of the CPU, for each worker.
        parts: what the run's process prepared (`prepared_parts`): a worker that starts later, maybe in the place of one
            that was lost, or elsewhere, must find the same.
        stamps: of the pictures.
        answers: (3, C), what the detector of the run's process says of pictures of noise.
        given: what the own parts of the run's process give of its first frame; None without such parts.
        misleads: whom the detector's gradient misleads, as the run's process has warned of (`known_to_mislead`).
    """

    options: EvaluationOptions
    folder: Path
    threads: int
    parts: Mapping[str, str]
    stamps: Stamps
    answers: Tensor
    given: FirstGiven | None = None
    misleads: tuple[str, ...] = ()

    def __call__(self, slot: int) -> tuple[Selection, Score]:
        """See `WorkerPlan`.

        Raises InputError where the detector, code, frames or what own parts give are others than the run's by now.
        """
        torch.set_num_threads(self.threads)
        options = replace(self.options, device=device_of(self.options.device, slot))
        setup = prepare_run(options, folder=self.folder, as_written=True)
        found = prepared_parts(setup)
        if changed := [part for part in self.parts.keys() | found.keys() if found.get(part) != self.parts.get(part)]:
            raise InputError(
                f"{' and '.join(sorted(changed))} changed since the run was started, or differs where a worker runs: "
                "put back what was there, or start another run"
            )
        _require_same(setup.scorer.detector, self.answers)
        note_misleading(setup.scorer.detector, *self.misleads)
        setup.selection.expect(self.stamps)
        if self.given is not None:
            require_same_given(self.given, given_here(setup.scorer, setup.selection, self.given))
        return setup.selection, setup.scorer


def prepared_parts(setup: RunSetup) -> dict[str, str]:
    """What every process of a run must find alike, as files and machines may differ: a hash of each, by its name.

    That is all of the configuration and of the index; of the pictures, which no worker reads twice, there are stamps.
    """
    configuration = json.loads(setup.configuration.to_json())
    parts: dict[str, object] = {_NAMES.get(key, f"the run's {key}"): value for key, value in configuration.items()}
    parts[_NAMES["frames"]] = setup.selection.entries or setup.selection.keys
    return {name: hashlib.sha256(repr(part).encode()).hexdigest() for name, part in parts.items()}


def _require_same(detector: Detector, answers: Tensor) -> None:
    """Refuses a detector that answers pictures of noise otherwise than that of the run's process."""
    images = probes(detector)
    if difference := differs(answers, Queries(detector).logits(images), bool(half_types(detector, images[0]))):
        raise InputError(
            f"detector {type(detector).__name__} answers otherwise in a worker than where the run was started (a logit "
            f"differs by {difference:.2g}), although its weights are the same: it draws when it is made, or depends on "
            "its process; mend that, or score without workers"
        )


def device_of(name: str, slot: int) -> str:
    """The device of a worker: of several CUDA devices each slot's own, in turn, unless `name` gives a number."""
    device = resolve_device(name)
    if device.type != "cuda" or device.index is not None:
        return str(device)
    return f"cuda:{slot % torch.cuda.device_count()}"


@contextmanager
def worker_pool(
    worker_options: WorkerOptions, setup: RunSetup, options: EvaluationOptions, folder: Path
) -> Iterator[WorkerPool | None]:
    """The worker pool that scores a run with these options in its folder; None where this process does. It is closed.

    Args:
        worker_options: how many workers, and where.
        setup: the run, as this process prepared it.
        options: that a worker prepares it from.
        folder: of the run.

    Raises InputError for a cluster that is not to be had.
    """
    if worker_options.alone:
        yield None
        return
    threads = setup.configuration.threads  # as measured before this process took its share
    detector = setup.scorer.detector
    answers = Queries(detector).logits(probes(detector))
    plan = PreparedRun(
        options, folder, threads, prepared_parts(setup), setup.selection.stamps, answers, setup.given,
        known_to_mislead(detector),
    )  # fmt: skip
    pool = _pool(worker_options, plan)
    try:
        yield pool
    finally:
        pool.close()


def _pool(worker_options: WorkerOptions, plan: PreparedRun) -> WorkerPool:
    if worker_options.ray is None:
        return ProcessPool(plan, worker_options.workers or 1)
    gpus = 1.0 if resolve_device(plan.options.device).type == "cuda" else 0.0
    return RayPool(plan, worker_options.ray, worker_options.workers, plan.threads, gpus)
