"""Workers on the machines of a Ray cluster."""

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

from common.errors import InputError
from scoring.workers.answers import Task
from scoring.workers.worker import Died, Plan, Report, Worker

LOCAL = "local"


class Cluster:
    """A crew of Ray actors (see `crew.Crew`; Moritz et al., OSDI 2018), each with `threads` CPUs and `gpus` GPUs.

    The cluster's machines need this software and the paths of frames and checkpoints as they are here, on storage
    that they share; what workers find comes back to this process, which alone writes.
    """

    def __init__(self, plan: Plan, address: str, seats: int | None, threads: int, gpus: float) -> None:
        """Joins the cluster at `address`, or starts one on this machine for "local"; by default a seat for each share.

        Raises InputError where Ray is not installed, the cluster is not reachable or too small for one worker.
        """
        self._ray = _installed()
        self._plan = plan
        _join(self._ray, address)
        resources = self._ray.cluster_resources()
        shares = [resources.get("CPU", 0) // threads, *([resources.get("GPU", 0) // gpus] if gpus else [])]
        room = int(min(shares))
        if room < 1:
            raise InputError(
                f"no machine of the Ray cluster has room for a worker of {threads} CPU threads and {gpus:g} GPUs"
            )
        self.seats = seats or room
        self._actor = self._ray.remote(Worker).options(num_cpus=threads, num_gpus=gpus, max_restarts=0)
        self._actors: dict[int, Any] = {}
        self._due: dict[Any, int] = {}

    def start(self, seat: int) -> None:
        """See Crew."""
        self._actors[seat] = self._actor.remote(self._plan, seat)
        self._due[self._actors[seat].prepare.remote()] = seat

    def give(self, seat: int, task: Task) -> None:
        """See Crew."""
        self._due[self._actors[seat].score.remote(task)] = seat

    def reports(self) -> Sequence[tuple[int, Report]]:
        """See Crew."""
        ready, _ = self._ray.wait(list(self._due), num_returns=1)
        return [(self._due.pop(reference), self._report(reference)) for reference in ready]

    def _report(self, reference: Any) -> Report:
        try:
            report: Report = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Died(f"was lost ({' '.join(str(error).split())[:200]})")
        return report

    def close(self) -> None:
        """See Crew."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._due.clear()
        self._ray.shutdown()


def _installed() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray needs Ray: pip install 'flipscope[ray]'") from error
    return ray


def _join(ray: Any, address: str) -> None:
    """Connects to a cluster, whose workers find a user's modules in the folders where this process finds them."""
    own = [path for path in (*sys.path, os.getcwd()) if path and not path.startswith((sys.prefix, sys.base_prefix))]
    paths = os.pathsep.join(dict.fromkeys(own))
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=10).close()
        ray.init(
            address=None if address == LOCAL else address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(f"no Ray cluster is to be reached at {address!r}: {error}") from error
