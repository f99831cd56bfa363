"""What a long command did and when, as lines in a file of its folder."""

import contextlib
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from common.errors import LONGEST, one_line, printable
from common.files import appending

NAME = "log.txt"
_logger = logging.getLogger("flipscope")
_logger.propagate = False


class _Handler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lets a line go that cannot be written: a full disk ends the run where it writes its results."""

    def close(self) -> None:
        """Closes the file, also where lines that wait cannot be written."""
        with contextlib.suppress(OSError):
            super().close()


def open_in(folder: Path) -> None:
    """Writes what is logged from now on to log.txt in a folder as well, at its end, until the command ends.

    Every line has the time in UTC. Raises OSError where the file cannot be written, InputError where it is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / NAME).resolve()
    if any(isinstance(existing, _Handler) and existing.baseFilename == str(path) for existing in _logger.handlers):
        return
    with appending(path):
        handler = _Handler(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    info(f"command: {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}")


@contextlib.contextmanager
def closing() -> Iterator[None]:
    """Closes in the end what was opened inside."""
    before = list(_logger.handlers)
    try:
        yield
    finally:
        for handler in [opened for opened in _logger.handlers if opened not in before]:
            _logger.removeHandler(handler)
            handler.close()


def info(message: str) -> None:
    """Logs a line of what happens."""
    _log(logging.INFO, message)


def warning(message: str) -> None:
    """Logs a warning."""
    _log(logging.WARNING, message)


def error(message: str) -> None:
    """Logs why a command ends."""
    _log(logging.ERROR, message)


def trace(text: str) -> None:
    """Logs where in the code an error came from: each line of a traceback as a line; nothing for ""."""
    for line in text.splitlines() if _logger.handlers else ():
        _logger.log(logging.INFO, "| %s", printable(line)[:LONGEST])


def _log(level: int, message: str) -> None:
    if message.strip() and _logger.handlers:
        _logger.log(level, "%s", one_line(message))
