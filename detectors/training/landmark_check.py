"""Whether landmarks that a training is given are those of its frames: what they themselves can tell."""

from dataclasses import dataclass, field

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.images import size_of
from data.landmarks import Landmarks, five_points, misplaced, stands
from detectors.training.training_frames import Labelled

OFF_CENTRE = 0.2
"""How far from the middle, in parts of the picture, the faces of most frames may lie: crops have theirs nearer by."""


@dataclass
class _Found:
    """What was found of frames' landmarks.

    Attributes:
        absent: the keys of frames without landmarks.
        unfit: a line about each frame whose landmarks cannot be its own.
        lying: the keys of frames whose face lies on its side or head.
        centres: (x, y) of each face, in parts of its picture.
        kept: the positions of all frames but the unfit ones.
    """

    absent: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    lying: list[str] = field(default_factory=list)
    centres: list[np.ndarray] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def with_landmarks(frames: Labelled, landmarks: Landmarks, asked_for: bool) -> Labelled:
    """The frames but for those whose landmarks cannot be theirs (`data.landmarks.misplaced`).

    One warning each says how many are left out; how many have no landmarks, so that a mean face stands in; that most
    faces lie on their side or head; and that most lie far from their pictures' middle. Each picture that has landmarks
    is read for its size.

    Args:
        frames: those to train on.
        landmarks: by the frames' keys.
        asked_for: whether the user named the file, rather than that it lies beside the index.

    Raises:
        InputError: the landmarks of all frames that have any are unfit; or none has any, where they were asked for.
    """
    found = _look(frames, landmarks)
    if asked_for and len(found.absent) == len(frames):
        raise InputError(
            f"{landmarks.path}: has landmarks of none of the {len(frames)} frames to learn from: they are named as "
            f"{found.absent[0]}, its own as {next(iter(landmarks))}; name another file, or leave out --landmarks to "
            "take a mean face for all"
        )
    if found.unfit and len(found.unfit) + len(found.absent) == len(frames):
        raise InputError(
            f"{landmarks.path}: none of its landmarks fits its frame ({len(found.unfit)} of them): {found.unfit[0]}"
        )
    for remark in _remarks(found, landmarks, len(frames)):
        warn(remark)
    return frames.at(found.kept)


def _look(frames: Labelled, landmarks: Landmarks) -> _Found:
    found, images = _Found(), frames.frames.images
    for position, entry in enumerate(frames.frames.entries):
        try:
            points = landmarks.get(entry.key)
        except InputError as error:
            found.unfit.append(str(error))
            continue
        if points is None:
            found.absent.append(entry.key)
            found.kept.append(position)
            continue
        try:
            shape = size_of(images.read(entry.key), entry.key)
        except InputError:
            found.kept.append(position)  # what is wrong with the picture is said where it is read to train
            continue
        problem = misplaced(points, shape)
        if problem:
            found.unfit.append(f"the landmarks of {entry.key} {problem}")
            continue
        found.kept.append(position)
        found.centres.append(five_points(points).mean(axis=0) / np.array(shape[::-1]))
        if not stands(points):
            found.lying.append(entry.key)
    return found


def _remarks(found: _Found, landmarks: Landmarks, frames: int) -> list[str]:
    remarks, known = [], len(found.centres)
    if found.unfit:
        remarks.append(
            f"{len(found.unfit)} of {count(frames, 'frame')} left out for their landmarks, the first because "
            f"{found.unfit[0]}"
        )
    if found.absent:
        remarks.append(
            f"{landmarks.path}: has no landmarks of {len(found.absent)} of {count(frames, 'frame')}, such as "
            f"{found.absent[0]}: a mean face stands in for theirs"
        )
    if 2 * len(found.lying) > known:
        remarks.append(
            f"{landmarks.path}: {len(found.lying)} of {count(known, 'face')} lie on their side or head, such as that "
            f"of {found.lying[0]}: x and y may be exchanged, or the landmarks be of pictures that were turned"
        )
    if known:
        x, y = np.median(found.centres, axis=0)
        if max(abs(x - 0.5), abs(y - 0.5)) > OFF_CENTRE:
            remarks.append(
                f"{landmarks.path}: the faces lie about {x:.0%} of the way across their pictures and {y:.0%} down, "
                "where crops have them in the middle: the landmarks may be of pictures of another size"
            )
    return remarks
