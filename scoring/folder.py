"""The folder of a run: what is kept where, and that one process at a time fills it."""

import contextlib
import errno
import fcntl
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np

from common.console import warn
from common.errors import InputError
from common.files import atomic_write, parse_json
from common.settings import from_json
from scoring import rows
from scoring.costs import Cost

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run, for several processes: frames `index`, `index + count`, ... from 0."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """ "2/4" is the second of four. Raises InputError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(f"--shard {text!r}: write I/N with I from 1 to N, for example 2/4")
        return cls(int(match[1]) - 1, int(match[2]))

    @property
    def whole(self) -> bool:
        """Whether this is the whole run."""
        return self.count == 1

    def has(self, place: int) -> bool:
        """Whether the frame at `place` of the selection belongs to this part."""
        return place % self.count == self.index


class Folder:
    """The files of one run.

    A frame's file appears whole, after its costs' file, so that a frame is either finished with all it has or not
    there; a process may be killed at any moment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.path / "config.json"

    def rows_file(self, key: str) -> Path:
        """The file of a frame's rows."""
        return self.path / "frames" / f"{stem(key)}.npy"

    def costs_file(self, key: str) -> Path:
        """The file of a frame's costs."""
        return self.path / "costs" / f"{stem(key)}.json"

    def save(self, key: str, array: np.ndarray, costs: Sequence[Cost]) -> None:
        """Keeps what a frame gave; it counts as finished once this returns."""
        self.save_costs(key, costs)
        rows.save(self.rows_file(key), array)

    def save_costs(self, key: str, costs: Sequence[Cost]) -> None:
        """Keeps what a frame took."""
        with atomic_write(self.costs_file(key)) as file:
            json.dump([asdict(cost) for cost in costs], file)

    def finished(self, key: str) -> np.ndarray | None:
        """The rows of a finished frame, or None; a damaged file counts as not finished, with a warning."""
        path = self.rows_file(key)
        if not path.exists():
            return None
        try:
            array = rows.load(path)
            if not len(array) or set(array["key"].tolist()) != {key}:
                raise InputError(f"{path} does not hold the rows of {key!r}")
        except InputError as error:
            warn(f"{error}; the frame is scored again")
            return None
        return array

    def costs(self, key: str) -> list[Cost]:
        """The costs of a finished frame; none where their file was removed or damaged."""
        try:
            return [
                from_json(Cost, cost, "a cost") for cost in parse_json(self.costs_file(key).read_text(encoding="utf-8"))
            ]
        except (FileNotFoundError, ValueError, TypeError):
            return []

    @contextlib.contextmanager
    def locked(self, shard: Shard) -> Iterator[None]:
        """Keeps other processes out: from the whole folder, or from this shard. Ends with the process, however.

        Raises InputError where another process is at work, OSError where the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            whole = stack.enter_context(open(self.path / ".lock", "a"))
            self._lock(whole, fcntl.LOCK_EX if shard.whole else fcntl.LOCK_SH)
            if not shard.whole:
                part = stack.enter_context(open(self.path / f".lock-{shard.index + 1}-of-{shard.count}", "a"))
                self._lock(part, fcntl.LOCK_EX)
            if shard.whole:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Removes what killed processes left half written."""
        for part in [*self.path.glob(".*.part"), *self.path.glob("*/.*.part")]:
            part.unlink(missing_ok=True)

    def _lock(self, file: IO[str], kind: int) -> None:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return  # some shared file systems cannot; files still appear whole, work may be done twice
            if not isinstance(error, BlockingIOError):
                raise
            raise InputError(
                f"another process is working on {self.path}; wait for it, or choose another --run NAME "
                f"(several processes can share a run with --shard I/N)"
            ) from error


def stem(key: str) -> str:
    """A file name for any key: its readable end, and a hash that tells it from every other key."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", key)[-60:].lstrip(".-_")
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
