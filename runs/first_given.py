"""What users' own parts give of a run's first frame: it must be the same in every process that scores the run.

What is drawn when a module is imported or a part is made, Python's hash of a text and the order of a set are the same
as long as a process lives, and others in the next: a worker's, or one that continues the run.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.console import warn, withheld
from common.errors import InputError
from common.files import visible
from common.seeds import generator
from runs import json_records
from runs.run_folder import RunFolder
from runs.seals import Seals

FILE = "own_parts.json"
"""Of a run with own parts, in its folder."""

METHOD, ATTACK, METRIC, DETECTOR = "method", "attack", "metric", "detector"
"""What a part's name begins with."""

TOLERANCE = 1e-3
"""Of the range of a map, or of a metric's value: what another order of additions may change."""

TOGETHER_TOLERANCE = 0.1
"""Of what an attack changes: what may turn where every step rounds otherwise, beside another region or elsewhere."""

ROUNDING = 1e-6
"""Of the largest value of a map: what float32 itself rounds."""

_DEPENDS = (
    "draws when it is imported or made, or depends on its process (hash() of a text, the order of a set, a variable of "
    "the environment)"
)

PLACES = 4096
"""How many values of a picture or map are kept, at places that are drawn once."""


@dataclass(frozen=True, eq=False)
class FirstGiven:
    """What own parts that repeat themselves give of a run's first frame.

    Attributes:
        key: the frame's.
        parts: float32 values (at most PLACES) of each, by what the part is and its name: of a method's map, of what an
            attack proposes and changes in its region, of a metric, of the frame as the detector prepares it.
    """

    key: str
    parts: Mapping[str, np.ndarray]


def sampled(values: np.ndarray) -> np.ndarray:
    """At most PLACES of the values, as float32 and in one row; the same places of every array of a size.

    No means of neighbours: in those a turned pixel would weigh otherwise than in the picture.
    """
    flat = np.asarray(values, dtype=np.float32).ravel()
    if len(flat) <= PLACES:
        return flat.copy()
    return flat[np.sort(generator(0, "places").choice(len(flat), PLACES, replace=False))]


def require_same_given(before: FirstGiven, now: FirstGiven) -> None:
    """Raises InputError where a worker's parts give otherwise than those of the process that the run was started by."""
    if (found := _otherwise(before, now)) is not None:
        raise InputError(
            f"{found} in a worker than where the run was started: {found.who} {_DEPENDS}; let it draw by the generator "
            "that it is given, or by a seed"
        )


def keep_given(folder: RunFolder, given: FirstGiven, keys: Sequence[str], alone: bool) -> None:
    """Keeps what own parts give with a run that begins, and compares where it is continued.

    A file that is damaged, or gone beside finished frames, is said to be, and written anew. Where every frame is
    finished, or none by whoever began the run, no numbers are mixed: the first is said, and the second forgotten.

    Args:
        folder: the run's, bound to its configuration.
        given: by the parts of this process.
        keys: of all frames of the run.
        alone: whether no other process may be at work on other frames.

    Raises:
        InputError: the parts are others than those that the finished frames were scored by.
        OSError: the file cannot be written.
    """
    path = folder.path / FILE
    before = _kept(path, folder, given)
    if before.key != given.key:
        warn(
            f"own parts were tried on {before.key} when {folder.path} was begun, and now on {given.key}, as the first "
            "frame that can be read: whether they are what the finished frames were scored by is not known"
        )
        return
    if (found := _otherwise(before, given)) is not None:
        missing = _missing(folder, keys)
        if alone and missing == len(keys):
            _save(path, given, folder.seals)
            return
        begun = f"{found} than when {folder.path} was begun"
        if not missing:
            warn(f"{begun}; all its frames are finished, and no other part scores any")
            return
        raise InputError(
            f"{begun}, so that numbers before and after would be of different parts: {found.who} reads something else "
            f"by now, {_DEPENDS}; put back what was there, or mend it and give another --run NAME"
        )
    if given.parts.keys() - before.parts.keys():
        _save(path, replace(before, parts={**given.parts, **before.parts}), folder.seals)


def _kept(path: Path, folder: RunFolder, given: FirstGiven) -> FirstGiven:
    """What the run's file says, which is written first where it is not there or damaged."""
    try:
        return _load(path, folder.seals)
    except FileNotFoundError:
        if path.parent.joinpath("frames").is_dir() and any(visible(path.parent / "frames")):
            warn(
                f"{path} is gone: whether own parts are what the finished frames were scored by is not known; it is "
                "written anew"
            )
        _save(path, given, folder.seals, first=True)
    except InputError as error:
        warn(f"{error}: whether own parts are what the finished frames were scored by is not known; it is written anew")
        _save(path, given, folder.seals)
    return _load(path, folder.seals)  # of shards that begin at the same moment, one has written


def _missing(folder: RunFolder, keys: Sequence[str]) -> int:
    """How many frames are not finished."""
    with withheld():  # the run itself warns of damaged files, and its folder says each part once
        return len(RunFolder(folder.path).missing(keys))


@dataclass(frozen=True)
class _Otherwise:
    """A part that gives otherwise than before, and by how much, in words."""

    part: str
    difference: str

    def __str__(self) -> str:
        return f"{self.part} gives otherwise of the first frame ({self.difference})"

    @property
    def who(self) -> str:
        """Whose doing it may be."""
        return "it" if self.part.startswith(DETECTOR) else "it, or the detector that it asks,"


def _otherwise(before: FirstGiven, now: FirstGiven) -> _Otherwise | None:
    """The first part that gives otherwise now than before; None where none does.

    The detector's own `prepare` comes first: a frame that is prepared otherwise is another picture for all others.
    """
    for part, values in sorted(before.parts.items(), key=lambda each: not each[0].startswith(DETECTOR)):
        if part in now.parts and (difference := _difference(part, values, now.parts[part])):
            return _Otherwise(part, difference)
    return None


def _difference(part: str, before: np.ndarray, now: np.ndarray) -> str:
    """By how much what a part gives differs, beyond rounding, in words."""
    if before.shape != now.shape:
        return "of another size"
    kind = part.partition(" ")[0]
    if kind == METRIC:
        same = np.isclose(now, before, rtol=TOLERANCE, equal_nan=True).all()
        return "" if same else f"{before[0]:g}, and here {now[0]:g}"
    apart = np.abs(before - now)
    if kind == ATTACK:
        share = float(apart.mean() / max(float(np.abs(before).mean()), 1e-12))
        return f"by {share:.0%} of what it changes" if share > TOGETHER_TOLERANCE else ""
    spread, rounded = float(np.ptp(before)), ROUNDING * float(np.abs(before).max())
    difference = float(apart.mean() if kind == DETECTOR else apart.max())
    return (
        f"by {difference:.2g} where its values span {spread:.2g}" if difference > TOLERANCE * spread + rounded else ""
    )


def _save(path: Path, given: FirstGiven, seals: Seals, first: bool = False) -> None:
    records = [{"part": part, "values": _packed(values)} for part, values in given.parts.items()]
    json_records.save_records(path, records, seals, {"frame": given.key}, first)


def _load(path: Path, seals: Seals) -> FirstGiven:
    """Raises InputError where the file is damaged, FileNotFoundError where it is not there."""
    stored = json_records.load_records(path, seals)
    try:
        return FirstGiven(
            str(stored["frame"]),
            {str(each["part"]): _unpacked(each["values"]) for each in stored[json_records.RECORDS]},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not hold what it should ({error})") from error


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: Any) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
