"""Landmarks of the faces in a video: from a file made for its frames, or by a dlib predictor."""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from common.errors import InputError
from common.files import sha256
from data.landmarks import five_points, read_landmarks, refuse_packed, stands
from data.preprocess.display import Display
from data.preprocess.face_detection import Box
from data.preprocess.layout import SUFFIXES, Clip

PREDICTOR = ".dat"
EXAMPLE = "manipulated_sequences/Deepfakes/raw/frames/000_003/frame_12"
FOLDERS = frozenset({"videos", "frames"})
COMPRESSIONS = frozenset({"raw", "c23", "c40"})


class Landmarker(Protocol):
    """Knows or finds the landmarks of faces in one video."""

    def find(self, position: int, image: np.ndarray, face: Box) -> np.ndarray | None:
        """The landmarks (n, 2) of the face in a box of frame `position`, (H, W, 3) uint8, in its pixels, or None."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class GivenLandmarks:
    """Landmarks of one face in some frames, from a file: `by_position`."""

    by_position: Mapping[int, np.ndarray]

    def find(self, position: int, image: np.ndarray, face: Box) -> np.ndarray | None:
        """Those of the frame, where their middle is in the box; see Landmarker."""
        landmarks = self.by_position.get(position)
        if landmarks is None:
            return None
        x, y = five_points(landmarks).mean(axis=0) - [face.left, face.top]
        return landmarks if 0 <= x <= face.width and 0 <= y <= face.height else None


class DlibLandmarks:
    """A predictor of dlib (Kazemi and Sullivan, CVPR 2014) from a user's file, for 68 or 81 points.

    The published predictors were trained on the boxes of dlib's own face detector; on others, of about the same place
    and size, they do a little worse. Raises InputError where dlib is missing, or the file is no such predictor.
    """

    def __init__(self, file: Path) -> None:
        self._dlib = _dlib(file)
        try:
            self._predictor = self._dlib.shape_predictor(str(file))
        except RuntimeError as error:
            raise InputError(f"{file}: not a landmark predictor of dlib ({' '.join(str(error).split())})") from error
        count = len(self._points(np.zeros((64, 64, 3), np.uint8), Box(0, 0, 64, 64)))
        if count not in (68, 81):
            raise InputError(f"{file}: predicts {count} landmarks in an order of its own; use one for 68 or 81")

    def find(self, position: int, image: np.ndarray, face: Box) -> np.ndarray | None:
        """Those that the predictor finds in the box; see Landmarker."""
        return self._points(image, face)

    def _points(self, image: np.ndarray, face: Box) -> np.ndarray:
        edges = (face.left, face.top, face.left + face.width - 1, face.top + face.height - 1)
        shape = self._predictor(image, self._dlib.rectangle(*(round(edge) for edge in edges)))
        return np.array([(point.x, point.y) for point in shape.parts()], float)


def landmarker_of(clip: Clip, file: Path | None) -> Landmarker | None:
    """What knows or finds the landmarks of a clip: its own, else the predictor in `file`, else None.

    Raises InputError for an unusable predictor.
    """
    if clip.landmarks:
        return GivenLandmarks(clip.landmarks)
    return DlibLandmarks(file) if file is not None and is_predictor(file) else None


def is_predictor(file: Path) -> bool:
    """Whether a file, by its suffix, holds a predictor of dlib and not landmarks."""
    return file.suffix.lower() == PREDICTOR


def landmarks_identity(file: Path) -> str:
    """What changes when the file's bytes do, wherever it lies. Raises InputError for a folder or a packed file."""
    if file.is_dir():
        raise InputError(
            f"{file}: a folder of landmarks is of pictures that are cropped already (see `python -m data index`); for "
            "videos, name an ldm.json or a dlib predictor (.dat)"
        )
    refuse_packed(file)
    if not file.is_file():
        raise InputError(f"{file}: no such file of landmarks; --landmarks names an ldm.json or a dlib predictor (.dat)")
    return sha256(file)[:16]


def with_landmarks(clips: Sequence[Clip], file: Path) -> tuple[Clip, ...]:
    """The clips with the landmarks that a file gives for their frames; those it does not name have none.

    The paths in the file are those that CADDM's script writes for FaceForensics++: <anything>/<the video's folders,
    with "frames" for "videos">/<the video's name>/frame_<number>. Landmarks of another compression of the video do as
    well, for they are in the same pixels. Raises InputError where the file cannot be read, names no frame of the
    clips, or has faces with different numbers of landmarks or without extent.
    """
    given = read_landmarks(file)
    by_name: dict[str, list[Clip]] = {}
    for clip in clips:
        by_name.setdefault(_video_parts(clip.key)[-1], []).append(clip)
    same: dict[str, dict[int, np.ndarray]] = {clip.key: {} for clip in clips}
    others: dict[str, dict[int, np.ndarray]] = {clip.key: {} for clip in clips}
    for key, points in given.items():
        path = PurePosixPath(key)
        position = _position(path.name)
        for clip in by_name.get(path.parent.name, []) if position is not None else []:
            parts = _video_parts(clip.key)
            if _video_parts(str(path.parent))[-len(parts) :] == parts:
                _refuse_unusable(points, f"{file}: the landmarks of {key!r}")
                wanted = same if _compression(path.parts) == _compression(PurePosixPath(clip.key).parts) else others
                wanted[clip.key][int(position or 0)] = points
    by_clip = {key: others[key] | same[key] for key in same}
    counts = {len(points) for marks in by_clip.values() for points in marks.values()}
    if not counts:
        raise InputError(f"{file}: names no frame of these videos; expected paths such as {EXAMPLE}")
    if len(counts) > 1:
        raise InputError(f"{file}: some faces have {min(counts)} landmarks and some {max(counts)}; make them alike")
    return tuple(dataclasses.replace(clip, landmarks=by_clip[clip.key] or None) for clip in clips)


def as_shown(landmarks: Mapping[int, np.ndarray], display: Display) -> tuple[dict[int, np.ndarray], bool]:
    """A file's landmarks, by frame, where the frames are shown, and whether the file has them in stored frames.

    OpenCV and ffmpeg, with which such files are made, turn frames upright but leave their pixels' shape: so the
    landmarks are taken, unless most faces stand upright only once they are turned as the frames are. Where a frame is
    no more than mirrored that cannot be told.
    """
    stored = sum(not stands(points) and stands(display.place(points)) for points in landmarks.values())
    turned = 2 * stored > len(landmarks)
    move = display.place if turned else display.square
    return {position: move(points) for position, points in landmarks.items()}, turned


def all_the_same(landmarks: Mapping[int, np.ndarray]) -> bool:
    """Whether several frames have the very same landmarks.

    CADDM's script writes them so where it takes more than one frame of a video: the last one's for all.
    """
    first, *rest = landmarks.values()
    return bool(rest) and all(np.array_equal(first, other) for other in rest)


def _dlib(file: Path) -> Any:
    try:
        return importlib.import_module("dlib")
    except ModuleNotFoundError as error:
        raise InputError(
            f'{file}: a dlib predictor needs the package dlib; install it with pip install "flipscope[dlib]"'
        ) from error


def _refuse_unusable(points: np.ndarray, owner: str) -> None:
    if np.ptp(five_points(points), axis=0).max() < 1:
        raise InputError(f"{owner} lie at one place; remove it from the file")


def _video_parts(video: str) -> tuple[str, ...]:
    """The parts of a path to a video, or to the folder of its frames, that are the same for both."""
    path = PurePosixPath(video)
    path = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return tuple(part for part in path.parts if part not in FOLDERS | COMPRESSIONS)


def _compression(parts: Sequence[str]) -> str | None:
    return next((part for part in parts if part in COMPRESSIONS), None)


def _position(name: str) -> int | None:
    """The number in the name of a frame: frame_12 or frame_12.png."""
    digits = PurePosixPath(name).stem.removeprefix("frame_")
    return int(digits) if digits.isascii() and digits.isdigit() and name.startswith("frame_") else None
