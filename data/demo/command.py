"""`python -m data demo`: writes demo faces and their forgeries as files."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from common.console import progress, say
from common.errors import InputError
from common.files import atomic_write
from common.processes import process_pool
from data.demo.contact_sheet import contact_sheet, save_sheet
from data.demo.demo_frames import SPLITS, DemoFrames
from data.entry import Entry
from data.frames import CLASS_NAMES
from data.images import encode_png
from data.index import write_index
from data.landmarks import write_landmarks

CHUNK = 2 * len(CLASS_NAMES)  # consecutive frames per task: they share rendered pictures


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where images, masks, index.csv and landmarks.csv go.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", metavar="N", min=1, help="Number of frames, per split.")] = 250,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed gives other people.")] = 0,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="train, test, or all (both in one index).")
    ] = "test",
    size: Annotated[
        int, typer.Option("--size", metavar="N", help="Side of the images in pixels: a multiple of 16, at least 128.")
    ] = 256,
    frames_per_video: Annotated[
        int, typer.Option("--frames-per-video", metavar="N", min=1, help="Frames of each video.")
    ] = 5,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=0, help="Processes at work; 0 takes one per core.")
    ] = 0,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Also write a contact sheet here.")
    ] = None,
) -> None:
    """Make demo faces and four kinds of forgeries of them; nothing is downloaded.

    landmarks.csv has the columns relative_path, x0, y0, ... x67, y67: 68 points in pixels, iBUG order. In index.csv,
    source_path names the real frame that a forged one was made from.
    """
    if out is None and sheet is None:
        raise InputError("nothing to write: give --out DIR, --sheet FILE.png, or both")
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise InputError(f"--sheet {sheet}: the contact sheet is a PNG file; give a name that ends in .png")
    splits = SPLITS if split == "all" else (split,)
    sets = [DemoFrames(frames, seed, name, size=size, frames_per_video=frames_per_video) for name in splits]
    if out is not None:
        entries = write_frames(sets, out, workers or os.cpu_count() or 1)
        say(f"{len(entries)} frames in {out}, listed in {out / 'index.csv'}")
    if sheet is not None:
        save_sheet(sheet, contact_sheet(seed, splits[-1], size=size))
        say(f"contact sheet: {sheet}")


def write_frames(sets: list[DemoFrames], out: Path, workers: int) -> list[Entry]:
    """Writes images and masks by key under `out`, then landmarks.csv and index.csv; returns the index's entries.

    A forged frame whose real frame is not among those written has no source.
    """
    tasks = [
        (source, range(start, min(start + CHUNK, len(source))), out)
        for source in sets
        for start in range(0, len(source), CHUNK)
    ]
    entries: list[Entry] = []
    landmarks: list[np.ndarray] = []
    with progress("face") as bar:
        task = bar.add_task("demo faces", total=sum(len(source) for source in sets))
        for written, points in _results(tasks, workers):
            entries += written
            landmarks += points
            bar.advance(task, len(written))
    keys = {entry.key for entry in entries}
    entries = [entry if entry.source in keys else replace(entry, source=None) for entry in entries]
    write_landmarks(out / "landmarks.csv", zip((entry.key for entry in entries), landmarks, strict=True))
    write_index(out / "index.csv", entries)
    return entries


_Task = tuple[DemoFrames, range, Path]
_Result = tuple[list[Entry], list[np.ndarray]]


def _results(tasks: list[_Task], workers: int) -> Iterator[_Result]:
    if workers == 1:
        yield from map(_write_chunk, tasks)
        return
    with process_pool(workers) as pool:
        yield from pool.map(_write_chunk, tasks)


def _write_chunk(task: _Task) -> _Result:
    source, positions, out = task
    written = [_write_frame(source, position, out) for position in positions]
    return written, [source.landmarks(position) for position in positions]


def _write_frame(source: DemoFrames, position: int, out: Path) -> Entry:
    frame = source[position]
    with atomic_write(out / frame.key, "wb") as file:
        file.write(encode_png(frame.image))
    mask = None
    if frame.label and frame.mask is not None:
        mask = f"masks/{frame.key}"
        with atomic_write(out / mask, "wb") as file:
            file.write(encode_png(frame.mask))
    return Entry(frame.key, bool(frame.label), frame.label, source.split, mask, source.take(position).source)
