"""A film's faces: found and tracked on the frames that are looked at, and cropped as `data.preprocess` does."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import InputError
from data.preprocess.crops import square
from data.preprocess.face_detection import Box, FaceDetector, suggestion
from data.preprocess.tracking import Settled, link, settle
from data.preprocess.video import VideoInfo, probe, read, until_damage
from data.sample import spread
from examination.faces import MARGIN, FaceChoice, chosen_faces
from examination.frame import Shot
from examination.stability import Variation
from reporting.words import join

CURVE = 24
"""Frames of a film whose verdict is taken, spread over it, beside those that are examined."""
FRAMES = 3
"""Frames that are examined where nothing is said."""
ABSENT = 2.0
"""Seconds without a face, on more than one frame that is looked at, after which it may be another person's."""
SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"})
BEFORE, AFTER = "the frame before", "the frame after"


@dataclass(frozen=True, eq=False)
class Moment:
    """A face at one time of a film: seconds, and its picture (H, W, 3) uint8 RGB."""

    time: float
    picture: np.ndarray


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a film are examined: at `times` in seconds, or `count` spread over it."""

    times: tuple[float, ...] = ()
    count: int = FRAMES


@dataclass(frozen=True, eq=False)
class Subject:
    """A face, or a whole picture, that a file shows.

    Attributes:
        face: its number from 1; 0 for the whole picture.
        shots: the pictures that are examined, at least one.
        curve: the film's moments whose verdict is taken, spread evenly over it, so that what is examined weighs no more
            than the rest; empty for a picture.
        remarks: what a user should know of how it was found.
    """

    face: int
    shots: tuple[Shot, ...]
    curve: tuple[Moment, ...]
    remarks: tuple[str, ...]


def film_subjects(
    path: Path, frames: FrameChoice, choice: FaceChoice, detector: FaceDetector | None, name: str
) -> list[Subject]:
    """The faces of a film that are examined, each with its pictures.

    Args:
        path: the film.
        frames: which are examined.
        choice: which faces.
        detector: finds them; None to take whole frames.
        name: of the face detector.

    Raises:
        InputError: the film cannot be read, shows no face, or several where none is chosen; or a time lies behind its
            end or shows no such face.
    """
    info = probe(path)
    problems = [info.damage] if info.damage else []
    asked = [_position(path, info, time) for time in frames.times]
    wanted = asked or spread(info.frames, frames.count)
    looked_at = set(spread(info.frames, CURVE))
    looked_at |= {near for at in wanted for near in (at - 1, at, at + 1) if 0 <= near < info.frames}
    if detector is None:
        positions = sorted(looked_at)
        pictures = dict(until_damage(read(path, positions), problems))
        return [_subject(path, info, 0, pictures, wanted, (*info.remarks, *problems))]
    found = [(at, detector.detect(image)) for at, image in until_damage(read(path, sorted(looked_at)), problems)]
    positions, boxes = [at for at, _ in found], [each for _, each in found]
    times = [info.times[at] for at in positions]
    tracks = [settle(track, times) for track in link(boxes, times, info.cuts)]
    if not tracks:
        better = suggestion(name)
        raise InputError(
            f"{path}: no face found in any of the {len(positions)} frames looked at; --whole takes whole frames"
            + (f", {better} finds smaller and turned faces" if better else "")
        )
    shown = [
        f"{len(track.boxes)} of {len(positions)} frames, {times[min(track.boxes)]:.2f} to "
        f"{times[max(track.boxes)]:.2f} s, {_where(track, info)}"
        for track in tracks
    ]
    subjects = []
    for number in chosen_faces(path, choice, shown):
        track = {positions[index]: box for index, box in tracks[number - 1].boxes.items()}
        pictures = _crops(path, info, track, problems)
        kept = _examined(path, info, number, wanted, pictures, bool(asked))
        remarks = *info.remarks, *_absences(number, sorted(track), positions, info), *problems
        subjects.append(_subject(path, info, number, pictures, kept, remarks))
    return subjects


def _absences(number: int, seen: Sequence[int], looked_at: Sequence[int], info: VideoInfo) -> tuple[str, ...]:
    """A remark where a face is not found on several frames in a row that are looked at, seconds apart."""
    gaps = [
        f"between {info.times[before]:.2f} s and {info.times[after]:.2f} s"
        for before, after in itertools.pairwise(seen)
        if info.times[after] - info.times[before] > ABSENT and sum(before < at < after for at in looked_at) > 1
    ]
    if not gaps:
        return ()
    return (f"face {number} is not found {join(gaps)}: who is seen after may be somebody else",)


def _position(path: Path, info: VideoInfo, time: float) -> int:
    """The frame whose time is nearest to a time in seconds."""
    if not 0 <= time < info.length:
        raise InputError(f"{path}: --time {time:g} is not in the film, which is {info.length:.2f} s long")
    return int(np.abs(np.array(info.times) - time).argmin())


def _where(track: Settled, info: VideoInfo) -> str:
    """Where a face mostly is, in words."""
    x = float(np.mean([box.centre[0] for box in track.boxes.values()])) / info.width
    side = "left" if x < 1 / 3 else "right" if x > 2 / 3 else "middle"
    return f"{side}, about {round(float(np.mean([box.size for box in track.boxes.values()])))} pixels"


def _crops(path: Path, info: VideoInfo, track: dict[int, Box], problems: list[str]) -> dict[int, np.ndarray]:
    return {
        at: square(track[at], MARGIN, info.width, info.height).cut(image).copy()
        for at, image in until_damage(read(path, sorted(track)), problems)
    }


def _examined(
    path: Path, info: VideoInfo, number: int, wanted: Sequence[int], pictures: dict[int, np.ndarray], named: bool
) -> list[int]:
    """The frames to examine: those wanted, or where they were not named and lack the face, the nearest that have it."""
    if named and (gone := [at for at in wanted if at not in pictures]):
        raise InputError(f"{path}: no face {number} is found at {info.times[gone[0]]:.2f} s; give another --time")
    return list(dict.fromkeys(min(pictures, key=lambda has: (abs(has - at), has)) for at in wanted))


def _subject(
    path: Path,
    info: VideoInfo,
    face: int,
    pictures: dict[int, np.ndarray],
    wanted: Sequence[int],
    remarks: tuple[str, ...],
) -> Subject:
    if not pictures:
        raise InputError(remarks[-1] if remarks else f"{path}: no frame of it can be read")
    remarks, shots = (*remarks, *_repeated(info, wanted, pictures)), []
    for at in _different(wanted, pictures):
        near = [(BEFORE, at - 1), (AFTER, at + 1)]
        others = [(word, pictures[other]) for word, other in near if other in pictures]
        neighbours = tuple(Variation(word, picture) for word, picture in others if not _same(picture, pictures[at]))
        shots.append(Shot(f"frame-{at:05d}", pictures[at], info.times[at], neighbours))
    evenly = [at for at in spread(info.frames, CURVE) if at in pictures] or sorted(pictures)
    curve = tuple(Moment(info.times[at], pictures[at]) for at in evenly)
    return Subject(face, tuple(shots), curve, tuple(dict.fromkeys(remarks)))


def _different(wanted: Sequence[int], pictures: dict[int, np.ndarray]) -> list[int]:
    """The frames that repeat no earlier one: a picture is one observation, however often it is shown."""
    kept: list[int] = []
    for at in wanted:
        if not any(_same(pictures[at], pictures[other]) for other in kept):
            kept.append(at)
    return kept


def _repeated(info: VideoInfo, wanted: Sequence[int], pictures: dict[int, np.ndarray]) -> tuple[str, ...]:
    """A remark on frames, and frames before and after them, that are left out as repetitions."""
    remarks = []
    kept = _different(wanted, pictures)
    if gone := [f"{info.times[at]:.2f} s" for at in wanted if at not in kept]:
        remarks.append(f"what it shows at {join(gone)} is the same picture as before: it is examined once")
    still = [
        at for at in kept for other in (at - 1, at + 1) if other in pictures and _same(pictures[other], pictures[at])
    ]
    if still:
        times = join([f"{info.times[at]:.2f} s" for at in dict.fromkeys(still)])
        remarks.append(f"the film stands still at {times}: a neighbouring frame that is the same picture tells nothing")
    return tuple(remarks)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool((one == other).all())
