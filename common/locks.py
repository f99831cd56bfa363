"""Locks on files: one process at a time fills a folder. The system lets go of them when the process ends, however."""

import contextlib
import errno
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from common.errors import InputError
from common.files import appending

LOCK = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_BETWEEN = 0.2  # seconds between two attempts


def lock(file: IO[str], shared: bool = False, patience: float = 0.0) -> bool:
    """Locks an open file until it is closed; False where another process holds it after `patience` seconds.

    Where storage knows no locks (some network file systems) nothing is locked, and the answer is True: files still
    appear whole, and work may be done twice. Raises OSError for any other failure.
    """
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_BETWEEN)
            continue
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return True


@contextlib.contextmanager
def alone_in(folder: Path, advice: str, patience: float = 0.0) -> Iterator[None]:
    """Locks other processes out of a folder while it is open, and makes it where there is none.

    Args:
        folder: that is written into.
        advice: what the user can do where another process is at work there, in words.
        patience: seconds to wait for that one.

    Raises:
        InputError: another process is at work in the folder. OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with appending(folder / LOCK) as file:
        if not lock(file, patience=patience):
            raise InputError(f"another process is working on {folder}; {advice}")
        yield
