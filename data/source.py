"""Frames from an index and a source of images, decoded one at a time."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.entry import Entry
from data.frames import Frame
from data.images import SUFFIXES, decode, decode_mask, size_of
from data.index import pictures, read_index
from data.same_pictures import SamePictures
from data.stores import FolderImages, ImageSource, open_images
from data.stores.lmdb_format import looks_like_store
from data.stores.unchanged_images import UnchangedImages

INDEX = "index.csv"
ALL_SPLITS = "all"


class IndexedFrames(Sequence[Frame]):
    """The frames that `entries` name, read from `images` and decoded whenever one is asked for.

    Nothing is kept, so it can be as long as a data set, and it can be pickled and forked into workers. A slice is
    an IndexedFrames again. `frames[i]` raises InputError, naming the key and the source, where the image or its
    mask is missing, does not decode, or differ in size, or is another than when the `fingerprint` was taken.
    """

    def __init__(self, entries: Sequence[Entry], images: ImageSource) -> None:
        self.entries = tuple(entries)
        self.images = images if isinstance(images, UnchangedImages) else UnchangedImages(images)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> "IndexedFrames": ...

    def __getitem__(self, index: int | slice) -> "Frame | IndexedFrames":
        if isinstance(index, slice):
            return IndexedFrames(self.entries[index], self.images)
        entry = self.entries[index]
        image = decode(self.images.read(entry.key), f"{entry.key} in {self.images.path}")
        return Frame(entry.key, image, entry.label, entry.family, entry.video, self._mask(entry, image))

    def missing(self) -> list[str]:
        """The keys of images, masks and source pictures that are not there, found without reading any."""
        return [key for key in pictures(self.entries) if key not in self.images]

    def source_image(self, position: int) -> np.ndarray | None:
        """The source picture (H, W, 3) uint8 RGB of frame `position`, of the frame's size; None where it has none.

        It shows the same moment and square of the original that the frame was made from. Raises InputError, naming
        the key and the source, where it is missing, does not decode, or is not of the frame's size.
        """
        entry = self.entries[position]
        if entry.source is None:
            return None
        name = f"{entry.source} in {self.images.path}"
        picture = decode(self.images.read(entry.source), name)
        height, width = size_of(self.images.read(entry.key), f"{entry.key} in {self.images.path}")
        if picture.shape[:2] != (height, width):
            raise InputError(
                f"{name}: the source picture is {picture.shape[1]}x{picture.shape[0]} pixels, "
                f"but the frame {entry.key} is {width}x{height}"
            )
        return picture

    def fingerprint(self, pictures: SamePictures | None = None) -> str:
        """A SHA-256, in hexadecimal, of the entries in order and of each image's, mask's and source picture's stamp.

        It changes with any label, split, mask, source, family, video or order and with any byte of a picture, but not
        with where they lie: a folder and a store with the same files agree. Every picture is read, at most as fast as
        the disk; `pictures` takes note of those that are there twice. From then on no other bytes are read for them.
        """
        digest = hashlib.sha256()
        for entry in self.entries:
            stamps = [self.images.stamp(key) for key in (entry.key, entry.mask, entry.source) if key]
            if pictures is not None:
                pictures.add(entry, stamps[0])
            known = (entry.key, entry.fake, entry.label, entry.split, entry.mask, stamps)
            stated = [entry.source, entry.stated_family, entry.stated_video]
            while stated and stated[-1] is None:  # what an index does not state changes nothing
                stated.pop()
            digest.update(repr((*known, *stated)).encode())
        return digest.hexdigest()

    def _mask(self, entry: Entry, image: np.ndarray) -> np.ndarray | None:
        if entry.mask is None:
            return None
        name = f"{entry.mask} in {self.images.path}"
        mask = decode_mask(self.images.read(entry.mask), name)
        if mask.shape != image.shape[:2]:
            raise InputError(
                f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, "
                f"but its image {entry.key} is {image.shape[1]}x{image.shape[0]}"
            )
        return mask


def read_frames(index: str | Path, images: ImageSource, split: str | None = None) -> IndexedFrames:
    """The frames of an index file, all (None or "all") or those of one split, with their images from `images`.

    Raises InputError for an unusable index (see `read_index`) or a split that it does not have.
    """
    return IndexedFrames(of_split(read_index(index), split, index), images)


def open_frames(frames: str | Path, images: str | Path | None = None, split: str | None = None) -> IndexedFrames:
    """The frames that a user names on a command line.

    `frames` is an index file, with its images in the store or folder `images`, or where that is None in the folder
    of the index itself. Or it is a picture, or a folder of pictures (by their suffix, subfolders included, sorted),
    of which no label is known: the path is never taken for one. A folder with an index.csv is not such a folder.
    `split` is one of the index; None or "all" for every frame.

    Raises InputError for anything that cannot be opened, a split that is not there, and a folder without pictures.
    """
    frames = Path(frames)
    if not os.path.exists(frames):
        raise InputError(f"{frames}: no such index or folder of pictures")
    if looks_like_store(frames):
        raise InputError(f"{frames}: an image store; name its index as the frames and the store as the images")
    if not frames.is_dir() and frames.suffix.lower() not in SUFFIXES:
        return read_frames(frames, open_images(frames.parent if images is None else images), split)
    if images is not None or split not in (None, ALL_SPLITS):
        name = "images of their own" if images is not None else "splits"
        raise InputError(f"{frames}: pictures without an index have no {name}; name an index file instead")
    return _unlabelled(frames)


def refuse_without_frames(images: Path | None, split: str | None) -> None:
    """Raises InputError for options of frames where a command was given none, and takes demo frames."""
    for name, value in (("--images", images), ("--split", split)):
        if value is not None:
            raise InputError(f"{name} needs --frames: demo frames have their own")


def warn_of_doubt(entries: Sequence[Entry]) -> None:
    """Prints one line where the index marks frames whose label may belong to another face than they show."""
    marked = [entry for entry in entries if entry.faces]
    if marked:
        videos = {entry.video for entry in marked}
        warn(
            f"{len(marked)} of {len(entries)} frames (of {count(len(videos), 'video')}, such as {marked[0].video}) may "
            "have the wrong label: several faces are in view, and nothing showed which was changed (column faces of "
            "the index)"
        )


def of_split(entries: Sequence[Entry], split: str | None, where: str | Path) -> list[Entry]:
    """The entries of one split (all where it is None or "all"), in order.

    A warning says how many are of a split that differs in its case alone. Raises InputError, naming `where`, for none,
    and for "all" where only some frames are of a split of that name.
    """
    if split == ALL_SPLITS and len({entry.split == ALL_SPLITS for entry in entries}) > 1:
        raise InputError(f"{where}: {ALL_SPLITS!r} is a split of it and stands for all of them; name it otherwise")
    if split in (None, ALL_SPLITS):
        return list(entries)
    chosen = [entry for entry in entries if entry.split == split]
    if not chosen:
        known = sorted({entry.split for entry in entries if entry.split})
        raise InputError(f"{where}: no frame of the split {split!r}; its splits: {', '.join(known) or 'none'}")
    others = Counter(entry.split for entry in entries if entry.split and entry.split != split)
    for other in (name for name in others if name.casefold() == split.casefold()):
        warn(f"{where}: {count(others[other], 'frame')} of the split {other!r} left out: it is not {split!r}")
    return chosen


def _unlabelled(pictures: Path) -> IndexedFrames:
    """A picture, or those of a folder, as frames of which nothing is known."""
    if not pictures.is_dir():
        return IndexedFrames([Entry(pictures.name, fake=None, label=None)], FolderImages(pictures.parent))
    if (pictures / INDEX).is_file():
        raise InputError(f"{pictures}: this folder has an index; name {pictures / INDEX}, which knows labels and masks")
    source = FolderImages(pictures)
    entries = [Entry(key, fake=None, label=None) for key in source.keys()]  # noqa: SIM118 - no dict
    if not entries:
        raise InputError(f"{pictures}: no pictures in this folder ({' '.join(sorted(SUFFIXES))})")
    return IndexedFrames(entries, source)
