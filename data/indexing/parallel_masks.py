"""The masks of a tree of pictures: which of its pictures are masks, and whose."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from data.class_words import FAKE, NEUTRAL_WORDS, class_of, known_family, words_of
from data.frames import REAL
from data.indexing.picture_tree import PLAIN
from data.preprocess.layout import SUFFIXES as VIDEO_SUFFIXES

MASK_WORDS = frozenset({"mask", "masks"})
ENDING = "_mask"


@dataclass(frozen=True)
class Masks:
    """The masks of a tree.

    Attributes:
        of: by a picture's key, its mask's.
        unmatched: masks that belong to no picture, or to a real one.
        unclear: pictures for which several masks are as near, or whose mask could be another picture's.
    """

    of: Mapping[str, str]
    unmatched: Sequence[str]
    unclear: Sequence[str]


def is_mask(key: str, stems: frozenset[str]) -> bool:
    """Whether a picture is a mask by its path: below a folder such as "masks", or "x_mask.png" beside "x.png".

    `stems` are the paths of all pictures without their suffixes.
    """
    path = PurePosixPath(key)
    if any(is_mask_folder(folder) for folder in path.parts[:-1]):
        return True
    return path.stem.endswith(ENDING) and str(path.with_suffix("")).removesuffix(ENDING) in stems


def match(fakes: Iterable[str], masks: Iterable[str]) -> Masks:
    """Finds the mask of each manipulated picture.

    A mask has the path of its picture but for the suffix, folders such as "masks" and "frames", the compression, and
    the folder that only says "fake". Of several, the one that shares most folders with the picture is taken.

    Args:
        fakes: the keys of the manipulated pictures.
        masks: the keys of the masks.
    """
    fakes, masks = list(fakes), list(masks)
    exact, loose = _by_place(masks, _place), _by_place(masks, _place_without_class)
    owners: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for key in fakes:
        owners[_place_without_class(key)].add(_place(key))
    of: dict[str, str] = {}
    unclear = []
    for key in fakes:
        place = _place_without_class(key)
        found = exact.get(_place(key), [])
        if not found:
            found = [mask for mask in loose.get(place, []) if _place(mask) == place]
            if found and len(owners[place]) > 1:
                unclear.append(key)
                continue
        nearest = max((_shared(key, mask) for mask in found), default=0)
        best = [mask for mask in found if _shared(key, mask) == nearest]
        if len(best) > 1:
            unclear.append(key)
        elif best:
            of[key] = best[0]
    used = set(of.values())
    return Masks(of, [mask for mask in masks if mask not in used], unclear)


def _by_place(keys: Iterable[str], place: Callable[[str], tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key in keys:
        found[place(key)].append(key)
    return found


@cache
def is_mask_folder(name: str) -> bool:
    """Whether a folder's name says that it holds masks: "masks", "fake_masks", but not "masked_singer"."""
    rest = _beside_mask(name)
    return bool(MASK_WORDS & set(words_of(name))) and (not rest or class_of(rest) is not None)


def _beside_mask(name: str) -> str:
    """The words of a folder of masks that may say a class."""
    return "_".join(word for word in words_of(name) if word not in MASK_WORDS | NEUTRAL_WORDS)


def _place(key: str) -> tuple[str, ...]:
    """Where a picture or mask is, without what may differ between the two."""
    path = PurePosixPath(key)
    places = (_folder_place(folder) for folder in path.parts[:-1])
    return *(place for place in places if place), path.stem.removesuffix(ENDING)


@cache
def _folder_place(folder: str) -> str:
    """A folder's part of a place: a family by its usual spelling, a video without its suffix, or nothing."""
    if folder.casefold() in PLAIN:
        return ""
    if is_mask_folder(folder):
        return known_family(_beside_mask(folder)) or ""
    suffix = PurePosixPath(folder).suffix
    plain = folder.removesuffix(suffix) if suffix.lower() in VIDEO_SUFFIXES else folder
    return known_family(plain) or plain


def _place_without_class(key: str) -> tuple[str, ...]:
    """The same without folders that say "fake" or "real" and no more."""
    *folders, name = _place(key)
    return *(folder for folder in folders if class_of(folder) not in (FAKE, REAL)), name


def _shared(key: str, other: str) -> int:
    """How many folders two paths have in common, from the root on."""
    count = 0
    for one, two in zip(PurePosixPath(key).parts[:-1], PurePosixPath(other).parts[:-1], strict=False):
        if one != two:
            break
        count += 1
    return count
