"""Workers on the machines of a Ray cluster."""

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

from common.errors import InputError
from runs.workers.messages import Task
from runs.workers.worker import Report, Worker, WorkerLost, WorkerPlan

LOCAL = "local"


class RayPool:
    """A worker pool of Ray actors (Moritz et al., OSDI 2018; see `runs.workers.worker_pool.WorkerPool`).

    The cluster's machines need this software and the paths of frames and checkpoints as they are here, on storage
    that they share; results come back to this process, which alone writes.
    """

    def __init__(self, plan: WorkerPlan, address: str, slots: int | None, threads: int, gpus: float) -> None:
        """Joins a cluster, or starts one on this machine.

        Args:
            plan: how each worker prepares itself.
            address: of the cluster; "local" for one that is started here, "auto" for one that runs here.
            slots: how many workers; None for as many as the cluster has room for.
            threads: CPUs of each worker.
            gpus: GPUs of each worker, 0 or more.

        Raises:
            InputError: Ray is not installed, the cluster cannot be reached, or it is too small for one worker.
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
        self.slots = slots or room
        self._actor = self._ray.remote(Worker).options(num_cpus=threads, num_gpus=gpus, max_restarts=0)
        self._actors: dict[int, Any] = {}
        self._due: dict[Any, int] = {}

    def start(self, slot: int) -> None:
        """See `WorkerPool`."""
        self._actors[slot] = self._actor.remote(self._plan, slot)
        self._due[self._actors[slot].prepare.remote()] = slot

    def give(self, slot: int, task: Task) -> None:
        """See `WorkerPool`."""
        self._due[self._actors[slot].score.remote(task)] = slot

    def reports(self) -> Sequence[tuple[int, Report]]:
        """See `WorkerPool`."""
        ready, _ = self._ray.wait(list(self._due), num_returns=1)
        return [(self._due.pop(pending), self._report(pending)) for pending in ready]

    def _report(self, pending: Any) -> Report:
        try:
            report: Report = self._ray.get(pending)
        except self._ray.exceptions.RayError as error:
            return WorkerLost(f"was lost ({' '.join(str(error).split())[:200]})")
        return report

    def close(self) -> None:
        """See `WorkerPool`."""
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
