"""How far a long command is, a line every half minute: for logs, in which a bar would show nothing until its end."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.progress import Progress, Task, TaskID

EVERY = 30.0  # seconds from one line to the next
PERCENT = "%"
_POLL = 1.0  # seconds between two looks at the clock
_RATES = ((1.0, "second"), (60.0, "minute"), (3600.0, "hour"))


@dataclass(frozen=True)
class _Begin:
    """Where a task was when it was first seen; what was done before took this command no time."""

    time: float
    completed: float


class ProgressLines:
    """Writes a line about the work in hand whenever half a minute has passed; nothing of what is done sooner."""

    def __init__(
        self, bar: Progress, what: str, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepares to watch a bar's tasks.

        Args:
            bar: that holds them; it may be shown or not.
            what: is counted, one of it ("frame"); parts of a hundred where it begins with PERCENT ("% of 8 frames").
            write: takes a line.
            clock: the time in seconds.
        """
        self._bar, self._what, self._write, self._clock = bar, what, write, clock
        self._begun: dict[TaskID, _Begin] = {}
        self._percent = what.startswith(PERCENT)
        self._last = clock()

    def tick(self) -> None:
        """Looks at the clock and the tasks, and writes a line where one is due."""
        now, task = self._clock(), self._in_hand()
        if task is not None:
            self._begun.setdefault(task.id, _Begin(now, task.completed))
        if task is not None and now - self._last >= EVERY:
            self._last = now
            self._write(self._line(task, now))

    def finish(self) -> None:
        """Writes a last line, where the work took long enough for one."""
        now, tasks = self._clock(), self._bar.tasks
        if tasks and tasks[-1].id in self._begun and now - self._begun[tasks[-1].id].time >= EVERY:
            began = self._begun[tasks[-1].id]
            self._write(f"done: {self._counted(tasks[-1])} in {duration(now - began.time)}")

    def _in_hand(self) -> Task | None:
        """The task that was begun last, unless it is done."""
        tasks = self._bar.tasks
        return None if not tasks or tasks[-1].finished else tasks[-1]

    def _line(self, task: Task, now: float) -> str:
        began = self._begun[task.id]
        elapsed, done = now - began.time, task.completed - began.completed
        parts = [f"progress: {self._counted(task)} in {duration(elapsed)}"]
        if done > 0 and elapsed > 0:
            parts.append(self._rate(done / elapsed))
            if task.total is not None:
                parts.append(f"{duration((task.total - task.completed) * elapsed / done)} left")
        stage = " ".join(task.description.split())
        return ", ".join(parts) + (f" ({stage})" if stage else "")

    def _counted(self, task: Task) -> str:
        if self._percent:
            return f"{int(task.completed)} {self._what}"
        if task.total is None:
            return f"{_number(task.completed)} {self._what}s"
        return f"{_number(task.completed)} of {_number(task.total)} {self._what}{'' if task.total == 1 else 's'}"

    def _rate(self, per_second: float) -> str:
        """By the shortest unit of time in which at least one is done."""
        length, unit = next((rate for rate in _RATES if per_second * rate[0] >= 1), _RATES[-1])
        rate = per_second * length
        shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
        return f"{shown}{' %' if self._percent else ''} a{'n' * (unit == 'hour')} {unit}"


@contextlib.contextmanager
def progress_lines(bar: Progress, what: str, write: Callable[[str], None]) -> Iterator[None]:
    """Writes progress lines about a bar's tasks while it is open, from a thread of its own.

    A line that cannot be written is left out: it ends no work. Arguments are those of `ProgressLines`.
    """
    lines, done = ProgressLines(bar, what, write), threading.Event()

    def watch() -> None:
        while not done.wait(_POLL):
            with contextlib.suppress(OSError):
                lines.tick()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    with contextlib.suppress(OSError):
        lines.finish()


def duration(seconds: float) -> str:
    """ "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
