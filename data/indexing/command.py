"""`python -m data index`: the index of a folder of pictures, by what its folders say."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from common.console import count, progress, say, table, warn
from common.errors import InputError
from common.files import visible
from data.class_words import like_split
from data.entry import Entry
from data.images import SUFFIXES
from data.index import split_counts, write_index
from data.indexing.labelled_pictures import Labelled, entries_of, identity, label
from data.indexing.picture_landmarks import landmarks_of
from data.indexing.picture_sizes import Sizes, described, read_sizes, shown, stamps_of_alike, too_small
from data.indexing.picture_tree import COMPRESSIONS, ClassNames, VideoRule, split
from data.landmarks import write_landmarks
from data.picture_doubts import look
from data.preprocess.layout import SUFFIXES as VIDEO_SUFFIXES
from data.preprocess.splits import OfficialSplits, official_splits
from data.same_pictures import SamePictures
from data.source import INDEX, IndexedFrames
from data.stores import FolderImages

LANDMARKS = "landmarks.csv"
ROWS = 20
FEW_VIDEOS, MANY_PICTURES = 2, 20  # so many pictures in each of so few folders may be no frames of films


def index(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of pictures.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="INDEX.csv", help="Where the index goes; FOLDER/index.csv.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="FOLDER=CLASS",
            help="What the pictures below a folder are: real, fake, Deepfakes, ..., or skip; repeatable.",
        ),
    ] = None,
    videos: Annotated[
        VideoRule | None,
        typer.Option(
            "--videos",
            help="Pictures are of one video where their names differ in the last number only, or each stands alone. "
            "Default: each folder below that of a class is a video.",
        ),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option("--splits", metavar="DIR", help="The folder of train.json, val.json and test.json.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index that is there.")] = False,
) -> None:
    """Make the index of a folder of pictures, by what its folders say.

    Classes are folders such as real and fake, Deepfakes, or the tree of FaceForensics++; train, val and test are
    splits; a folder masks beside holds the masks. Pictures are taken as they are: whole frames are not cropped.
    """
    out = folder / INDEX if out is None else out
    _refuse_existing(out, overwrite)
    names = ClassNames(classes or ())
    official = official_splits(splits) if splits else None
    images = FolderImages(folder)
    labelled = label(folder, _pictures(images), names)
    found = entries_of(labelled, videos, official)
    _about_splits(found, official)
    _about_unclear_splits(found)
    if videos is None:
        _about_few_videos(found)
    if videos is VideoRule.NAMES:
        _about_names(found)
    with progress("picture") as bar:
        pictures = [key for entry in found for key in (entry.key, entry.mask) if key]
        sizes = read_sizes(images, bar.track(pictures, description="reading sizes"))
    entries = _readable(found, sizes, folder)
    landmarks = landmarks_of(images, entries, sizes.of)
    if landmarks:
        _refuse_existing(out.parent / LANDMARKS, overwrite)
        write_landmarks(out.parent / LANDMARKS, landmarks)
    write_index(out, entries)
    _about_masks(labelled)
    _about_compressions(labelled)
    _about_shapes(entries, sizes)
    _about_same_pictures(images, entries, sizes)
    look(IndexedFrames(entries, images))
    _show(entries, labelled, videos)
    videos_there = len({entry.video for entry in entries})
    say(f"{out}: {count(len(entries), 'picture')} of {count(videos_there, 'video')}{split_counts(entries)}")
    if landmarks:
        say(f"{out.parent / LANDMARKS}: landmarks of {count(len(landmarks), 'picture')}")
    say(f"sizes: {described(sizes.of[entry.key] for entry in entries)}; they are taken as they are, as crops of faces")
    say(f"next: --frames {out}" + ("" if out.parent.resolve() == folder.resolve() else f" --images {folder}"))


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; add --overwrite to replace it, or name another file with --out")


def _pictures(images: FolderImages) -> list[str]:
    """The pictures of a folder. Raises InputError where there are none."""
    keys = images.keys()
    if keys:
        return keys
    films = any(path.suffix.lower() in VIDEO_SUFFIXES for path in visible(images.path, "**/*"))
    advice = "; it has videos: `python -m data preprocess` makes face crops and an index of them" if films else ""
    raise InputError(f"{images.path}: no pictures in this folder ({' '.join(sorted(SUFFIXES))}){advice}")


def _readable(entries: Sequence[Entry], sizes: Sizes, folder: Path) -> list[Entry]:
    """The entries whose pictures can be read, with the masks that fit; warnings say what is left out."""
    problems = dict(sizes.problems)
    for entry in entries:
        if entry.key in sizes.of and too_small(sizes.of[entry.key]):
            problems[entry.key] = f"{entry.key}: {shown(sizes.of[entry.key])} pixels is too small"
    kept = [entry for entry in entries if entry.key not in problems]
    if problems:
        warn(f"{count(len(problems), 'file')} left out, where no picture can be read, such as {min(problems.values())}")
    if not kept:
        raise InputError(f"{folder}: none of its pictures can be read")
    unfit = {entry.key for entry in kept if entry.mask and sizes.of.get(entry.mask) != sizes.of[entry.key]}
    other_size = [entry for entry in kept if entry.key in unfit and entry.mask in sizes.of]
    if other_size:
        key, mask = other_size[0].key, str(other_size[0].mask)
        warn(
            f"{count(len(other_size), 'mask')} left out, of another size than the picture, such as {mask} "
            f"({shown(sizes.of[mask])}, the picture {shown(sizes.of[key])})"
        )
    return [replace(entry, mask=None) if entry.key in unfit else entry for entry in kept]


def _show(entries: Sequence[Entry], labelled: Labelled, rule: VideoRule | None) -> None:
    """What each folder was taken for, and what is in it."""
    folders: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        found = labelled.verdicts[entry.key]
        folders[found.folder, found.family].append(entry)
    rows = []
    for (folder, family), own in folders.items():
        numbers = len({entry.video for entry in own}), len(own), sum(entry.mask is not None for entry in own)
        rows.append([f"{folder}: {family}", *(f"{value:,}" for value in numbers)])
    if len(rows) > ROWS:
        rows = [*rows[:ROWS], [f"and {len(rows) - ROWS:,} more folders", *[""] * 3]]
    table("What the folders were taken for", ["Folder: class", "Videos", "Pictures", "Masks"], rows)
    alone = sum(entry.video == entry.key for entry in entries)
    if alone and rule is None:
        say(
            f"{count(alone, 'picture')} in the folder of a class, each counted as a video of its own; for frames of "
            "videos, add --videos names"
        )


def _about_shapes(entries: Sequence[Entry], sizes: Sizes) -> None:
    wide = [entry.key for entry in entries if len(set(sizes.of[entry.key])) > 1]
    if wide:
        warn(
            f"{len(wide):,} of {count(len(entries), 'picture')} are not square, such as {wide[0]} "
            f"({shown(sizes.of[wide[0]])}), and a detector sees them squeezed to a square; if they are whole frames, "
            "crop the faces first: what a detector of faces says of a whole scene means nothing"
        )


def _about_same_pictures(images: FolderImages, entries: Sequence[Entry], sizes: Sizes) -> None:
    known = {entry.key: entry for entry in entries}
    pictures = SamePictures()
    for key, stamp in stamps_of_alike(images, list(known), sizes):
        pictures.add(known[key], stamp)
    pictures.warn()


def _about_masks(labelled: Labelled) -> None:
    unmatched, unclear = labelled.masks.unmatched, labelled.masks.unclear
    if unmatched:
        warn(f"{count(len(unmatched), 'mask')} of no manipulated picture, and not used, such as {unmatched[0]}")
    if unclear:
        warn(f"no mask for {count(len(unclear), 'picture')}, as several could be meant, such as for {unclear[0]}")


def _about_splits(entries: Sequence[Entry], official: OfficialSplits | None) -> None:
    """Says how many videos the official splits do not know. Raises InputError where they know none."""
    asked = {entry.video: identity(entry.video) for entry in entries if not split(entry.key)}
    remark = official.remark(asked) if official is not None and asked else None
    if remark:
        warn(remark)


def _about_unclear_splits(entries: Sequence[Entry]) -> None:
    """Warns of folders that may be those of a split, where their pictures have none."""
    folders = {
        part for entry in entries if entry.split is None for part in entry.key.split("/")[:-1] if like_split(part)
    }
    if folders:
        warn(
            f"no split for the pictures below {', '.join(sorted(folders)[:3])}: where a folder is that of a split, "
            "rename it to train, val or test"
        )


def _about_names(entries: Sequence[Entry]) -> None:
    """Warns where names say of no two pictures that they are of one video."""
    if len(entries) > 1 and len({entry.video for entry in entries}) == len(entries):
        warn(
            f"no two of the {count(len(entries), 'picture')} have names that differ in the last number alone, such as "
            f"{entries[0].key}, so that each counts as a video of its own: where the number of the frame is not last, "
            "rename them, or fill the column video"
        )


def _about_few_videos(entries: Sequence[Entry]) -> None:
    """Warns of classes with many pictures in one or two folders, which count as so many videos."""
    folders: dict[str | None, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in entries:
        folders[entry.family][entry.video] += 1
    for family, videos in folders.items():
        pictures = sum(videos.values())
        if len(videos) <= FEW_VIDEOS and pictures >= MANY_PICTURES * len(videos):
            warn(
                f"the {count(pictures, 'picture')} of {family or 'fakes'} count as {count(len(videos), 'video')}, as "
                f"each of their folders does, such as {min(videos)}: where they are not frames of one film, add "
                "--videos pictures"
            )


def _about_compressions(labelled: Labelled) -> None:
    found = sorted({part for key in labelled.verdicts for part in key.split("/")[:-1] if part in COMPRESSIONS})
    if len(found) > 1:
        warn(
            f"videos at several compressions, {' and '.join(found)}: one that is there twice counts as two, so that "
            f"intervals come out too narrow; leave one out by --class {found[-1]}=skip"
        )
