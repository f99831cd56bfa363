"""What every command shares: one-line errors and exit status, signals, progress bars, tables."""

import errno
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from common import log
from common.errors import InputError, described, is_interrupt, one_line, printable
from common.memory import no_memory, place, ran_out
from common.progress_lines import progress_lines


class ClosedPipe(SystemExit):
    """Whoever read the output has enough, as `| head` has: the command ends without a word."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Ends the command, so that `status` tells it from code of a user's that ends the program."""
        try:
            super().on_broken_pipe()
        except SystemExit as ended:
            raise ClosedPipe(ended.code) from None


console = _Console(emoji=False)
errors = _Console(stderr=True, emoji=False)
INTERRUPTED = 130
_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_withheld: list[list[str]] = []  # where warnings go instead, innermost last
_DAY = 24 * 3600.0


def application(description: str) -> typer.Typer:
    """A typer application in the project's style: plain help, no shell-completion options."""
    return typer.Typer(
        help=description,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
    )


def run(app: typer.Typer, arguments: Sequence[str] | None = None, name: str | None = None) -> None:
    """Runs a command and exits: 0 done, 1 could not do its job, 2 used wrongly, 130 interrupted, 143 terminated.

    InputError, OSError, memory that ran out and wrong usage print one line on stderr, without a traceback. Anything
    else is a bug and shows where it happened. SIGTERM and SIGHUP stop a command as Ctrl-C does, unless they were
    ignored before (nohup).

    Args:
        app: the command.
        arguments: of the command line; None for those of this process.
        name: what its help calls it; None for the name of the program.
    """
    code = status(app, arguments, name)
    try:
        sys.stdout.flush()
    except OSError:  # said already; Python would try once more at its end, and print a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or 1
    sys.exit(code)


def status(app: typer.Typer, arguments: Sequence[str] | None = None, name: str | None = None) -> int:
    """Runs a command as `run` does and returns its exit status."""
    with log.closing(), _named_output(), _stoppable() as received:
        return _status(app, arguments, name, received)


def _status(app: typer.Typer, arguments: Sequence[str] | None, name: str | None, received: Sequence[int]) -> int:
    try:
        given = None if arguments is None else list(arguments)
        result = app(args=given, prog_name=name, standalone_mode=False)
        if result == INTERRUPTED:  # typer's way of returning from Ctrl-C
            fail(f"{'terminated' if received else 'interrupted'}; what was finished is saved")
            return 128 + received[0] if received else INTERRUPTED
        return result if isinstance(result, int) else 0
    except TyperException as error:
        fail(error.format_message())
        return 2
    except InputError as error:
        fail(str(error))
    except ClosedPipe:
        return 1
    except OSError as error:
        fail(_explain(error))
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        log.trace("".join(traceback.format_exception(error)))
        fail(
            f"{no_memory(error)}, at {place(error)}: free some, or give a smaller --batch-size or fewer --workers; "
            "what was finished is saved"
        )
    except BaseException as error:
        if isinstance(error, Exception) or is_interrupt(error):
            raise
        fail(f"the program was ended by {described(error)}, at {place(error)}: let that code raise an error instead")
    return 1


class OutputError(OSError):
    """The standard output cannot be written: the disk that it goes to is full, say."""


class _NamedOutput:
    """A stream that raises OutputError in place of an OSError without a file's name."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _as_output_error():
            return self._stream.write(text)

    def flush(self) -> None:
        with _as_output_error():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _as_output_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # rich ends the command: whoever read has enough
    except OSError as error:
        raise OutputError(error.errno, error.strerror, "standard output") from error


@contextmanager
def _named_output() -> Iterator[None]:
    """Has what cannot be printed raise OutputError, so that it is not taken for a result that cannot be saved."""
    before = sys.stdout
    sys.stdout = _NamedOutput(before)
    try:
        yield
    finally:
        sys.stdout = before


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """Treats signals that end a program as Ctrl-C, and gives the list in which they are noted."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {ending: signal.getsignal(ending) for ending in _ENDINGS}
    mine = [ending for ending, handler in before.items() if handler is signal.SIG_DFL]
    for ending in mine:
        signal.signal(ending, stop)
    try:
        yield received
    finally:
        for ending in mine:
            signal.signal(ending, before[ending])


def fail(message: str) -> None:
    """Prints one line `error: message` on stderr."""
    log.error(message)
    _line(f"error: {message}")


def warn(message: str) -> None:
    """Prints one line `warning: message` on stderr."""
    if _withheld:
        _withheld[-1].append(message)
        return
    log.warning(message)
    _line(f"warning: {message}")


@contextmanager
def withheld() -> Iterator[list[str]]:
    """Keeps warnings back while it is open, in the list that it gives."""
    kept: list[str] = []
    _withheld.append(kept)
    try:
        yield kept
    finally:
        _withheld.pop()


def say(message: str) -> None:
    """Prints a line on stdout as it is, unwrapped, but for control characters, which are escaped."""
    log.info(message)
    console.print(printable(message), markup=False, highlight=False, soft_wrap=True)


def paragraph(text: str) -> None:
    """Prints a text wrapped between words."""
    for line in textwrap.wrap(text, min(console.width, 100), break_long_words=False, break_on_hyphens=False):
        say(line)


def _line(message: str) -> None:
    errors.print(one_line(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(what: str = "step", shown: bool = True) -> Iterator[Progress]:
    """A progress display with bar, count, time taken and time left; add tasks to it and advance them.

    The time left follows from all steps so far, as one may take seconds or minutes. Where stderr is no terminal there
    is a line every half minute in place of the bar (`common.progress_lines`).

    Args:
        what: is counted, one of it ("frame").
        shown: whether anything is printed; if not, it takes the same calls all the same.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    drawn = shown and errors.is_terminal
    with Progress(*columns, console=errors, speed_estimate_period=_DAY, disable=not drawn) as bar:
        if drawn or not shown:
            yield bar
            return
        with progress_lines(bar, what, _line):
            yield bar


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is left-aligned, the others (numbers) right-aligned."""
    shown = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        shown.add_column(column, justify="left" if position == 0 else "right", no_wrap=position == 0)
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    console.print(shown)


def with_default(arguments: Sequence[str], option: str, value: str) -> list[str]:
    """Command-line arguments in which `option`, where it has no value, has this one."""
    given = list(arguments)
    for index in range(len(given) - 1, -1, -1):
        if given[index] == option and (index + 1 == len(given) or given[index + 1].startswith("-")):
            given.insert(index + 1, value)
    return given


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 frame", "2 frames"."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def some(keys: Sequence[str], most: int = 2) -> str:
    """The first keys, and how many more there are."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{', '.join(keys[:most])}{more}"


def listed(counts: Mapping[str, int]) -> str:
    """ "3 Real, 2 FaceSwap"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _explain(error: OSError) -> str:
    if isinstance(error, OutputError):
        return f"the standard output cannot be written ({error.strerror}); finished work is kept"
    name = error.filename2 or error.filename  # of a file that is renamed, what it was to be called
    where = f" ({name})" if name else ""
    if error.errno == errno.EFBIG:
        return f"a file would be larger than this process may write{where}: raise the limit (ulimit -f) and try again"
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}: free some space and run the same command again; finished work is kept"
    if error.errno == errno.EISDIR:
        return f"a folder lies where a file belongs{where}: give a file, or move the folder away, and try again"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"a file lies where a folder belongs{where}: move it away, and try again"
    if error.errno is None:  # no fault of a file, as a TimeoutError that a user's own alarm raises
        return f"{described(error.__cause__ or error)}{where}"
    return f"{error.strerror or error}{where}"
