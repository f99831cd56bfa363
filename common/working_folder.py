"""The folder that relative paths begin at, which a user's own code must not move."""

import contextlib
import os
from collections.abc import Iterator

from common.console import warn


@contextlib.contextmanager
def kept_working_folder(what: str) -> Iterator[None]:
    """Goes back to the present working folder in the end, with a warning, where what happens inside has left it.

    `what` is happening, for the warning. A process has one working folder: what its other threads do inside is seen
    by them, too, so that whatever they open must have an absolute path.
    """
    before = _folder()
    try:
        yield
    finally:
        now = _folder()
        if before is not None and now != before:
            os.chdir(before)
            warn(
                f"own code has changed the working folder ({what}) from {before} to {now or 'one that is gone'}: it is "
                "put back; name files there by absolute paths"
            )


def _folder() -> str | None:
    """The working folder; None where it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
