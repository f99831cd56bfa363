"""Memory that has run out, by what errors say of it."""

import re
import sysconfig
import traceback
from pathlib import Path

from common.errors import words

_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")  # of torch, in a RuntimeError
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = Path(sysconfig.get_paths()["stdlib"])


def ran_out(error: BaseException) -> bool:
    """Whether an error says that the process, or its device, has no memory left."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(known in words(error) for known in _WORDS)
    )


def no_memory(error: BaseException) -> str:
    """That no memory is left, and what was asked for as far as an error says: "no memory is left (tried to ...)"."""
    text = words(error)
    asked = re.search(r"tried to allocate [\d.]+ \w+", text, re.IGNORECASE)  # torch's words around it are of no use
    return f"no memory is left ({asked[0] if asked else text or type(error).__name__})"


def place(error: BaseException) -> str:
    """Where in the code an error was raised: "decode in images.py, line 12"; in a library, the line that called it."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "the start"
    last = ([frame for frame in frames if not _is_installed(frame.filename)] or frames)[-1]
    return f"{last.name} in {Path(last.filename).name}, line {last.lineno}"


def _is_installed(source: str) -> bool:
    """Whether a source file is Python's or an installed package's."""
    path = Path(source)
    return source.startswith("<frozen ") or bool(_INSTALLED & {*path.parts}) or path.is_relative_to(_STANDARD)
