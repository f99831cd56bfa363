"""Finished frames together in column files: some thousand in one, in place of four small files for each.

A part holds every record of its frames, a file for each kind, its rows last, like a frame's own files. The small files
go only once the part is whole, so a process may be killed at any moment: a frame in both is the same in both.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.console import warn
from common.errors import InputError
from common.files import read_file, visible
from runs import parquet_records
from runs.seals import Seals, checksums, in_words, require_one_scoring
from scoring.costs import FrameCost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row, TransformedVerdict

FOLDERS: Mapping[type, str] = {
    FrameVerdict: "verdicts",
    FlipThreshold: "grades",
    MetricValue: "metrics",
    TransformedVerdict: "transformed",
    Row: "frames",
}
"""The folder of each kind of record, in the order of writing: a frame's rows last, as they make it finished."""

SINCE: Mapping[type, int] = {FrameVerdict: 4}
"""The format of runs since which a kind is kept (`runs.configuration.FORMAT`); a run of an earlier one has no file."""

COSTS = "costs"
"""The folder of the costs, which are no part of the frames' results."""

KINDS = (FrameCost, *FOLDERS)
Tables = Mapping[type, pa.Table]


def has(seals: Seals, kind: type) -> bool:
    """Whether the run with these seals has records of a kind: it is new enough, and asks for them."""
    return seals.format >= SINCE.get(kind, 0) and (kind is not TransformedVerdict or seals.survives)


class Packed:
    """The parts of one run's folder."""

    def __init__(self, path: Path, seals: Seals) -> None:
        self._path, self._seals = path, seals
        self._where: dict[str, str] = {}
        self._damaged: set[str] = set()
        self._read: set[str] = set()
        self._open: dict[tuple[str, type], _Part] = {}

    def find(self) -> None:
        """Reads which frames new parts hold, also those of other processes; warns of damaged parts, and skips them."""
        for file in sorted(visible(self._path / FOLDERS[Row], "part-*.parquet")):
            if file.name not in self._read:
                self._read.add(file.name)
                try:
                    keys = self._keys(file)
                except (InputError, FileNotFoundError) as error:
                    warn(f"{in_words(error)}; its frames are left out until the run's command has scored them again")
                    self._damaged.add(file.name)
                else:
                    self._where |= dict.fromkeys(keys, file.name)

    def _keys(self, rows: Path) -> list[str]:
        """The frames of a part; raises InputError or FileNotFoundError where not all its files are there and whole."""
        for kind in KINDS:
            path = self._file(kind, rows.name)
            if kind is not Row and (path.exists() or has(self._seals, kind)):
                self._seals.check(path, read_file(path))
        keys = parquet_records.read_table(rows, Row, self._seals, ["key"]).column("key")
        require_one_scoring(rows, self._beside(rows.name))
        return [str(key) for key in pc.unique(keys).to_pylist()]

    def remove_damaged(self) -> None:
        """Removes the parts that `find` skipped; to be called once their frames are scored again."""
        for name in self._damaged:
            for kind in KINDS:
                self._file(kind, name).unlink(missing_ok=True)
        self._damaged = set()

    def __contains__(self, key: str) -> bool:
        return key in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def add(self, keys: Sequence[str], tables: Tables) -> None:
        """Writes a part of finished frames, its rows last."""
        name = f"part-{hashlib.sha256(chr(0).join(keys).encode()).hexdigest()[:16]}.parquet"
        for kind in (kind for kind in KINDS if len(tables[kind]) or has(self._seals, kind)):
            beside = checksums(self._beside(name)) if kind is Row else None
            parquet_records.write_table(self._file(kind, name), kind, tables[kind], self._seals, beside)
        self._read.add(name)
        self._damaged.discard(name)
        self._where |= dict.fromkeys(keys, name)

    def of(self, kind: type, keys: Iterable[str]) -> pa.Table:
        """The records of one kind of packed frames, in the order of `keys`.

        Raises InputError where a part is damaged or was removed. Keeps the parts in memory that it needed.
        """
        keys = list(keys)
        by_part: dict[str, list[str]] = {}
        for key in keys:
            by_part.setdefault(self._where[key], []).append(key)
        kept = {(name, kind): self._part(name, kind) for name in by_part}
        self._open = {(name, other): part for (name, other), part in self._open.items() if other != kind} | kept
        pieces = [kept[name, kind].of(chosen) for name, chosen in by_part.items()]
        table = pa.concat_tables([parquet_records.schema(kind).empty_table(), *pieces])
        if [*itertools.chain.from_iterable(by_part.values())] == keys:
            return table
        places = pc.index_in(table["key"].cast(pa.string()), value_set=pa.array(keys, pa.string()))
        return table.take(pa.array(np.argsort(places.to_numpy(), kind="stable")))

    def _part(self, name: str, kind: type) -> "_Part":
        known = self._open.get((name, kind))
        if known is not None:
            return known
        path = self._file(kind, name)
        if not path.exists() and not has(self._seals, kind):
            return _Part(parquet_records.schema(kind).empty_table())
        try:
            return _Part(parquet_records.read_table(path, kind, self._seals))
        except (InputError, FileNotFoundError) as error:
            rows = self._file(Row, name)
            again = f"remove {rows}, and the same command scores its frames again"
            raise InputError(f"{in_words(error)}; {again}") from error

    def _beside(self, name: str) -> dict[str, Path]:
        """The files that belong to a part's rows, its costs aside, by their folders."""
        return {folder: self._file(kind, name) for kind, folder in FOLDERS.items() if kind is not Row}

    def _file(self, kind: type, name: str) -> Path:
        return self._path / FOLDERS.get(kind, COSTS) / name


class _Part:
    """One file of a part in memory: each frame's rows are together."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.unify_dictionaries().combine_chunks()
        column = self._table.column("key")
        codes = column.chunk(0).indices.to_numpy() if column.num_chunks else np.zeros(0, dtype=np.int32)
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        stops = np.append(starts[1:], len(codes))[: len(starts)]
        names = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
        self._spans = {names[codes[a]]: (int(a), int(b)) for a, b in zip(starts, stops, strict=True)}

    def of(self, keys: Sequence[str]) -> pa.Table:
        """The rows of the frames `keys`, in their order; of a frame without any, none."""
        spans = [self._spans[key] for key in keys if key in self._spans]
        indices = np.concatenate([np.arange(a, b) for a, b in spans]) if spans else np.zeros(0, dtype=np.int64)
        if len(indices) == len(self._table) and (np.diff(indices) == 1).all():
            return self._table
        return self._table.take(pa.array(indices))
