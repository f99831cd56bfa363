"""`python -m data lmdb`: filling, checking and inspecting image stores."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from lmdb.verify import VerifyError
from lmdb.verify import verify as structure

from common.console import application, progress, say, table
from common.errors import InputError
from common.files import read_text
from data.entry import Entry
from data.index import pictures, read_index
from data.stores import FolderImages, LmdbImages, LmdbWriter, Written
from data.stores.lmdb_format import data_file
from data.stores.transfer import add as add_images
from data.stores.transfer import check, compare_store, first_few, mergeable

ROWS = 20

Store = Annotated[Path, typer.Argument(metavar="STORE", help="The LMDB image store.", show_default=False)]
Index = Annotated[
    Path | None, typer.Option("--index", metavar="INDEX.csv", help="Only the pictures that this index names.")
]
Folder = Annotated[Path | None, typer.Option("--images", metavar="DIR", help="The folder with the image files.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace stored images whose bytes differ.")]

lmdb_app = application("Keep many images in one LMDB file.")


@lmdb_app.command()
def add(store: Store, images: Folder = None, index: Index = None, overwrite: Overwrite = False) -> None:
    """Add images, masks and source pictures from a folder.

    Without --index, every picture in the folder is added; without --images, the index lies in the folder. What is
    stored already is skipped, so after an interruption the same command goes on.
    """
    folder = _folder(images, index)
    keys = pictures(read_index(index)) if index else folder.keys()
    if not keys:
        raise InputError(f"{folder.path}: no pictures in this folder")
    with LmdbWriter(store) as writer, progress("image") as bar:
        added = add_images(writer, folder, bar.track(keys, description="adding"), overwrite)
    say(f"{store}: {_summary(added.written)}")
    problems = []
    if added.written.conflicts:
        differ = "differs from the one" if len(added.written.conflicts) == 1 else "differ from those"
        problems.append(f"{first_few(added.written.conflicts)} {differ} stored; add --overwrite to replace")
    if added.unreadable:
        others = len(added.unreadable) - 1
        problems.append(added.unreadable[0] + (f", and {others:,} more like it" if others else ""))
    if problems:
        raise InputError(f"not all could be added: {'; '.join(problems)}")


@lmdb_app.command()
def verify(store: Store, images: Folder = None, index: Index = None) -> None:
    """Prove that a store holds every image, mask and source picture.

    With --images, every one must be identical to its file, byte for byte; without, it must be there and decode.
    Which ones: those of the index, else every picture of the folder, else every image of the store.
    """
    if data_file(store).is_file():
        _refuse_unsound(store)
    source = LmdbImages(store)
    entries = read_index(index) if index else []
    folder = FolderImages(images) if images else None
    keys = pictures(entries) if entries else (folder or source).keys()
    if not keys:
        raise InputError(f"{folder.path if folder else store}: no images to verify")
    masks = frozenset(entry.mask for entry in entries if entry.mask)
    with progress("image") as bar:
        tracked = bar.track(keys, description="verifying")
        results = compare_store(source, folder, tracked) if folder else check(source, tracked, masks)
        problems = [problem for problem in results if problem is not None]
    for problem in problems:
        say(str(problem))
    if problems:
        raise InputError(f"{store}: {len(problems):,} of {_counted(len(keys), 'image')} failed, listed above")
    proven = f"present and identical to the files in {images}, byte for byte" if folder else "present and decodable"
    say(f"{store}: {_counts(len(keys), len(masks & set(keys)))} {proven}")


@lmdb_app.command("list")
def list_keys(
    store: Store,
    prefix: Annotated[str, typer.Option("--prefix", metavar="PREFIX", help="Only keys that begin with this.")] = "",
) -> None:
    """Print the keys, one a line."""
    keys = [key for key in LmdbImages(store).keys() if key.startswith(prefix)]  # noqa: SIM118 - no dict
    if prefix and not keys:
        raise InputError(f"{store}: no key begins with {prefix!r}")
    for key in keys:
        say(key)


@lmdb_app.command()
def stats(
    store: Store,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="INDEX.csv", help="The index that tells each image's family.")
    ] = None,
) -> None:
    """Count images and bytes, by folder and by format.

    With --index, by family instead of by folder.
    """
    source = LmdbImages(store)
    sizes = dict(source.sizes())
    if index:
        _table_of_families(read_index(index), sizes)
    else:
        _table("By folder", "Folder", sizes, {key: _top(key) for key in sizes})
    _table("By format", "Format", sizes, {key: PurePosixPath(key).suffix.lower() or "none" for key in sizes})
    say(f"{store}: {_counted(len(sizes), 'image')}, {_bytes(sum(sizes.values()))}")
    say(f"file {_bytes(data_file(store).stat().st_size)}, map size {_bytes(source.map_size())} (grows by itself)")


@lmdb_app.command()
def remove(
    store: Store,
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Keys to remove.")] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="PREFIX", help="Remove every key that begins with this.")
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="Remove the keys in this file, one a line.")
    ] = None,
) -> None:
    """Remove images by key.

    All of them or, where a key is not in the store, none.
    """
    source = LmdbImages(store)
    wanted = [*(keys or []), *(_lines(key_file) if key_file else [])]
    absent = [key for key in dict.fromkeys(wanted) if key not in source]
    if absent:
        raise InputError(
            f"{store}: {first_few(absent)} {'is' if len(absent) == 1 else 'are'} not in the store; nothing was removed"
        )
    if prefix:
        wanted += [key for key in source.keys() if key.startswith(prefix)]  # noqa: SIM118 - no dict
    if not wanted:
        reason = f"no key begins with {prefix!r}" if prefix else "name keys, --prefix or --list"
        raise InputError(f"{store}: nothing to remove; {reason}")
    source.close()
    with LmdbWriter(store) as writer:
        removed = writer.remove(dict.fromkeys(wanted))
    say(f"{store}: {_counted(removed, 'image')} removed")
    say("the file keeps its size for new images; merge it into a new store to make it smaller")


@lmdb_app.command()
def merge(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The store to merge into; made where missing.")],
    stores: Annotated[list[Path], typer.Argument(metavar="STORE", help="The stores to copy from.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Where bytes differ, the later store wins.")] = False,
) -> None:
    """Copy the images of several stores into one.

    Nothing is copied where two stores have different bytes for one key, unless --overwrite is given.
    """
    sources = mergeable(target, stores, overwrite)
    written = Written()
    with LmdbWriter(target) as writer, progress("image") as bar:
        for source in sources:
            keys = source.keys()
            added = add_images(writer, source, bar.track(keys, description=f"merging {source.path.name}"), overwrite)
            if added.unreadable:
                raise InputError(added.unreadable[0])
            written += added.written
    say(f"{target}: {_summary(written)}")


def _folder(images: Path | None, index: Path | None) -> FolderImages:
    if images is None and index is None:
        raise InputError("nothing to add; name a folder with --images, an index with --index, or both")
    return FolderImages(images if images is not None else index.parent)  # type: ignore[union-attr]


def _refuse_unsound(store: Path) -> None:
    """Raises InputError where the file's structure is damaged, found without LMDB, which could crash on it."""
    try:
        problems = structure(str(store))
    except VerifyError as error:
        problems = [str(error)]
    if problems:
        raise InputError(f"{store}: the structure of the store is damaged ({problems[0]}); make it again")


def _lines(path: Path) -> list[str]:
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot read the list of keys ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8; save the list of keys as UTF-8 text") from error
    return [line for line in lines if line.strip()]


def _table_of_families(entries: Sequence[Entry], sizes: dict[str, int]) -> None:
    groups = {entry.source: "source pictures" for entry in entries if entry.source}
    groups |= {entry.mask: "masks" for entry in entries if entry.mask}
    groups |= {entry.key: entry.family or "unknown" for entry in entries}  # a source may be a frame itself
    groups |= {key: "not in the index" for key in sizes if key not in groups}
    _table("By family", "Family", sizes, groups)


def _table(title: str, column: str, sizes: dict[str, int], groups: dict[str, str]) -> None:
    """Prints images and bytes by group, the largest groups first; keys that are not in `sizes` count as missing."""
    images: dict[str, int] = defaultdict(int)
    volume: dict[str, int] = defaultdict(int)
    for key, group in groups.items():
        images[group] += key in sizes
        volume[group] += sizes.get(key, 0)
    order = sorted(images, key=lambda group: (-images[group], group))
    rows = [[group, f"{images[group]:,}", _bytes(volume[group])] for group in order[:ROWS]]
    rest = order[ROWS:]
    if rest:
        count, total = sum(images[group] for group in rest), sum(volume[group] for group in rest)
        rows.append([f"{len(rest):,} others", f"{count:,}", _bytes(total)])
    table(title, [column, "Images", "Size"], rows)


def _top(key: str) -> str:
    """The first two folders of a key: the data set's part and the method, in the usual layouts."""
    return "/".join(PurePosixPath(key).parts[:-1][:2]) or "(top)"


def _summary(written: Written) -> str:
    parts = [f"{_counted(written.added, 'image')} added"]
    if written.replaced:
        parts.append(f"{written.replaced:,} replaced")
    if written.identical:
        parts.append(f"{written.identical:,} {'was' if written.identical == 1 else 'were'} there already")
    return ", ".join(parts)


def _counts(pictures: int, masks: int) -> str:
    verb = "is" if pictures == 1 else "are"
    both = _counted(pictures - masks, "image") + (f" and {_counted(masks, 'mask')}" if masks else "")
    return f"{both} {verb}"


def _counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bytes(size: float) -> str:
    """A size in bytes for people: "3.2 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
