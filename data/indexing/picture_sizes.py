"""The sizes of many pictures, from the beginnings of their files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import InputError
from data.images import MIN_SIDE, size_of
from data.stores import FolderImages
from data.stores.base import stamp_of

HEAD = 64 * 1024  # bytes that hold the size of nearly every picture

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Sizes:
    """The sizes of pictures.

    Attributes:
        of: by key, (height, width) in pixels, upright.
        problems: by key, why a picture cannot be read.
        beginnings: by key, the SHA-256 of its first bytes in hexadecimal, and whether these are the whole file.
    """

    of: Mapping[str, Size]
    problems: Mapping[str, str]
    beginnings: Mapping[str, tuple[str, bool]] = field(default_factory=dict)


def read_sizes(folder: FolderImages, keys: Iterable[str]) -> Sizes:
    """The sizes of the pictures of a folder; what is no picture has a problem instead."""
    sizes: dict[str, Size] = {}
    problems: dict[str, str] = {}
    beginnings: dict[str, tuple[str, bool]] = {}
    for key in keys:
        try:
            head = folder.head(key, HEAD)
            sizes[key] = _size(folder, key, head)
            beginnings[key] = (stamp_of(head), len(head) < HEAD)
        except InputError as error:
            problems[key] = str(error)
    return Sizes(sizes, problems, beginnings)


def stamps_of_alike(folder: FolderImages, keys: Sequence[str], sizes: Sizes) -> Iterator[tuple[str, str]]:
    """The pictures among `keys` that begin as another does, with the SHA-256 of all their bytes.

    Others are not read any further: their beginnings were, for their sizes.
    """
    alike = Counter(sizes.beginnings[key] for key in keys)
    for key in keys:
        beginning = sizes.beginnings[key]
        if alike[beginning] > 1:
            digest, whole = beginning
            stamp = digest if whole else folder.stamp(key)
            if stamp is not None:
                yield key, stamp


def too_small(size: Size) -> bool:
    """Whether a picture of this size is refused as a frame."""
    return min(size) < MIN_SIDE


def described(sizes: Iterable[Size]) -> str:
    """The sizes of pictures in words: "all 256x256 pixels", or "12 sizes, from 64x64 to 1920x1080 pixels"."""
    counts = Counter(sizes)
    smallest, largest = (choose(counts, key=lambda size: (size[0] * size[1], size)) for choose in (min, max))
    if len(counts) == 1:
        return f"all {shown(smallest)} pixels"
    return f"{len(counts):,} sizes, from {shown(smallest)} to {shown(largest)} pixels"


def shown(size: Size) -> str:
    """ "1280x720" of (720, 1280)."""
    return f"{size[1]}x{size[0]}"


def _size(folder: FolderImages, key: str, head: bytes) -> Size:
    name = f"{key} in {folder.path}"
    try:
        return size_of(head, name)
    except InputError:  # what stands before the size is longer, or it is no picture
        return size_of(folder.read(key), name)
