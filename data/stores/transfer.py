"""Moving images between sources: add, compare, merge."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import InputError
from data.images import decode, decode_mask
from data.stores.base import ImageSource
from data.stores.lmdb_reader import LmdbImages
from data.stores.lmdb_writer import LmdbWriter, Written

BATCH_BYTES = 64 * 2**20
BATCH_IMAGES = 4096


@dataclass
class Added:
    """What `add` did: `written` to the store, and `unreadable`, a line for every image that the source lacks."""

    written: Written = field(default_factory=Written)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StoreProblem:
    """What is wrong with one image of a store, such as "missing"."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


def add(writer: LmdbWriter, source: ImageSource, keys: Iterable[str], overwrite: bool = False) -> Added:
    """Copies the bytes of images from a source to a store.

    What the source cannot give is reported in `unreadable` and the rest is copied. Every batch is one durable
    transaction, so an interrupted call can simply be made again.

    Args:
        writer: the store, open for writing.
        source: where the images are read from.
        keys: the images to copy.
        overwrite: whether images that the store has with other bytes are replaced; otherwise they stay as they are
            and are reported in `written.conflicts`.

    Raises:
        InputError: a key that the source has is no relative path, or the store is damaged.
        OSError: the disk is full.
    """
    result = Added()
    for batch in _batches(_readable(source, keys, result.unreadable)):
        result.written += writer.put(batch, overwrite)
    return result


def compare_store(store: ImageSource, folder: ImageSource, keys: Iterable[str]) -> Iterator[StoreProblem | None]:
    """For each key, what keeps the store's image from being the folder's byte for byte, or None."""
    for key in keys:
        try:
            wanted = folder.read(key)
        except InputError as error:
            yield StoreProblem(key, str(error))
            continue
        if key not in store:
            yield StoreProblem(key, "missing from the store")
        elif store.read(key) != wanted:
            yield StoreProblem(key, f"differs from the file in {folder.path}")
        else:
            yield None


def check(
    store: ImageSource, keys: Iterable[str], masks: frozenset[str] = frozenset()
) -> Iterator[StoreProblem | None]:
    """For each key, what keeps the store's image (or mask, where the key is in `masks`) from decoding, or None."""
    for key in keys:
        if key not in store:
            yield StoreProblem(key, "missing from the store")
            continue
        data = store.read(key)
        try:
            (decode_mask if key in masks else decode)(data, key)
            yield None
        except InputError as error:
            yield StoreProblem(key, str(error).removeprefix(f"{key}: "))


def mergeable(target: str | Path, sources: Sequence[str | Path], overwrite: bool = False) -> list[LmdbImages]:
    """The stores at `sources`, opened and proven fit to be added to the one at `target` (which may be missing).

    Raises InputError where a source is the target itself and, unless `overwrite`, where two of the stores, or one
    and the target, have different bytes for a key.
    """
    target = Path(target)
    stores = [LmdbImages(source) for source in sources]
    if target.exists() and any(target.samefile(store.path) for store in stores):
        raise InputError(f"{target}: cannot be merged into itself; name the other stores only")
    if overwrite:
        return stores
    existing = [LmdbImages(target)] if target.exists() else []
    conflicts = _conflicts([*existing, *stores])
    for store in existing:
        store.close()  # the target is opened for writing next, and a process may open a store only once
    if conflicts:
        raise InputError(
            f"{target}: {first_few(conflicts)} with different bytes in two stores; nothing was merged "
            f"(with --overwrite the later store wins)"
        )
    return stores


def _readable(source: ImageSource, keys: Iterable[str], unreadable: list[str]) -> Iterator[tuple[str, bytes]]:
    for key in keys:
        try:
            yield key, source.read(key)
        except InputError as error:
            unreadable.append(str(error))


def _batches(images: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """The images in lists of at most BATCH_IMAGES, and of not much more than BATCH_BYTES."""
    batch: list[tuple[str, bytes]] = []
    size = 0
    for key, image in images:
        batch.append((key, image))
        size += len(image)
        if size >= BATCH_BYTES or len(batch) >= BATCH_IMAGES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _conflicts(stores: Sequence[LmdbImages]) -> list[str]:
    """The keys for which two of the stores have different bytes."""
    first: dict[str, LmdbImages] = {}
    conflicts = []
    for store in stores:
        for key in store.keys():  # noqa: SIM118 - a source of images is no dict
            earlier = first.setdefault(key, store)
            if earlier is not store and earlier.read(key) != store.read(key):
                conflicts.append(key)
    return list(dict.fromkeys(conflicts))


def first_few(keys: Sequence[str], shown: int = 3) -> str:
    """A number of keys and the first few of them, for a message: "5 images (a.png, b.png, c.png, ...)"."""
    names = ", ".join(keys[:shown]) + (", ..." if len(keys) > shown else "")
    return f"{len(keys):,} image{'s' if len(keys) != 1 else ''} ({names})"
