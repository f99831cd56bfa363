"""Steps of a measurement, each in a process of its own and within a time limit: what one has said by then is kept."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from common.errors import one_line

Tell = Callable[[str], None]
"""Takes the name of what is begun, so that a step that is cut off can say where."""


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        what: was measured.
        result: what came of it.
        aim: what was aimed at, or nothing.
        failed: whether something is wrong; a missed aim is not.
    """

    what: str
    result: str
    aim: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Job:
    """A part of a step: what is measured, and what measures it. Where one fails, the next is measured all the same."""

    what: str
    measure: Callable[[], Sequence[Line]]


Step = Callable[[Any, Tell], Iterable[Job]]
"""From settings to jobs, which are made one after another; a function of a module, for another process to import."""

ENDING = 5.0  # seconds that a process has to end by itself when its work is done
_DONE = None


def run_step(step: Step, settings: Any, seconds: float) -> Iterator[Line]:
    """The lines of a step as they come; a last one says where its process was cut off or how it died.

    Args:
        step: what is run, in a new process.
        settings: the step's, which can be pickled.
        seconds: how long it may take, its start included.
    """
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(step, settings, sender), daemon=True)
    ends, begun = time.monotonic() + seconds, "its start"
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, ends - time.monotonic())):
            message = receiver.recv()
            if message is _DONE:
                process.join(ENDING)
                return
            if isinstance(message, Line):
                yield message
            else:
                begun = message
        yield Line(begun, f"cut off: the step's {seconds:.0f} s were over")
    except EOFError:
        process.join()
        yield Line(begun, f"failed: the step's process ended with status {process.exitcode}", failed=True)
    finally:
        process.kill()
        process.join()


def _work(step: Step, settings: Any, connection: Connection) -> None:
    for job in step(settings, connection.send):
        connection.send(job.what)
        for line in _measured(job):
            connection.send(line)
    connection.send(_DONE)


def _measured(job: Job) -> Sequence[Line]:
    try:
        return job.measure()
    except Exception as error:  # whatever it is, it stands in the table
        traceback.print_exc()
        return [Line(job.what, f"failed: {type(error).__name__}: {one_line(str(error))}", failed=True)]
