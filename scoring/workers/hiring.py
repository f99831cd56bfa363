"""From what the user asked for to a crew of workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from detectors.devices import resolve_device
from scoring.selection import Selection
from scoring.setup import Options, prepare
from scoring.workers.answers import Score
from scoring.workers.cluster import Cluster
from scoring.workers.crew import Crew
from scoring.workers.processes import Processes


@dataclass(frozen=True)
class Staff:
    """Who scores a run.

    Attributes:
        workers: how many processes, or actors of a Ray cluster; None for one, or as many as the cluster has room for.
        ray: the cluster's address, "local" for one that is started here, "auto" for the one that runs here; None for
            no cluster.
        threads: CPU threads of each worker; None for torch's choice, and among several processes for an equal share.
    """

    workers: int | None = None
    ray: str | None = None
    threads: int | None = None

    @property
    def alone(self) -> bool:
        """Whether this process does it all."""
        return self.ray is None and self.workers in (None, 1)

    def threads_each(self) -> int:
        """How many CPU threads each worker has."""
        if self.threads is not None:
            return self.threads
        if self.ray is not None:
            return 1
        return max(1, torch.get_num_threads() // (self.workers or 1))


@dataclass(frozen=True)
class Prepared:
    """A worker's plan: the run as `scoring.setup.prepare` makes it from the same options, on the seat's own device."""

    options: Options
    folder: Path
    threads: int

    def __call__(self, seat: int) -> tuple[Selection, Score]:
        """See Plan."""
        torch.set_num_threads(self.threads)
        setup = prepare(replace(self.options, device=device_of(self.options.device, seat)), folder=self.folder)
        return setup.selection, setup.scorer


def device_of(name: str, seat: int) -> str:
    """The device of a worker: of several CUDA devices each seat's own, in turn, unless `name` gives a number."""
    device = resolve_device(name)
    if device.type != "cuda" or device.index is not None:
        return str(device)
    return f"cuda:{seat % torch.cuda.device_count()}"


@contextmanager
def hired(staff: Staff, options: Options, folder: Path) -> Iterator[Crew | None]:
    """The crew that scores a run with these options in its folder; None where this process does. It leaves in the end.

    Raises InputError for a cluster that is not to be had.
    """
    if staff.alone:
        yield None
        return
    crew = _crew(staff, options, folder)
    try:
        yield crew
    finally:
        crew.close()


def _crew(staff: Staff, options: Options, folder: Path) -> Crew:
    plan = Prepared(options, folder, staff.threads_each())
    if staff.ray is None:
        return Processes(plan, staff.workers or 1)
    gpus = 1.0 if resolve_device(options.device).type == "cuda" else 0.0
    return Cluster(plan, staff.ray, staff.workers, staff.threads_each(), gpus)
