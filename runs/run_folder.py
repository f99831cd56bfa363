"""The folder of a run: its files, and the locks by which one process at a time fills it."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from common.errors import InputError
from common.files import appending, sweep, visible
from common.locks import LOCK, lock
from runs import npy_records, parquet_records
from runs.configuration import Configuration, bind
from runs.frame_files import FrameFiles, Records
from runs.packed_frames import COSTS, FOLDERS, KINDS, Packed, Tables
from runs.seals import Seals
from scoring.costs import Cost, FrameCost


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

    def has(self, frame_index: int) -> bool:
        """Whether the frame at this index of the selection belongs to this part."""
        return frame_index % self.count == self.index


OWN_FOLDERS = (*FOLDERS.values(), COSTS, "drift", "gallery", "figures", "parts")
"""What folders a run may have in its own."""

PACK = 2000
"""Frames in a part: at 3 to 4 files and 100 to 500 KB a frame, a million frames would be millions of files."""


class RunFolder:
    """The files of one run.

    A frame's rows appear whole, after all else of it, so that a frame is either finished with all it has or not
    there; a process may be killed at any moment.
    """

    def __init__(self, path: Path) -> None:
        """`path` may be relative, and is that of now: a user's own code may change the working folder later."""
        self.path = path = path.absolute()
        self.seals = Seals(self.config)
        self._packed, self._own = Packed(path, self.seals), FrameFiles(path, self.seals)
        self._loose: list[str] = []

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.path / "config.json"

    def bind(self, configuration: Configuration, folders: Sequence[str] = (*FOLDERS.values(), COSTS)) -> None:
        """Binds the folder to a configuration: writes config.json, or makes sure that it holds the same.

        Raises InputError where it holds another, is not readable, or is gone although these folders have records.
        """
        if not self.config.exists():
            files = (file for folder in folders for file in sorted(visible(self.path / folder)))
            if record := next(files, None):
                raise InputError(
                    f"{self.path} has finished work ({record.relative_to(self.path)}), but its config.json, which says "
                    f"what made it, is gone: put that back, or give another --run NAME to start anew"
                )
        self.seals.bind(bind(self.config, configuration))

    def require_folders(self) -> None:
        """Raises InputError where a folder of the run is a file or a link: records would be lost, or mixed with others.

        The run's own folder may be a link.
        """
        for name in OWN_FOLDERS:
            path = self.path / name
            if path.is_symlink():
                raise InputError(
                    f"{path} is a link (to {os.readlink(path)}), where the run keeps a folder of its own: put the "
                    "folder itself there, or give another --run NAME to start anew"
                )
            if path.exists() and not path.is_dir():
                raise InputError(
                    f"{path} is a file, where the run keeps a folder: move it away, or give another --run NAME to "
                    "start anew"
                )

    def file(self, kind: type, key: str) -> Path:
        """The file of a frame's records of one kind."""
        return self._own.file(kind, key)

    def costs_file(self, key: str) -> Path:
        """The file of a frame's costs."""
        return self._own.costs_file(key)

    def save(self, key: str, records: Mapping[type, Sequence[Any]], costs: Sequence[Cost]) -> None:
        """Writes a frame's records, a list of each kind, and its costs; it counts as finished once this returns."""
        self._own.save(key, records, costs)
        self._loose.append(key)
        if len(self._loose) >= PACK:
            self.pack(self._loose)
            self._loose = []

    def pack(self, keys: Sequence[str]) -> None:
        """Puts finished frames together in column files, in place of the small files of each.

        Only frames that this process saved, or while no other works on the folder.
        """
        keys = [key for key in dict.fromkeys(keys) if self._own.whole(key) is not None]
        if keys:
            self._packed.add(keys, self._small(keys))
        for key in keys:
            self._own.remove(key)

    def save_costs(self, key: str, costs: Sequence[Cost]) -> None:
        """Writes a frame's costs."""
        self._own.save_costs(key, costs)

    def remove_damaged(self) -> None:
        """Removes packed frames that were found damaged; to be called once every frame of the run is finished."""
        self._packed.remove_damaged()

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Which of the frames are not finished; damaged files count as missing, with a warning."""
        self._packed.find()
        return [key for key in keys if key not in self._packed and self._own.whole(key) is None]

    def finished(self, key: str) -> Records | None:
        """The records of a finished frame, or None; a damaged file counts as not finished, with a warning.

        For many frames, `missing` says faster which are finished.
        """
        records = self._own.whole(key)
        if records is None and key not in self._packed:
            self._packed.find()
        if records is not None or key not in self._packed:
            return records
        return {kind: _array(kind, self._packed.of(kind, [key])) for kind in FOLDERS}

    def keys(self) -> list[str]:
        """Every finished frame, those in parts first, then by the name of their files.

        Raises InputError where a frame's own file is damaged.
        """
        self._packed.find()
        return list(dict.fromkeys([*self._packed, *self._own.keys()]))

    def tables(self, keys: Sequence[str]) -> Tables:
        """All records of finished frames, by kind, in the order of `keys`, wherever they lie.

        Raises InputError where a frame is not there, or its file is damaged.
        """
        if any(key not in self._packed for key in keys):
            self._packed.find()
        small = [key for key in keys if key not in self._packed]
        if not small:
            return {kind: self._packed.of(kind, keys) for kind in KINDS}
        packed = [key for key in keys if key in self._packed]
        loose = self._small(small)
        return {kind: _ordered(pa.concat_tables([loose[kind], self._packed.of(kind, packed)]), keys) for kind in KINDS}

    def _small(self, keys: Sequence[str]) -> Tables:
        """The records of frames that have files of their own."""
        records = [self._there(key) for key in keys]
        costs = [(key, *astuple(cost)) for key in keys for cost in self.costs(key)]
        tables = {
            kind: parquet_records.of_array(kind, npy_records.stack(kind, [of_frame[kind] for of_frame in records]))
            for kind in FOLDERS
        }
        return {FrameCost: parquet_records.of_values(FrameCost, costs), **tables}

    def _there(self, key: str) -> Records:
        records = self._own.whole(key)
        if records is None:
            raise InputError(f"{self.path}: records of {key!r} are gone or damaged; the same command scores it again")
        return records

    def costs(self, key: str) -> list[Cost]:
        """The costs of a frame; none where they are not known, and with a warning where their file is damaged."""
        if key in self._packed and not self.costs_file(key).exists():
            return [Cost(*line[1:]) for line in _lines(self._packed.of(FrameCost, [key]))]
        return self._own.costs(key)

    @contextlib.contextmanager
    def locked(self, shard: Shard) -> Iterator[None]:
        """Locks other processes out of the whole folder, or of this shard; the lock ends with the process at latest.

        Raises InputError where another process is at work, OSError where the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.require_folders()
        with contextlib.ExitStack() as stack:
            self._lock(stack.enter_context(appending(self.path / LOCK)), shared=not shard.whole)
            if not shard.whole:
                part = f"{LOCK}-{shard.index + 1}-of-{shard.count}"
                self._lock(stack.enter_context(appending(self.path / part)))
            if shard.whole:
                for place in (self.path, *filter(Path.is_dir, self.path.iterdir())):
                    sweep(place)
            yield

    def _lock(self, file: IO[str], shared: bool = False) -> None:
        if not lock(file, shared):
            raise InputError(
                f"another process is working on {self.path}; wait for it, or choose another --run NAME "
                f"(several processes can share a run with --shard I/N)"
            )


def _lines(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _array(kind: type, table: pa.Table) -> np.ndarray:
    return npy_records.to_array(kind, [kind(*line) for line in _lines(table)])


def _ordered(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows in the order of their frames."""
    if not len(table):
        return table
    order = {key: number for number, key in enumerate(keys)}
    named = table.unify_dictionaries().combine_chunks().column("key").chunk(0)
    known = np.array([order.get(key, -1) for key in named.dictionary.to_pylist()])  # of a part also other frames
    positions = known[named.indices.to_numpy()]
    return table.take(pa.array(np.argsort(positions, kind="stable")))
