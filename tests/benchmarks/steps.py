"""Steps that a process of its own can import."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bounded_steps import Job, Line, Tell


def numbers(count: int, _tell: Tell) -> Iterator[Job]:
    """A line for each of so many numbers; the second fails."""

    def measure(number: int) -> list[Line]:
        if number == 1:
            raise ZeroDivisionError("one\nof these")
        return [Line(f"number {number}", str(number**2), "a square")]

    for number in range(count):
        yield Job(f"number {number}", lambda number=number: measure(number))  # type: ignore[misc]


def hangs(file: Path, tell: Tell) -> Iterator[Job]:
    """A line, and then minutes of nothing; its process's number is in the file."""
    file.write_text(str(os.getpid()))
    yield Job("at once", lambda: [Line("at once", "done")])

    def measure() -> list[Line]:
        tell("half of it")
        time.sleep(600)
        return []

    yield Job("slow", measure)


def dies(status: int, _tell: Tell) -> Iterator[Job]:
    """Ends its process."""
    yield Job("dying", lambda: os._exit(status))


def cannot_begin(message: str, _tell: Tell) -> Iterator[Job]:
    """Raises before there is a job."""
    raise ValueError(message)
    yield
