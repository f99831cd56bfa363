"""Runs `evaluate` again and again in forked children that die by SIGKILL at chosen moments, until one finishes.

Usage: killing.py RESULTS COMMAND...  Makes RESULTS/never, where no child dies; RESULTS/before, where the first child
dies just before its first rename (which makes a file appear), the second before its second, and so on, so that every
kind of file is met; and RESULTS/wait, where children die after 0.3, 0.6, ... seconds. Prints how often a child died in
each. A program of its own, so that libraries are imported once and no thread is alive at a fork. The detector is not
asked in another process, which would import them anew.
"""

import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import evaluate
from common import console, files
from detectors.checks import fresh_process


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_rename(number: int) -> None:
    """Makes this process die just before its `number`-th rename."""
    count, rename = itertools.count(1), os.replace

    def replace(source: str, target: str) -> None:
        if next(count) == number:
            die()
        rename(source, target)

    files.os.replace = replace  # type: ignore[assignment]


def die_later(seconds: float) -> None:
    """Makes this process die after so many seconds."""
    threading.Thread(target=lambda: (time.sleep(seconds), die()), daemon=True).start()


def child(moment: str, number: int, results: Path, command: list[str]) -> None:
    if moment == "wait":
        die_later(0.3 * number)
    elif moment == "before":
        die_before_rename(number)
    os._exit(console.status(evaluate.app, [*command, "--results", str(results / moment)]))


def deaths_until_finished(moment: str, results: Path, command: list[str]) -> int:
    for number in range(1, 60):
        process = os.fork()
        if process == 0:
            child(moment, number, results, command)
        _, status = os.waitpid(process, 0)
        if not os.WIFSIGNALED(status):
            if os.waitstatus_to_exitcode(status) != 0:
                sys.exit(f"{moment}: the run failed")
            return number - 1
    sys.exit(f"{moment}: the run never finishes")


if __name__ == "__main__":
    fresh_process.loaded_as = lambda detector: None
    for each in ("never", "before", "wait"):
        print("deaths", each, deaths_until_finished(each, Path(sys.argv[1]), sys.argv[2:]), flush=True)
