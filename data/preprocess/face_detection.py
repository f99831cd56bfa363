"""Face detectors: where the faces of one frame are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np

from common.errors import FAILED, InputError, described
from common.files import sha256
from common.registry import resolve

LEAST_FACE = 2
"""Pixels of a side: what is smaller is in units of the frame, or nothing."""


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels of the frame; (left, top) is its corner, real-valued."""

    left: float
    top: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of its middle."""
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def size(self) -> float:
        """Its longer side."""
        return max(self.width, self.height)


class FaceDetector(Protocol):
    """Finds faces in one frame; made once per video, so it may keep a network."""

    def detect(self, image: np.ndarray) -> list[Box]:
        """The faces in an image (H, W, 3) uint8 RGB, in any order, in its pixels."""
        ...


class HaarFaces:
    """OpenCV's boosted cascade `haarcascade_frontalface_alt2` (Viola and Jones 2001; Lienhart and Maydt 2002).

    A frame is searched at LONG_SIDES pixels on its longer side (never enlarged), each size only where those before it
    show no face: for faces of at least MIN_FACE pixels there, of NEIGHBOURS overlapping hits. On seven FaceForensics++
    clips the first size gives exactly one face in each of 158 sampled frames; fewer neighbours or smaller faces add
    false ones, and so do larger sizes, which ask for more neighbours.
    """

    FILE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
    LONG_SIDES = (480, 960, 1920)
    MIN_FACE = 40
    NEIGHBOURS = (5, 8, 16)
    SCALE_STEP = 1.1

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(str(self.FILE))
        if self._cascade.empty():
            raise InputError(f"{self.FILE}: missing; install opencv-python-headless again")

    def detect(self, image: np.ndarray) -> list[Box]:
        """The frontal faces; see FaceDetector."""
        least = (self.MIN_FACE, self.MIN_FACE)
        sizes = _sizes(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), self.LONG_SIDES)
        for (small, scale), neighbours in zip(sizes, self.NEIGHBOURS, strict=False):
            boxes = self._cascade.detectMultiScale(small, self.SCALE_STEP, neighbours, minSize=least)
            if len(boxes):
                return [Box(*(float(value) / scale for value in box)) for box in boxes]
        return []


class YunetFaces:
    """YuNet (Wu et al. 2023) from a user's ONNX file, through OpenCV's FaceDetectorYN.

    A frame is searched at LONG_SIDES pixels on its longer side (never enlarged), each size only where those before it
    show no face. Raises InputError where the model is missing or not YuNet.
    """

    LONG_SIDES = (640, 1280, 2560)
    SCORE = 0.7
    OVERLAP = 0.3
    BEFORE_SUPPRESSION = 5000

    def __init__(self, model: Path) -> None:
        _require_model(model)
        self._model = model
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(model),
                "",
                (self.LONG_SIDES[0], self.LONG_SIDES[0]),
                self.SCORE,
                self.OVERLAP,
                self.BEFORE_SUPPRESSION,
            )
        except cv2.error as error:
            raise InputError(f"{model}: not a YuNet model that OpenCV can read ({_first_line(error)})") from error

    def detect(self, image: np.ndarray) -> list[Box]:
        """The faces in any pose; see FaceDetector."""
        for small, scale in _sizes(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), self.LONG_SIDES):
            try:
                self._network.setInputSize((small.shape[1], small.shape[0]))
                rows = self._network.detect(small)[1]
            except cv2.error as error:
                raise InputError(f"{self._model}: not a YuNet model ({_first_line(error)})") from error
            if rows is not None:
                return [Box(*(float(value) / scale for value in row[:4])) for row in rows]
        return []


class OwnFaces:
    """A user's own detector, whose boxes are looked at; it is given copies of frames."""

    def __init__(self, name: str, detector: FaceDetector) -> None:
        self._name, self._detector = name, detector

    def detect(self, image: np.ndarray) -> list[Box]:
        """The faces that it finds. Raises InputError where it fails, or gives what is no box in the image."""
        try:
            found: object = self._detector.detect(image.copy())
        except FAILED as error:
            raise InputError(f"face detector {self._name} fails ({described(error)})") from error
        boxes = list(found) if isinstance(found, (list, tuple)) else [found]
        for box in boxes:
            if wrong := self._wrong(box, *image.shape[:2]):
                raise InputError(
                    f"face detector {self._name} gave {wrong}; expected a list of Box(left, top, width, height) in "
                    f"pixels of the frame ({image.shape[1]}x{image.shape[0]})"
                )
        return cast(list[Box], boxes)

    @staticmethod
    def _wrong(box: object, height: int, width: int) -> str | None:
        """What a thing is that is no face in a frame of this size, in words; None where it may be one."""
        if not isinstance(box, Box):
            return f"a {type(box).__name__} in place of a Box"
        numbers = (box.left, box.top, box.width, box.height)
        if not all(isinstance(number, (int, float, np.number)) and np.isfinite(number) for number in numbers):
            return f"{box}, which is no four numbers"
        if min(box.width, box.height) < LEAST_FACE:
            return f"{box}, which is smaller than {LEAST_FACE} pixels"
        x, y = box.centre
        return None if 0 <= x <= width and 0 <= y <= height else f"{box}, whose middle is outside of it"


def face_detector(name: str) -> FaceDetector:
    """The detector called `haar`, `yunet:MODEL.onnx`, or a user's own class `package.module:Name` (no arguments).

    Raises InputError for an unknown name or a model that cannot be used.
    """
    if name == "yunet":
        raise InputError("the face detector yunet needs its model: yunet:MODEL.onnx")
    if name.startswith("yunet:"):
        return YunetFaces(Path(name.removeprefix("yunet:")))
    made: FaceDetector = resolve(name, {"haar": HaarFaces}, "face detector")()
    return made if type(made) is HaarFaces else OwnFaces(name, made)


def suggestion(name: str) -> str | None:
    """The option that names a detector which finds more faces than that of this name, or None."""
    return None if name.startswith("yunet:") else "--face-detector yunet:MODEL.onnx"


def detector_identity(name: str) -> str:
    """A name that changes when the detector does: a YuNet model is named by its bytes, not by where it lies."""
    if not name.startswith("yunet:"):
        return name
    model = Path(name.removeprefix("yunet:"))
    _require_model(model)
    return f"yunet:{sha256(model)[:16]}"


def _require_model(model: Path) -> None:
    if not model.is_file():
        raise InputError(f"{model}: no such YuNet model; name its ONNX file as yunet:MODEL.onnx")


def _sizes(image: np.ndarray, long_sides: Sequence[int]) -> Iterator[tuple[np.ndarray, float]]:
    """The image with at most each of `long_sides` pixels on its longer side, once at its own size, as `_reduced`."""
    longest = max(image.shape[:2])
    for long_side in dict.fromkeys(min(side, longest) for side in long_sides):
        yield _reduced(image, long_side)


def _reduced(image: np.ndarray, long_side: int) -> tuple[np.ndarray, float]:
    """The image with at most `long_side` pixels on its longer side, and the factor it was scaled by."""
    scale = min(1.0, long_side / max(image.shape[:2]))
    if scale == 1.0:
        return image, scale
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale


def _first_line(error: cv2.error) -> str:
    return str(error).strip().splitlines()[0]
