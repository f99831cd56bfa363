"""The pictures of a folder with their labels: masks told apart, classes asked for where nothing says them."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common.errors import InputError
from data.class_words import FAKE
from data.entry import Entry
from data.frames import CLASS_NAMES, family_of, video_of
from data.images import SUFFIXES
from data.indexing.parallel_masks import Masks, is_mask, is_mask_folder, match
from data.indexing.picture_tree import (
    SKIP,
    ClassNames,
    Verdict,
    VideoRule,
    is_container,
    split,
    unknown_folders,
    verdict,
    videos,
)
from data.preprocess.layout import SUFFIXES as VIDEO_SUFFIXES
from data.preprocess.layout import identity_of
from data.preprocess.splits import OfficialSplits
from data.sample import natural

SHOWN = 8


@dataclass(frozen=True)
class Labelled:
    """The pictures of a folder.

    Attributes:
        verdicts: what the folders say of each picture that is no mask, by key; numbers in names in their order.
        masks: whose masks the others are.
    """

    verdicts: Mapping[str, Verdict]
    masks: Masks


def label(root: Path, keys: Sequence[str], names: ClassNames) -> Labelled:
    """Labels the pictures of a folder; those that the user wants skipped are left out.

    Args:
        root: the folder, for messages.
        keys: its pictures.
        names: what the user says of folders.

    Raises:
        InputError: nothing says the class of some pictures, folders contradict each other, or `names` names a folder
            that is not there.
    """
    stems = frozenset(str(PurePosixPath(key).with_suffix("")) for key in keys)
    known: dict[str, Verdict] = {}
    masks: list[str] = []
    unknown: list[str] = []
    for key in sorted(keys, key=natural):
        found = names.of(PurePosixPath(key).parts[:-1])
        if is_mask(key, stems) and not (found and is_mask_folder(PurePosixPath(found.folder).name)):
            masks += [] if found and found.family == SKIP else [key]
            continue
        found = found or verdict(key)
        if found is None:
            unknown.append(key)
        else:
            known[key] = found
    if names.unused:
        raise InputError(f"{root}: no pictures below a folder {names.unused[0]}, which --class names")
    if unknown:
        raise InputError(_question(root, unknown_folders(unknown, [*known, *masks])))
    known = {key: found for key, found in known.items() if found.family != SKIP}
    if not known:
        raise InputError(f"{root}: no pictures are left; all are masks or skipped")
    return Labelled(known, match([key for key, found in known.items() if found.fake], masks))


def entries_of(labelled: Labelled, rule: VideoRule | None, official: OfficialSplits | None) -> list[Entry]:
    """The entries of an index; see `picture_tree.videos` for `rule`.

    A picture's split is that of its folders, else that of its video's id in `official`, else None. The video is stated
    for all pictures of a folder, or for none where it is the folder's for each.
    """
    video_by_key = videos(labelled.verdicts, rule)
    stating = {posixpath.dirname(key) for key, video in video_by_key.items() if video != video_of(key)}
    entries = []
    for key, found in labelled.verdicts.items():
        number = CLASS_NAMES.index(found.family) if found.family in CLASS_NAMES else None
        video = video_by_key[key]
        own_split = split(key)
        entries.append(
            Entry(
                key,
                fake=found.fake,
                label=number,
                split=own_split or (None if official is None else official.get(identity(video))),
                mask=labelled.masks.of.get(key),
                stated_family=found.family if found.family != family_of(key, found.fake, number) else None,
                stated_video=video if posixpath.dirname(key) in stating else None,
            )
        )
    return entries


def identity(video: str) -> str:
    """The id that decides the official split of a video, by its path."""
    parts = [part for part in PurePosixPath(video).parts if not is_container(part)] or [video]
    name = PurePosixPath(parts[-1])
    return identity_of(name.stem if name.suffix.lower() in VIDEO_SUFFIXES | SUFFIXES else name.name)


def _question(root: Path, folders: Mapping[str, int]) -> str:
    """A question for the class of folders, with the way to answer."""
    shown = [f"{folder} ({count:,} picture{'' if count == 1 else 's'})" for folder, count in folders.items()]
    more = f", and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else ""
    first = next(iter(folders))
    return (
        f"{root}: nothing says whether pictures are real or manipulated in {', '.join(shown[:SHOWN])}{more}; say it "
        f"with --class {first}=real, --class {first}={FAKE.lower()} or --class {first}=Deepfakes (any manipulation of "
        f"FaceForensics++), or leave it out with --class {first}={SKIP}"
    )
