"""`python -m data preprocess`: from the videos of a data set to face crops, what goes with them, and an index."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from common import log
from common.commands import with_options
from common.console import progress, say, table, warn
from common.errors import InputError
from data.entry import Entry
from data.index import pictures, split_counts, write_index
from data.keys import index_problem
from data.landmarks import write_landmarks
from data.picture_doubts import warn_of_pictures
from data.preprocess.celebdf import CelebDF
from data.preprocess.crop_folder import CropFolder, open_folder
from data.preprocess.crop_records import FIVE_POINT, PreprocessSettings, Record
from data.preprocess.face_detection import face_detector, suggestion
from data.preprocess.landmarking import DlibLandmarks, is_predictor, landmarks_identity, with_landmarks
from data.preprocess.layout import Clip, FaceForensics, Layout
from data.preprocess.pipeline import entries, landmarks_of, run_all, write_report
from data.preprocess.preprocess_options import Compression, CropOptions, DataSet, VideoOptions
from data.preprocess.splits import OfficialSplits, official_splits
from data.source import IndexedFrames, warn_of_doubt
from data.stores import FolderImages, LmdbWriter
from data.stores.transfer import add


@with_options()
def preprocess(
    videos: VideoOptions,
    crops: CropOptions,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where crops, masks, index.csv and report.csv go.")],
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes at work; one per core.")
    ] = None,
    lmdb: Annotated[
        Path | None, typer.Option("--lmdb", metavar="FILE", help="Put all pictures in this image store, too.")
    ] = None,
) -> None:
    """Make face crops, masks of manipulated pixels and an index from videos.

    Where landmarks are known, those of the crops are written to landmarks.csv.

    Run the same command again after an interruption: finished videos are not done again, unless a file of theirs is
    not as it was written. The exit status is 1 if any video could not be read to its end or shows no face; what could
    be made is kept and indexed all the same.
    """
    videos.check()
    recipe = crops.settings(videos)
    _refuse_unusable(recipe)
    official = official_splits(videos.splits) if videos.splits else None
    data_set = _data_set(videos)
    clips = _find(data_set, videos.root, videos.methods, crops.landmarks)
    _about_splits(clips, official)
    _refuse_inside(data_set, videos.root, out)
    folder = open_folder(out, recipe)
    log.open_in(out)
    records = _run(clips, recipe, folder, workers or os.cpu_count() or 1)
    index = entries(clips, records, recipe, official if official is not None else {})
    write_report(out / "report.csv", clips, records, recipe)
    if index:
        write_index(out / "index.csv", index)
    known = landmarks_of(clips, records, recipe)
    if known:
        write_landmarks(out / "landmarks.csv", known)
    _show(clips, records, recipe, index, out)
    warn_of_doubt(index)
    warn_of_pictures(IndexedFrames(index, FolderImages(out)))
    if known:
        say(f"{out / 'landmarks.csv'}: landmarks of {len(known):,} crops")
    if index and lmdb:
        _store(index, out, lmdb)
    _refuse_failures(list(records.values()), recipe, out)


def _data_set(videos: VideoOptions) -> Layout:
    if videos.layout is DataSet.CELEBDF:
        return CelebDF()
    return FaceForensics((videos.compression or Compression.C23).value)


def _find(data_set: Layout, root: Path, methods: Sequence[str], landmarks: Path | None) -> tuple[Clip, ...]:
    """The clips of the wanted families and of the originals, with what a file knows of their landmarks."""
    listing = data_set.find(root, [*methods, "Real"] if methods else [])
    for clip in listing.clips:
        problem = index_problem(clip.key)
        if problem:
            raise InputError(f"{root}: the video's path {clip.key!r} {problem}; rename it")
    for remark in listing.remarks:
        warn(remark)
    return with_landmarks(listing.clips, landmarks) if landmarks and not is_predictor(landmarks) else listing.clips


def _about_splits(clips: Sequence[Clip], official: OfficialSplits | None) -> None:
    """Says how many clips the official splits do not know. Raises InputError where they know none."""
    remark = official.remark({clip.key: clip.identity for clip in clips}) if official is not None else None
    if remark:
        warn(remark)


def _refuse_unusable(recipe: PreprocessSettings) -> None:
    """Raises InputError for a face detector or predictor that cannot be used, before anything is written."""
    face_detector(recipe.face_detector)
    if recipe.landmarks:
        landmarks_identity(recipe.landmarks)
        if is_predictor(recipe.landmarks):
            DlibLandmarks(recipe.landmarks)
    elif recipe.align == FIVE_POINT:
        warn(
            "no landmarks, so faces are cropped by their boxes, on which published CADDM weights score lower; "
            "give --landmarks an ldm.json or a dlib predictor"
        )


def _run(clips: Sequence[Clip], recipe: PreprocessSettings, folder: CropFolder, workers: int) -> dict[str, Record]:
    records = {}
    with progress("video") as bar:
        task = bar.add_task("videos", total=len(clips))
        for record in run_all(clips, recipe, folder, workers):
            records[record.key] = record
            bar.advance(task)
            log.info(f"{record.key}: {len(record.crops)} crops")
            for line in (record.problem, *record.remarks):
                if line:
                    warn(f"{record.key}: {line}")
    return records


def _show(
    clips: Sequence[Clip], records: Mapping[str, Record], recipe: PreprocessSettings, index: Sequence[Entry], out: Path
) -> None:
    families = list(dict.fromkeys(clip.family for clip in clips))
    rows = []
    for family in families:
        of_family = [records[clip.key] for clip in clips if clip.family == family]
        counts = (
            len(of_family),
            sum(not crop.bystander for record in of_family for crop in record.crops),
            sum(crop.masked for record in of_family for crop in record.crops),
            *([sum(crop.sourced for record in of_family for crop in record.crops)] if recipe.sources else []),
            sum(record.faceless for record in of_family),
            sum(record.faces > 1 for record in of_family),
            sum(record.problem is not None for record in of_family),
        )
        rows.append([family, *(f"{count:,}" for count in counts)])
    pairs = ["Pairs"] if recipe.sources else []
    heads = ["Family", "Videos", "Crops", "Masks", *pairs, "No face", "Several faces", "Failed"]
    table("Face crops", heads, rows)
    if index:
        say(f"{out / 'index.csv'}: {len(index):,} crops{split_counts(index)}")
    bystanders = sum(crop.bystander for record in records.values() for crop in record.crops)
    if bystanders:
        say(f"{bystanders:,} of the crops are of untouched people in manipulated videos, labelled as real")
    say(f"{out / 'report.csv'}: {len(records):,} videos")


def _store(index: Sequence[Entry], out: Path, lmdb: Path) -> None:
    keys = pictures(index)
    with LmdbWriter(lmdb) as writer, progress("image") as bar:
        added = add(writer, FolderImages(out), bar.track(keys, description="storing"), overwrite=True)
    written = added.written
    kinds = "crops, masks and source pictures" if any(entry.source for entry in index) else "crops and masks"
    say(
        f"{lmdb}: {written.added:,} {kinds} added, {written.replaced:,} replaced, "
        f"{written.identical:,} were there already"
    )
    if added.unreadable:
        raise InputError(f"{lmdb}: {len(added.unreadable)} could not be added, such as {added.unreadable[0]}")


def _refuse_inside(data_set: Layout, root: Path, out: Path) -> None:
    """Raises InputError where the crops would go among the videos, whose paths they repeat."""
    for part in data_set.folders:
        if out.resolve() == root.resolve() or (root / part).resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"{out}: crops would lie among the videos; name another folder with --out")


def _refuse_failures(records: Sequence[Record], recipe: PreprocessSettings, out: Path) -> None:
    """Raises InputError where videos failed, with what to do about damaged ones and those without a face."""
    failed = [record for record in records if record.problem]
    if not failed:
        return
    faceless = sum(record.chosen > 0 and record.faces == 0 for record in failed)
    steps = ["replace damaged videos and run the same command again"] if faceless < len(failed) else []
    if faceless:
        better = suggestion(recipe.face_detector)
        steps.append(
            f"for those without a face try {better} with another --out" if better else "leave out the faceless"
        )
    raise InputError(
        f"{len(failed)} of {len(records)} videos failed, such as {failed[0].key}; see the problems in "
        f"{out / 'report.csv'}; {'; '.join(steps)}"
    )
