"""Workers in processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from tqdm import tqdm

from common.processes import interrupts_held
from runs.workers.messages import Task
from runs.workers.worker import Report, Worker, WorkerLost, WorkerPlan

PRELOADED = ["runs.setup"]
"""Imported once, in a server that every worker is forked from: a new worker then starts in a moment."""


class ProcessPool:
    """A worker pool of processes, each with a detector of its own (see `runs.workers.worker_pool.WorkerPool`).

    They end with this process, however it ends. On platforms without a fork server each worker starts anew.
    """

    def __init__(self, plan: WorkerPlan, slots: int) -> None:
        self.slots = slots
        self._plan = plan
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(PRELOADED)
        self._workers: dict[int, tuple[Any, Connection]] = {}

    def start(self, slot: int) -> None:
        """See `WorkerPool`."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._plan, slot), daemon=True)
        with interrupts_held():  # as a fork server starts with the first worker
            process.start()
        theirs.close()
        self._workers[slot] = process, ours

    def give(self, slot: int, task: Task) -> None:
        """See `WorkerPool`. A worker that has just ended is reported as lost next."""
        try:
            self._workers[slot][1].send(task)
        except OSError:  # a broken pipe; `reports` finds its other end closed
            return

    def reports(self) -> Sequence[tuple[int, Report]]:
        """See `WorkerPool`."""
        slots = {pipe: slot for slot, (_, pipe) in self._workers.items()}
        ready = [pipe for pipe in connection.wait(list(slots)) if isinstance(pipe, Connection)]
        return [(slots[pipe], self._report(slots[pipe], pipe)) for pipe in ready]

    def _report(self, slot: int, pipe: Connection) -> Report:
        try:
            report: Report = pipe.recv()
        except (EOFError, OSError):
            process, _ = self._workers.pop(slot)
            pipe.close()
            process.join()
            return WorkerLost(_how(process.exitcode))
        return report

    def close(self) -> None:
        """See `WorkerPool`."""
        for process, pipe in self._workers.values():
            process.kill()
            pipe.close()
        for process, _ in self._workers.values():
            process.join()
        self._workers.clear()


def _how(status: int) -> str:
    """The end of a process in words."""
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    memory = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{memory}"


def _serve(pipe: Connection, plan: WorkerPlan, slot: int) -> None:
    """What a worker's process does: Ctrl-C is for the process that it works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tqdm.set_lock(threading.RLock())  # shap draws bars; their own lock is a semaphore that a killed worker would leave
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(plan, slot)
    try:
        pipe.send(worker.prepare())
        while True:
            pipe.send(worker.score(pipe.recv()))
    except (EOFError, OSError):  # the parent has gone
        os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
