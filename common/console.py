"""What every command shares: one-line errors and exit status, progress bars, tables."""

import errno
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

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

from common.errors import InputError, one_line, printable

console = Console()
errors = Console(stderr=True)
INTERRUPTED = 130
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


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 done, 1 could not do its job, 2 used wrongly, 130 interrupted.

    InputError, OSError and wrong usage print one line on stderr, without a traceback. Anything else is a bug and
    shows where it happened.
    """
    sys.exit(status(app, arguments))


def status(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Runs a command as `run` does and returns its exit status."""
    try:
        result = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        if result == INTERRUPTED:  # typer's way of returning from Ctrl-C
            fail("interrupted; what was finished is saved")
        return result if isinstance(result, int) else 0
    except TyperException as error:
        fail(error.format_message())
        return 2
    except InputError as error:
        fail(str(error))
    except OSError as error:
        fail(_explain(error))
    return 1


def fail(message: str) -> None:
    """Prints one line `error: message` on stderr."""
    errors.print(f"error: {one_line(message)}", markup=False, highlight=False, soft_wrap=True)


def warn(message: str) -> None:
    """Prints one line `warning: message` on stderr."""
    errors.print(f"warning: {one_line(message)}", markup=False, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Prints a line on stdout as it is, unwrapped, but for control characters, which are escaped."""
    console.print(printable(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(shown: bool = True) -> Iterator[Progress]:
    """A progress display with bar, count, time taken and time left; add tasks to it and advance them.

    The time left follows from all steps so far, as one may take seconds or minutes. With `shown` false it takes the
    same calls and prints nothing.
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
    with Progress(*columns, console=errors, speed_estimate_period=_DAY, disable=not shown) as bar:
        yield bar


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is left-aligned, the others (numbers) right-aligned."""
    shown = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        shown.add_column(column, justify="left" if position == 0 else "right", no_wrap=position == 0)
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    console.print(shown)


def listed(counts: Mapping[str, int]) -> str:
    """ "3 Real, 2 FaceSwap"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _explain(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}: free some space and run the same command again; finished work is kept"
    return f"{error.strerror or error}{place}"
