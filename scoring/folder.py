"""The folder of a run: what is kept where, and that one process at a time fills it."""

import contextlib
import errno
import fcntl
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.console import warn
from common.errors import InputError
from common.files import atomic_write, parse_json, stem
from common.settings import from_json
from scoring import records
from scoring.costs import Cost
from scoring.rows import Grade, Measured, Row

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


FOLDERS: Mapping[type, str] = {Grade: "grades", Measured: "metrics", Row: "frames"}
"""Where each kind of record of a frame is kept, in the order of writing: its rows last, as they make it finished."""

Records = Mapping[type, np.ndarray]
"""What is kept of a scored frame, by kind, as `scoring.records.to_array` makes it."""


class Folder:
    """The files of one run.

    A frame's rows appear whole, after all else of it, so that a frame is either finished with all it has or not
    there; a process may be killed at any moment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.path / "config.json"

    def file(self, kind: type, key: str) -> Path:
        """The file of a frame's records of one kind."""
        return self.path / FOLDERS[kind] / f"{stem(key)}.npy"

    def costs_file(self, key: str) -> Path:
        """The file of a frame's costs."""
        return self.path / "costs" / f"{stem(key)}.json"

    def save(self, key: str, found: Mapping[type, Sequence[Any]], costs: Sequence[Cost]) -> None:
        """Keeps what a frame gave, a list of each kind; it counts as finished once this returns."""
        self.save_costs(key, costs)
        for kind in FOLDERS:
            records.save(self.file(kind, key), records.to_array(kind, found.get(kind, ())))

    def save_costs(self, key: str, costs: Sequence[Cost]) -> None:
        """Keeps what a frame took."""
        with atomic_write(self.costs_file(key)) as file:
            json.dump([asdict(cost) for cost in costs], file)

    def finished(self, key: str) -> Records | None:
        """What is kept of a finished frame, or None; a damaged file counts as not finished, with a warning."""
        if not self.file(Row, key).exists():
            return None
        try:
            found = {kind: self._load(kind, key) for kind in FOLDERS}
            if not len(found[Row]):
                raise InputError(f"{self.file(Row, key)} holds no row")
        except (InputError, FileNotFoundError) as error:
            warn(f"{error}; the frame is scored again")
            return None
        return found

    def _load(self, kind: type, key: str) -> np.ndarray:
        path = self.file(kind, key)
        array = records.load(path, kind)
        if set(array["key"].tolist()) - {key}:
            raise InputError(f"{path} does not hold the {kind.__name__.lower()}s of {key!r}")
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
