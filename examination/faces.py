"""Which faces are examined, and where they are on a photograph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.errors import InputError
from data.frames import Frame
from data.preprocess.crop_records import PreprocessSettings
from data.preprocess.crops import Square, square
from data.preprocess.face_detection import FaceDetector, face_detector, suggestion

MARGIN = PreprocessSettings.margin
CROP_SHARE = 0.75
"""A face whose square is at least this share of a picture's shorter side makes the picture a crop already."""
CROP_SIDE, CROP_ASPECT = 640, 1.25
"""Without a face that is found, a picture of at most this side, and about square, is taken for a crop."""


@dataclass(frozen=True)
class FaceChoice:
    """Which of several faces: a number from 1, 0 for all, or None where the user says nothing."""

    number: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> "FaceChoice":
        """ "2" or "all"; None for nothing. Raises InputError for another text."""
        if text is None:
            return cls()
        if text == "all":
            return cls(0)
        if text.isdecimal() and int(text) >= 1:
            return cls(int(text))
        raise InputError(f"--face {text!r}: give a number from 1, or all")


def chosen_faces(path: Path, choice: FaceChoice, shown: Sequence[str]) -> list[int]:
    """The numbers of the faces to examine; `shown` says of each where it is.

    Raises InputError for several of which none is chosen, and for one that is not there.
    """
    count = len(shown)
    if choice.number is None and count > 1:
        listed = "; ".join(f"{number}: {where}" for number, where in enumerate(shown, start=1))
        raise InputError(f"{path}: shows {count} faces; choose by --face N, or --face all ({listed})")
    if choice.number is not None and choice.number > count:
        raise InputError(f"{path}: --face {choice.number} is not there; it shows {count}")
    return list(range(1, count + 1)) if not choice.number else [choice.number]


@dataclass(frozen=True, eq=False)
class PictureFace:
    """A part of a picture that is examined: its number (0 for the whole), pixels (H, W, 3) uint8, and a remark."""

    number: int
    picture: np.ndarray
    remark: str


def picture_faces(
    path: Path, image: np.ndarray, choice: FaceChoice, detector: FaceDetector, name: str
) -> list[PictureFace]:
    """The faces of a picture that are examined, cut out; the picture as it is where it is a crop already.

    Args:
        path: of the picture.
        image: (H, W, 3) uint8 RGB.
        choice: which faces.
        detector: finds them.
        name: of the face detector.

    Raises:
        InputError: no face is found on what is no crop, or several are and none is chosen.
    """
    height, width = image.shape[:2]
    boxes = sorted(detector.detect(image), key=lambda box: -box.size)
    areas = [square(box, MARGIN, width, height) for box in boxes]
    if not areas:
        if max(height, width) <= CROP_SIDE and max(height, width) <= CROP_ASPECT * min(height, width):
            return [PictureFace(0, image, "no face is found on it; it is taken for a crop, as it is small and square")]
        better = suggestion(name)
        raise InputError(
            f"{path}: no face found; --whole takes the whole picture"
            + (f", {better} finds smaller and turned faces" if better else "")
        )
    if len(areas) == 1 and areas[0].side >= CROP_SHARE * min(height, width) and choice.number in (None, 0, 1):
        return [PictureFace(0, image, "it is a crop already: the face fills it")]
    shown = [f"{area.side}x{area.side} pixels at ({area.left}, {area.top})" for area in areas]
    return [
        PictureFace(number, areas[number - 1].cut(image).copy(), _cropped(number, areas[number - 1], image))
        for number in chosen_faces(path, choice, shown)
    ]


def without_surroundings(frame: Frame, choice: FaceChoice, name: str = "haar") -> tuple[Frame, str]:
    """A frame with its face cut out where the picture is larger than a crop, and a remark on what was done.

    A picture on which no face is found stays as it is. `choice` says which of several; `name` is of the face detector.
    Raises InputError for several faces of which none is chosen.
    """
    detector = face_detector(name)
    if not detector.detect(frame.image):
        return frame, "no face is found on it; it is looked at whole"
    (face,) = picture_faces(Path(frame.key), frame.image, choice, detector, name)[:1]
    mask = frame.mask if face.picture is frame.image else None
    return replace(frame, image=face.picture, mask=mask), face.remark


def _cropped(number: int, area: Square, image: np.ndarray) -> str:
    return (
        f"face {number} is cut out of {image.shape[1]}x{image.shape[0]} pixels: {area.side}x{area.side} at "
        f"({area.left}, {area.top})"
    )
