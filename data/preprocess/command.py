"""`python -m data preprocess`: from the videos of FaceForensics++ to face crops, masks and an index."""

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common.console import progress, say, table, warn
from common.errors import InputError
from data.index import Entry, pictures, write_index
from data.preprocess.crops import crop_format
from data.preprocess.faces import face_detector
from data.preprocess.layout import Clip, FaceForensics
from data.preprocess.pipeline import entries, run_all, write_report
from data.preprocess.records import Folder, Recipe, Record, open_folder
from data.preprocess.splits import TimeSplit, official_splits
from data.stores import FolderImages, LmdbWriter
from data.stores.transfer import add


class Compression(StrEnum):
    """The compressions FaceForensics++ comes in."""

    RAW = "raw"
    C23 = "c23"
    C40 = "c40"


class Several(StrEnum):
    """What becomes of a video with several faces."""

    MAIN = "main"
    TRACK = "track"
    SKIP = "skip"


def preprocess(
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder of FaceForensics++.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where crops, masks, index.csv and report.csv go.")],
    compression: Annotated[Compression, typer.Option("--compression", help="Which videos.")] = Compression.C23,
    methods: Annotated[
        list[str] | None,
        typer.Option("--methods", metavar="NAME", help="Only this family, repeatable; originals are always taken."),
    ] = None,
    frames_per_video: Annotated[
        int, typer.Option("--frames-per-video", metavar="N", min=0, help="Frames of each, evenly spread; 0: all.")
    ] = Recipe.frames_per_video,
    detector: Annotated[
        str,
        typer.Option("--face-detector", metavar="NAME", help="haar, yunet:MODEL.onnx, or your package.module:Name."),
    ] = Recipe.face_detector,
    margin: Annotated[
        float, typer.Option("--margin", min=0.5, max=5.0, help="The crop's side, in sizes of the face.")
    ] = Recipe.margin,
    size: Annotated[
        int, typer.Option("--size", metavar="N", min=0, help="Reduce larger crops to N pixels; 0: never.")
    ] = Recipe.size,
    file_format: Annotated[str, typer.Option("--format", metavar="NAME", help="png, or jpg:Q of quality Q.")] = "png",
    several: Annotated[
        Several,
        typer.Option("--several", help="Of a video with several faces, crop the main one, track all, or skip it."),
    ] = Several.MAIN,
    splits: Annotated[
        Path | None, typer.Option("--splits", metavar="DIR", help="The folder of train.json, val.json and test.json.")
    ] = None,
    split_by_time: Annotated[
        bool, typer.Option("--split-by-time", help="Train on each video's start, test on its end, with a gap between.")
    ] = False,
    train_share: Annotated[
        float, typer.Option("--train-share", help="With --split-by-time: the share to train on.")
    ] = TimeSplit.train,
    test_share: Annotated[
        float, typer.Option("--test-share", help="With --split-by-time: the share to test on.")
    ] = TimeSplit.test,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes at work; one per core.")
    ] = None,
    lmdb: Annotated[
        Path | None, typer.Option("--lmdb", metavar="FILE", help="Put crops and masks in this image store, too.")
    ] = None,
) -> None:
    """Make face crops, masks of manipulated pixels and an index from videos.

    Run the same command again after an interruption: finished videos are not done again. The exit status is 1 if
    any video could not be read to its end or shows no face; what could be made is kept and indexed all the same.
    """
    if splits and split_by_time:
        raise typer.BadParameter("--splits and --split-by-time exclude each other")
    recipe = Recipe(
        frames_per_video=frames_per_video,
        face_detector=detector,
        margin=margin,
        size=size,
        file_format=crop_format(file_format),
        several=several.value,
        by_time=TimeSplit(train_share, test_share) if split_by_time else None,
    )
    face_detector(detector)  # refuse a detector that cannot be used before anything is written
    identities = official_splits(splits) if splits else {}
    found = FaceForensics(compression.value).find(root, [*methods, "Real"] if methods else [])
    for remark in found.remarks:
        warn(remark)
    _refuse_inside(root, out)
    folder = open_folder(out, recipe)
    records = _run(found.clips, recipe, folder, workers or os.cpu_count() or 1)
    index = entries(found.clips, records, recipe, identities)
    write_report(out / "report.csv", found.clips, records)
    if index:
        write_index(out / "index.csv", index)
    _show(found.clips, records, index, out)
    if index and lmdb:
        _store(index, out, lmdb)
    _refuse_failures([record for record in records.values() if record.problem], len(records), out)


def _run(clips: Sequence[Clip], recipe: Recipe, folder: Folder, workers: int) -> dict[str, Record]:
    records = {}
    with progress() as bar:
        task = bar.add_task("videos", total=len(clips))
        for record in run_all(clips, recipe, folder, workers):
            records[record.key] = record
            bar.advance(task)
            for line in (record.problem, *record.remarks):
                if line:
                    warn(f"{record.key}: {line}")
    return records


def _show(clips: Sequence[Clip], records: Mapping[str, Record], index: Sequence[Entry], out: Path) -> None:
    families = list(dict.fromkeys(clip.family for clip in clips))
    rows = []
    for family in families:
        of_family = [records[clip.key] for clip in clips if clip.family == family]
        counts = (
            len(of_family),
            sum(len(record.crops) for record in of_family),
            sum(crop.masked for record in of_family for crop in record.crops),
            sum(record.faceless for record in of_family),
            sum(record.faces > 1 for record in of_family),
            sum(record.problem is not None for record in of_family),
        )
        rows.append([family, *(f"{count:,}" for count in counts)])
    heads = ["Family", "Videos", "Crops", "Masks", "No face", "Several faces", "Failed"]
    table("Face crops", heads, rows)
    if index:
        say(f"{out / 'index.csv'}: {len(index):,} crops{_by_split(index)}")
    say(f"{out / 'report.csv'}: {len(records):,} videos")


def _by_split(index: Sequence[Entry]) -> str:
    counts: dict[str, int] = {}
    for entry in index:
        if entry.split:
            counts[entry.split] = counts.get(entry.split, 0) + 1
    rest = len(index) - sum(counts.values())
    parts = [f"{name} {counts[name]:,}" for name in sorted(counts)] + ([f"no split {rest:,}"] if rest else [])
    return f" ({', '.join(parts)})" if counts else ""


def _store(index: Sequence[Entry], out: Path, lmdb: Path) -> None:
    keys = pictures(index)
    with LmdbWriter(lmdb) as writer, progress() as bar:
        added = add(writer, FolderImages(out), bar.track(keys, description="storing"), overwrite=True)
    written = added.written
    say(
        f"{lmdb}: {written.added:,} crops and masks added, {written.replaced:,} replaced, "
        f"{written.identical:,} were there already"
    )
    if added.unreadable:
        raise InputError(f"{lmdb}: {len(added.unreadable)} could not be added, such as {added.unreadable[0]}")


def _refuse_inside(root: Path, out: Path) -> None:
    """Raises InputError where the crops would go among the videos, whose paths they repeat."""
    for part in ("original_sequences", "manipulated_sequences"):
        if out.resolve() == root.resolve() or (root / part).resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"{out}: crops would lie among the videos; name another folder with --out")


def _refuse_failures(failed: Sequence[Record], videos: int, out: Path) -> None:
    if failed:
        raise InputError(
            f"{len(failed)} of {videos} videos failed, such as {failed[0].key}; see the problems in "
            f"{out / 'report.csv'}, replace those videos and run the same command again"
        )
