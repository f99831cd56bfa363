"""Files that appear whole or not at all, and the hashes that identify them."""

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from common.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w", first: bool = False) -> Iterator[IO[Any]]:
    """Opens a temporary file beside `path`; on success it is flushed to disk and renamed to `path`.

    On any exception the temporary file is removed and an older `path` stays as it was. `mode` is "w" (UTF-8,
    newlines as written) or "wb". With `first`, a `path` that another process made by then stays. Missing parent folders
    are made. Raises OSError, which names `path`, where the folder cannot be written, the disk is full or the file would
    be larger than the process may write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with naming(path):
            os.fchmod(descriptor, 0o666 & ~_umask())
            with os.fdopen(descriptor, mode, **text) as file:  # type: ignore[call-overload]
                yield file
                file.flush()
                os.fsync(file.fileno())
            if first:
                _put_first(temporary, path)
            else:
                os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _put_first(temporary: str, path: Path) -> None:
    """Gives a file its name, or removes it where another has that name; all at once, where the disk knows links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        if not path.exists():
            os.replace(temporary, path)
            return
    os.unlink(temporary)


def visible(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """What a pattern finds in a folder, in no order, without hidden files and what is in hidden folders of it.

    Hidden is what has a dot before its name, as systems put files of their own beside a user's: macOS a `._NAME` for
    each file NAME of a disk that other systems know, too. A folder that may not be read raises OSError, here and, of
    patterns that begin with `**/`, below; `Path.glob` takes it for an empty one.
    """
    if pattern.startswith("**/"):
        yield from _below(folder, pattern.removeprefix("**/"))
        return
    if folder.is_dir():
        os.scandir(folder).close()
    above = len(folder.parts)
    for path in folder.glob(pattern):
        if not any(part.startswith(".") for part in path.parts[above:]):
            yield path


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*folders, *files):
            path = Path(parent, name)
            if not name.startswith(".") and path.match(pattern):
                yield path


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # as where there is no such folder
        raise error


def sweep(folder: Path) -> None:
    """Removes what killed processes left half written in a folder; no other process may be writing there."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Gives an OSError that is raised inside the name of a file, where it has none: writing knows only a number."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_file(path: str | Path) -> bytes:
    """The bytes of a plain file, links followed. Raises InputError for a folder, a pipe or a device: reading may hang.

    Raises FileNotFoundError where there is none, and OSError where it cannot be read.
    """
    require_plain(path)
    return Path(path).read_bytes()


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """The text of a file; refusals as of `read_file`, and UnicodeDecodeError for bytes that are no such text."""
    require_plain(path)
    return Path(path).read_text(encoding=encoding)


@contextlib.contextmanager
def appending(path: str | Path) -> Iterator[IO[str]]:
    """Opens a file to write at its end, and makes it where there is none, as a log or lock is.

    Raises InputError for a folder, a pipe or a device in its place, whose opening may hang, and OSError where it cannot
    be written.
    """
    if os.path.exists(path):
        require_plain(path)
    with open(path, "a", encoding="utf-8") as file:
        yield file


def require_plain(path: str | Path) -> None:
    """Raises InputError for what is no file (reading it may hang), and FileNotFoundError where there is nothing."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError(f"{path} is no file, but a folder, a pipe or a device: move it away")


def parse_json(text: str) -> Any:
    """What a JSON text holds. Raises ValueError, in one line, for any other text and for one nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_object(path: str | Path) -> dict[str, Any]:
    """The settings that a JSON file holds by name.

    Raises ValueError, in one line, for a file of anything else, and as `read_text` does.
    """
    values = parse_json(read_text(path))
    if not isinstance(values, dict):
        raise ValueError("it does not hold settings by name")
    return values


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stem(key: str) -> str:
    """A file name for any key: its readable end, and a hash that differs for every other key."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", key)[-60:].lstrip(".-_")
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def safe_name(name: str) -> str:
    """A name with every run of characters that may not stand in a file's name replaced by one hyphen."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name)
