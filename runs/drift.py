"""Detectors that answer a frame otherwise later in a run than before: noticed, said, and kept with the run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from common.console import count, warn, withheld
from common.errors import InputError
from common.files import stem, visible
from common.settings import from_json
from detectors import Detector, Queries
from detectors.checks.consistency import differs
from detectors.half_precision import half_types
from detectors.preparing import prepared
from runs import json_records
from runs.packed_frames import FOLDERS
from runs.run_folder import RunFolder
from runs.selection import Selection
from scoring.records import FrameVerdict, Row
from scoring.scored import Drift

FOLDER = "drift"
"""Of a run in which a detector drifted: a file for each frame that was answered otherwise later."""

LEAST = 1e-37
"""What a probability that float32 rounds to 0 counts as."""


def keep_drift(folder: RunFolder, drift: Drift) -> None:
    """Warns of a detector that drifts, and keeps that with the run. Raises OSError where it cannot be written."""
    if drift.elsewhere:
        warn(f"now that the run is made, {drift.elsewhere}; the numbers of its frames may be of that")
    else:
        when = f"at the end of {drift.noticed}" if drift.noticed else "when the run was continued"
        warn(
            f"the detector drifts: {when} it answered {drift.first} otherwise than when that was scored (a logit "
            f"differs by {drift.difference:.2g}); frames before and after are not of the same detector"
        )
    name = stem(drift.first + drift.noticed + ("elsewhere" if drift.elsewhere else ""))
    json_records.save_records(folder.path / FOLDER / f"{name}.json", [asdict(drift)], folder.seals)


def drift_in_words(folder: RunFolder) -> str:
    """What a run's folder says of a detector that drifted, in a sentence or two; "" where it says nothing."""
    paths = sorted(visible(folder.path / FOLDER, "*.json"))
    if not paths:
        return ""
    try:
        drifts = [drift for path in paths for drift in _read(path, folder)]
    except InputError as error:
        return f"The detector drifted while the run was made, and how far is not known: {error}."
    elsewhere = [drift.elsewhere for drift in drifts if drift.elsewhere]
    said = [f"Once the run was made, {elsewhere[-1]}. The numbers below may be of that."] if elsewhere else []
    if answered := [drift for drift in drifts if not drift.elsewhere]:
        noticed = [drift.noticed for drift in answered if drift.noticed]
        where = f"from {noticed[0]} on at latest" if noticed else "since the run was continued"
        said.append(
            f"The detector drifted: {where}, it answers {answered[0].first} otherwise than when that was scored "
            f"(noticed {count(len(answered), 'time')}, a logit differs by up to "
            f"{max(drift.difference for drift in answered):.2g}). Frames before and after are not of the same "
            "detector, and the numbers below mix them."
        )
    return " ".join(said)


def _read(path: Path, folder: RunFolder) -> Iterator[Drift]:
    for values in json_records.load_records(path, folder.seals)[json_records.RECORDS]:
        try:
            yield from_json(Drift, values, "a drift")
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} does not hold what it should ({error})") from error


def ask_about_first(folder: RunFolder, selection: Selection, detector: Detector) -> Drift | None:
    """What is to be said where a run is continued by a detector that answers its first finished frame otherwise.

    One forward pass of one image, in no cost; none where no frame is finished.

    Args:
        folder: the run's, bound to its configuration.
        selection: the frames of the run.
        detector: that goes on.

    Raises:
        InputError: the frame cannot be read.
    """
    for index, key, before in _verdicts(folder, selection.keys):
        image = prepared(detector, selection.frame(index).image)
        now = Queries(detector).probabilities(image[None])
        if now.shape != before.shape:
            return None  # a configuration of other classes, which is refused elsewhere
        first, second = (chances.clamp(min=LEAST).log() for chances in (before, now))
        difference = differs(first, second, half=False)
        if difference and differs(first, second, bool(half_types(detector, image))):
            return Drift(key, "", difference)
        return None
    return None


def _verdicts(folder: RunFolder, keys: Sequence[str]) -> Iterator[tuple[int, str, Tensor]]:
    """Of each finished frame in turn its place, its key, and the probabilities (1, C) that are kept of it."""
    if not any(visible(folder.path / FOLDERS[Row])):
        return
    with withheld():  # of damaged files, the run itself warns, and its folder says each part once
        found = RunFolder(folder.path)
        missing = set(found.missing(keys))
        for index, key in enumerate(keys):
            records = None if key in missing else found.finished(key)
            if records is not None and len(verdicts := records[FrameVerdict]):
                text = str(verdicts[0]["probabilities"])
                yield index, key, torch.tensor([[float(part) for part in text.split()]])
