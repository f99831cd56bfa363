"""All videos of a data set: in parallel, resumable, to an index and a report that no timing can change."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from common.console import count, warn
from common.csv_files import save_records
from common.errors import InputError
from common.processes import process_pool
from data.entry import Entry
from data.preprocess.clip import process
from data.preprocess.crop_folder import CropFolder, EarlierRecordError
from data.preprocess.crop_records import PreprocessSettings, Record, crop_key, mask_key, source_key
from data.preprocess.layout import Clip


def run_all(clips: Sequence[Clip], recipe: PreprocessSettings, folder: CropFolder, workers: int) -> Iterator[Record]:
    """Processes the clips and yields each one's record as it is finished; finished ones are not done again.

    A finished one of which a file is not as it was written is done again, with a warning that names the file. So are
    those of earlier versions, of whose files nothing says how they were written, with one warning for all.
    What is made does not depend on the number of workers.

    Args:
        clips: the videos.
        recipe: what is made of each.
        folder: where crops and records are kept.
        workers: how many processes do the work, at least 1; with 1 it is done in this one.

    Raises:
        InputError: a worker process died (what is finished stays), or the face detector or landmark predictor cannot
            be used.
        OSError: the crops cannot be written.
    """
    todo, earlier = [], []
    for clip in clips:
        try:
            record = folder.finished(clip)
        except EarlierRecordError:
            record = None
            earlier.append(clip.key)
        except InputError as error:
            record = None
            warn(f"{error}; the crops of {clip.key} are made again")
        if record is None:
            todo.append(clip)
        else:
            yield record
    if earlier:
        warn(
            f"the records of {count(len(earlier), 'finished video')}, such as {earlier[0]}, are of an earlier version "
            "and have no checksums: the crops are made again"
        )
    if min(workers, len(todo)) <= 1:
        for clip in todo:
            yield process(clip, recipe, folder)
        return
    with process_pool(min(workers, len(todo))) as pool:
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
    clips: Sequence[Clip], records: Mapping[str, Record], recipe: PreprocessSettings, splits: Mapping[str, str]
) -> list[Entry]:
    """The index of all crops, in the order of the clips, their frames and faces.

    A split by time comes first, then the data set's own, then that which `splits` gives for the clip's id.

    Args:
        clips: the videos.
        records: by the clip's key, what was made of it.
        recipe: that the crops were made with.
        splits: by id, the official split; may be empty.
    """
    index_entries = []
    for clip in clips:
        record = records[clip.key]
        for crop in record.crops:
            split = clip.split or splits.get(clip.identity)
            if recipe.by_time:
                split = recipe.by_time.of(crop.position, record.frames)
            key = crop_key(clip.key, crop, recipe.file_format.suffix)
            mask = mask_key(clip.key, crop) if crop.masked else None
            source = source_key(clip.key, crop, recipe.file_format.suffix) if crop.sourced else None
            faces = record.faces if record.label_from == "clip" else None
            fake, label = (False, 0) if crop.bystander else (clip.fake, clip.label)
            index_entries.append(Entry(key, fake, label, split, mask, source, faces=faces))
    return index_entries


def landmarks_of(
    clips: Sequence[Clip], records: Mapping[str, Record], recipe: PreprocessSettings
) -> list[tuple[str, np.ndarray]]:
    """The key and landmarks (n, 2), in its own pixels, of each crop that has any, in the order of the index."""
    return [
        (crop_key(clip.key, crop, recipe.file_format.suffix), np.array(crop.landmarks))
        for clip in clips
        for crop in records[clip.key].crops
        if crop.landmarks
    ]


def write_report(path: Path, clips: Sequence[Clip], records: Mapping[str, Record], recipe: PreprocessSettings) -> None:
    """Writes a CSV file with one row per video; counts of what was not asked for are left out.

    Args:
        path: the file.
        clips: the videos, at least one.
        records: by the clip's key, what was made of it.
        recipe: that the crops were made with.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [_row(clip, records[clip.key], recipe) for clip in clips]
    save_records(path, list(rows[0]), rows)


def _row(clip: Clip, record: Record, recipe: PreprocessSettings) -> dict[str, str | int | float | None]:
    row: dict[str, str | int | float | None] = {
        "video": record.key,
        "family": clip.family,
        "frames": record.frames,
        "chosen": record.chosen,
        "crops": len(record.crops),
        "without_face": record.faceless,
        "box_filled": record.filled,
        "several_faces": record.crowded,
        "faces": record.faces,
        "in_gap": record.in_gap,
        "label_from": record.label_from,
        "changed_faces": record.changed_faces,
        "unclear_faces": record.unclear,
        "bystanders": sum(crop.bystander for crop in record.crops),
        "masks": sum(crop.masked for crop in record.crops),
        "mask_source": record.mask_source,
        "mask_share": record.mask_share,
    }
    if recipe.sources:
        row["sources"] = sum(crop.sourced for crop in record.crops)
    if recipe.landmarks:
        row["landmarks"] = sum(crop.landmarks is not None for crop in record.crops)
    return row | {"remarks": "; ".join(record.remarks), "problem": record.problem}
