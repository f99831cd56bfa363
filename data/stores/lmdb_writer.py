"""Writing images to an LMDB file: whole batches or nothing, durable, and as large as the disk allows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeAlias, TypeVar

import lmdb

from common.errors import InputError
from data.keys import key_problem
from data.stores.lmdb_format import (
    explained,
    image_start,
    is_store,
    open_environment,
    refuse_incomplete,
    stored_key,
    stored_value,
)

T = TypeVar("T")
Change: TypeAlias = "lmdb.Transaction[bytes]"
FIRST_MAP = 256 * 2**20


@dataclass
class Written:
    """What became of images that were put into a store.

    Attributes:
        added: how many are new.
        replaced: how many took the place of other bytes.
        identical: how many were there already, byte for byte.
        conflicts: keys of images whose bytes differ from the store's, which were left as they are there.
    """

    added: int = 0
    replaced: int = 0
    identical: int = 0
    conflicts: list[str] = field(default_factory=list)

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.added + other.added,
            self.replaced + other.replaced,
            self.identical + other.identical,
            self.conflicts + other.conflicts,
        )


class LmdbWriter:
    """A store open for writing; a context manager. One process writes at a time, others wait for its transaction.

    Every call of `put` and `remove` is one transaction, flushed to disk before it returns: what is interrupted
    (even by SIGKILL) or fails leaves the store as it was before that call. A new store is one file; it is removed
    again where nothing could be put into it. The map doubles whenever it is full; `map_size` in bytes is where a
    new store starts.

    Raises InputError for what is not a store or may not be written, OSError where the disk is full.
    """

    def __init__(self, path: str | Path, map_size: int = FIRST_MAP) -> None:
        self.path = Path(path)
        refuse_incomplete(self.path)
        if self.path.is_dir() and not is_store(self.path):
            raise InputError(f"{self.path}: a folder, not an image store; name a file, such as faces.lmdb")
        self._new = not is_store(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._environment = open_environment(self.path, readonly=False, map_size=map_size if self._new else 0)
        except (InputError, OSError):
            self._remove_new()
            raise

    def __enter__(self) -> "LmdbWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, images: Sequence[tuple[str, bytes]], overwrite: bool = False) -> Written:
        """Puts a batch of (key, encoded image) into the store in one transaction.

        An image that is there already is left alone; one that is there with other bytes is replaced if
        `overwrite`, and otherwise left as it is and reported. Raises InputError for a key that is no relative path.
        """
        for key, _ in images:
            _require_key(self.path, key)

        def put_all(transaction: Change) -> Written:
            written = Written()
            for key, image in images:
                _put(transaction, key, image, overwrite, written)
            return written

        return self._write(put_all, sum(len(image) for _, image in images))

    def remove(self, keys: Iterable[str]) -> int:
        """Removes images in one transaction; returns how many of the keys were there."""
        stored = [stored_key(key) for key in keys if key]
        return self._write(lambda transaction: sum(transaction.delete(key) for key in stored), 0)

    def get(self, key: str) -> bytes | None:
        """The encoded image, or None where the store does not have it."""
        with explained(self.path), self._environment.begin() as transaction:
            return _get(transaction, stored_key(key)) if key else None

    def map_size(self) -> int:
        """The size in bytes that the store may grow to before its map is made larger."""
        return self._environment.info()["map_size"]

    def close(self) -> None:
        """Flushes the store to disk and closes it; a new store without images is removed again."""
        try:
            with explained(self.path):
                empty = self._environment.stat()["entries"] == 0
                self._environment.sync(True)
        finally:
            self._environment.close()
        if empty:
            self._remove_new()

    def _write(self, work: Callable[[Change], T], size: int) -> T:
        """The result of `work(transaction)` once it is committed; a map that is too small is made larger."""
        with explained(self.path):
            while True:
                try:
                    with self._environment.begin(write=True) as transaction:
                        return work(transaction)
                except lmdb.MapFullError:
                    self._environment.set_mapsize(max(2 * self.map_size(), self.map_size() + 2 * size))
                except lmdb.MapResizedError:
                    self._environment.set_mapsize(0)  # another process made the store larger: take over its size

    def _remove_new(self) -> None:
        if self._new:
            for file in (self.path, Path(f"{self.path}-lock")):
                file.unlink(missing_ok=True)


def _put(transaction: Change, key: str, image: bytes, overwrite: bool, written: Written) -> None:
    stored = stored_key(key)
    present = _get(transaction, stored)
    if present == image:
        written.identical += 1
    elif present is not None and not overwrite:
        written.conflicts.append(key)
    else:
        transaction.put(stored, stored_value(key, image))
        written.added += present is None
        written.replaced += present is not None


def _get(transaction: Change, stored: bytes) -> bytes | None:
    value = transaction.get(stored)
    return None if value is None else value[image_start(stored, memoryview(value)) :]


def _require_key(path: Path, key: str) -> None:
    problem = key_problem(key)
    if problem:
        raise InputError(f"{path}: {key!r} cannot name an image: it {problem}")
