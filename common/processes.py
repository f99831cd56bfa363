"""Processes that work for this one: Ctrl-C is this one's to answer, from their first moment on."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import cv2

_ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keeps Ctrl-C from the child processes that are started inside; this one gets it, and all that ends it, last.

    A child that has not yet come to ignore it would end in a traceback: what a thread blocks, the processes that it
    starts block from their first instruction on. So would one whose parent is stopped before it has told the child
    what to do; a signal that this thread blocks still comes by another one.
    """
    with _deferred():
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            yield
            return
        resource_tracker.ensure_running()  # with the first child otherwise, and starting it lets the signal through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _deferred() -> Iterator[None]:
    """Handles what ends a program at the end; at once in another thread than the main one, which alone handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = list[int]()
    before = {ending: signal.getsignal(ending) for ending in _ENDINGS}
    mine = [ending for ending, handler in before.items() if handler is not None]  # None: not from Python
    for ending in mine:
        signal.signal(ending, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for ending in mine:
            signal.signal(ending, before[ending])
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """So many worker processes, that end at once when the work in hand fails or is interrupted."""
    before = set(multiprocessing.active_children())
    pool = _Pool(workers, _Context(), _start_worker)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        pool.shutdown(cancel_futures=True)  # and waits: a pool that ends with the program may do so twice, and says so
        raise
    pool.shutdown()


class _Pool(ProcessPoolExecutor):
    """One that no signal finds half begun: it begins with the first work that it is given."""

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        with _deferred():
            return super().submit(*given, **named)


class _Process(SpawnProcess):
    def start(self) -> None:
        with interrupts_held():
            super().start()


class _Context(SpawnContext):
    """Spawns: forking a process that has threads (a progress bar, OpenCV's) can hang."""

    Process = _Process


def _start_worker() -> None:
    """One thread per worker; Ctrl-C is the parent's to answer; and no worker outlives a killed parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
