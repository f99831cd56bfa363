"""Images in an LMDB file, read by any number of processes.

A store is opened read-only and without LMDB's lock file, so that it can lie on a read-only or network disk and be
read by any number of workers. A writer then does not wait for readers. What they see is safe all the same: LMDB
never writes over a page that a snapshot shows before two further transactions are committed, and a read (they
are all short) after which that many were committed is done again.
"""

import os
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import lmdb

from common.errors import InputError
from data.images import refuse_size
from data.stores.base import stamp_of
from data.stores.lmdb_format import (
    data_file,
    explained,
    image_start,
    key_of,
    needed,
    open_environment,
    refuse_incomplete,
    refuse_truncated,
    stored_key,
)

T = TypeVar("T")
Snapshot: TypeAlias = "lmdb.Transaction[memoryview]"
KEYS_AT_ONCE = 1000


class LmdbImages:
    """The images of an LMDB store: one file, or a folder with a data.mdb.

    Safe in threads, across a fork, and pickled to the workers of a DataLoader. Raises InputError for what is not
    an LMDB store, is truncated or may not be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()  # own code may change the working folder before it is read
        self._shared: _SharedEnvironment | None = None
        self._environment()

    def read(self, key: str) -> bytes:
        """The encoded image. Raises InputError where the store does not have it or is damaged, or it is too large."""
        stored = stored_key(key)

        def image(transaction: Snapshot) -> bytes | None:
            value = transaction.get(stored)
            if value is None:
                return None
            refuse_size(len(value), f"{key} in {self.path}")
            return bytes(value[image_start(stored, value) :])

        data = self._read(image) if stored else None
        if data is None:
            raise InputError(f"{key!r} is not in the image store {self.path}")
        return data

    def __contains__(self, key: object) -> bool:
        """Whether the store has an image of that key."""
        if not isinstance(key, str) or not key:
            return False
        stored = stored_key(key)
        return self._read(lambda transaction: transaction.get(stored) is not None)

    def keys(self) -> list[str]:
        """Every image's key, sorted. Raises InputError for a key that is not a relative path in UTF-8."""
        return sorted(key for key, _ in self.sizes())

    def sizes(self) -> list[tuple[str, int]]:
        """Every image's key and its size in bytes, in the order of the store."""
        pairs: list[tuple[str, int]] = []
        after: bytes | None = b""
        while after is not None:
            part, after = self._read(partial(_part, self.path, after))
            pairs += part
        return pairs

    def stamp(self, key: str) -> str | None:
        """The SHA-256 of the image, in hexadecimal; None where the store does not have it."""
        stored = stored_key(key)

        def stamped(transaction: Snapshot) -> str | None:
            value = transaction.get(stored)
            if value is None:
                return None
            return stamp_of(value[image_start(stored, value) :])

        return self._read(stamped) if stored else None

    def map_size(self) -> int:
        """The size in bytes that the store may grow to before its map is made larger."""
        return self._environment().environment.info()["map_size"]

    def close(self) -> None:
        """Lets go of the file; the next read opens it again."""
        self._shared = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_shared": None}

    def _read(self, work: Callable[[Snapshot], T]) -> T:
        with explained(self.path):
            return self._environment().read(work)

    def _environment(self) -> "_SharedEnvironment":
        """This process's environment, opened where it has none yet."""
        if self._shared is None or self._shared.process != os.getpid():
            self._shared = _open(self.path)
        return self._shared


class _SharedEnvironment:
    """An open LMDB environment, shared by all who read the same file in one process, as LMDB demands."""

    def __init__(self, path: Path, environment: lmdb.Environment) -> None:
        self.path = path
        self.environment = environment
        self.process = os.getpid()
        self.lock = threading.Lock()
        self._file = os.open(data_file(path), os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._least = needed(environment)

    def read(self, work: Callable[[Snapshot], T]) -> T:
        """The result of `work(transaction)`, which must copy what it keeps, on a snapshot that stayed whole."""
        with self.lock:  # the map must not be moved under another thread's transaction
            while True:
                self._refuse_truncated()
                try:
                    transaction = self.environment.begin(buffers=True)
                except lmdb.MapResizedError:
                    self._refuse_truncated()
                    self.environment.set_mapsize(0)  # another process made the store larger: take over its size
                    continue
                damage: lmdb.Error | None = None
                with transaction:
                    snapshot = transaction.id()
                    try:
                        result = work(transaction)
                    except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
                        damage = error
                if self.environment.info()["last_txnid"] > snapshot + 1:
                    continue
                if damage is not None:
                    raise damage
                return result

    def _refuse_truncated(self) -> None:
        """Raises InputError where the file is shorter than its pages, as when something else is copied over it."""
        size = os.fstat(self._file).st_size
        refuse_truncated(self.path, size, self._least)  # so far that its first pages are there
        self._least = needed(self.environment)  # as they say now
        refuse_truncated(self.path, size, self._least)


_opening = threading.Lock()
_environments: WeakValueDictionary[tuple[int, int], _SharedEnvironment] = WeakValueDictionary()


def _open(path: Path) -> _SharedEnvironment:
    refuse_incomplete(path)
    file = data_file(path)
    try:
        status = file.stat()
    except OSError as error:
        raise InputError(f"{path}: the image store cannot be opened ({error.strerror})") from error
    if status.st_size == 0:
        raise InputError(f"{path}: not an LMDB image store (the file is empty)")
    identity = (status.st_dev, status.st_ino)
    with _opening:
        shared = _environments.get(identity)
        if shared is not None and shared.process != os.getpid():
            shared.environment.close()  # inherited over a fork: LMDB wants every process to open its own
            shared = None
        if shared is None:
            shared = _environments[identity] = _SharedEnvironment(path, open_environment(path, readonly=True))
    return shared


def _part(path: Path, after: bytes, transaction: Snapshot) -> tuple[list[tuple[str, int]], bytes | None]:
    """The keys and sizes of the next images behind a stored key, and the last of them (None at the end)."""
    pairs: list[tuple[str, int]] = []
    with transaction.cursor() as cursor:
        more = cursor.set_range(after) if after else cursor.first()
        if more and after and bytes(cursor.key()) == after:
            more = cursor.next()
        last = after
        while more and len(pairs) < KEYS_AT_ONCE:
            last, value = bytes(cursor.key()), cursor.value()
            try:
                pairs.append((key_of(last, value), len(value) - image_start(last, value)))
            except InputError as error:
                raise InputError(f"{path}: {error}; it was made by another program for another purpose") from error
            more = cursor.next()
    return pairs, last if more else None
