"""All videos of a data set: in parallel, resumable, to an index and a report that no timing can change."""

import csv
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path

import cv2

from common.errors import InputError
from common.files import atomic_write
from data.index import Entry
from data.preprocess.clip import process
from data.preprocess.layout import Clip
from data.preprocess.records import Folder, Recipe, Record, crop_key, mask_key

REPORT = (
    "video",
    "family",
    "frames",
    "chosen",
    "crops",
    "without_face",
    "box_filled",
    "several_faces",
    "faces",
    "in_gap",
    "masks",
    "mask_source",
    "mask_share",
    "remarks",
    "problem",
)


def run_all(clips: Sequence[Clip], recipe: Recipe, folder: Folder, workers: int) -> Iterator[Record]:
    """Processes the clips and yields each one's record as it is finished; finished ones are not done again.

    With one worker the clips are done here, else in that many processes. What is made does not depend on it.
    Raises InputError where a worker process dies; what is finished stays.
    """
    todo = []
    for clip in clips:
        record = folder.finished(clip)
        if record is None:
            todo.append(clip)
        else:
            yield record
    if min(workers, len(todo)) <= 1:
        for clip in todo:
            yield process(clip, recipe, folder)
        return
    with _pool(min(workers, len(todo))) as pool:
        jobs = {pool.submit(process, clip, recipe, folder): clip for clip in todo}
        for job in as_completed(jobs):
            try:
                yield job.result()
            except BrokenProcessPool as error:
                raise InputError(
                    "a worker process was killed, perhaps for want of memory; finished videos are kept: "
                    f"run the same command again, with fewer than {workers} workers"
                ) from error


def entries(
    clips: Sequence[Clip], records: Mapping[str, Record], recipe: Recipe, splits: Mapping[str, str]
) -> list[Entry]:
    """The index of all crops, in the order of the clips, their frames and faces.

    `splits` gives the split of an id, where the recipe has no split by time.
    """
    found = []
    for clip in clips:
        record = records[clip.key]
        for crop in record.crops:
            split = splits.get(clip.identity)
            if recipe.by_time:
                split = recipe.by_time.of(crop.position, record.frames)
            key = crop_key(clip.key, crop, recipe.file_format.suffix)
            mask = mask_key(clip.key, crop) if crop.masked else None
            found.append(Entry(key, clip.fake, clip.label, split, mask))
    return found


def write_report(path: Path, clips: Sequence[Clip], records: Mapping[str, Record]) -> None:
    """Writes a CSV file with one row per video: the columns of REPORT."""
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(REPORT)
        writer.writerows(_row(clip, records[clip.key]) for clip in clips)


def _row(clip: Clip, record: Record) -> list[str | int | float | None]:
    return [
        record.key,
        clip.family,
        record.frames,
        record.chosen,
        len(record.crops),
        record.faceless,
        record.filled,
        record.crowded,
        record.faces,
        record.in_gap,
        sum(crop.masked for crop in record.crops),
        record.mask_source,
        record.mask_share,
        "; ".join(record.remarks),
        record.problem,
    ]


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that end at once when the work in hand fails or is interrupted."""
    before = set(multiprocessing.active_children())
    # spawn: forking a process that has threads (a progress bar, OpenCV's) can hang
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    pool.shutdown()


def _start_worker() -> None:
    """One thread per worker; Ctrl-C is the parent's to answer; and no worker outlives a killed parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
