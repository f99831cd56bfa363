"""Where one frame of a manipulated video was changed, as its mask video or its original shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from data.preprocess.crops import Region
from data.preprocess.face_detection import Box
from data.preprocess.manipulation_masks import (
    REACH,
    NotTheSameMomentError,
    change_of,
    cut_mask,
    difference,
    distances,
    from_mask_video,
    marked,
)

Faces = Mapping[int, Box]
"""The boxes of the faces in one frame, by the face's number."""

LEAST = 0.005  # of a face's box: fewer changed pixels are none
FAINT = 0.1  # of the change of the most changed face in the frame: less is none
ELSEWHERE = (
    0.05  # of a square of the faces' size: how much must differ away from all of them to be a change, and not noise
)


@dataclass(frozen=True, eq=False)
class Moment:
    """The frames (H, W, 3) uint8 of a clip's companions at one moment; None where there is none."""

    mask: np.ndarray | None = None
    original: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FrameChange:
    """The change of one frame.

    Attributes:
        image: (H, W, 3) uint8 RGB, the manipulated clip's frame.
        moment: its companions' frames.
        faces: all faces in the frame.
    """

    image: np.ndarray
    moment: Moment
    faces: Faces
    _strengths: dict[int, np.ndarray | None] = field(default_factory=dict, init=False, repr=False)

    def strength(self, face: int) -> np.ndarray | None:
        """The difference to the original (h, w) in units of the noise, on the scale of a face; see `difference`.

        None where there is no original, too. Raises NotTheSameMomentError.
        """
        if self.moment.original is None:
            return None
        if face not in self._strengths:
            self._strengths[face] = difference(self.image, self.moment.original, self.faces[face], self._others(face))
        return self._strengths[face]

    def mask(self, changed: Iterable[int], area: Region) -> np.ndarray | None:
        """The manipulated pixels (side, side) bool of a part of the frame, or None where none can be seen there.

        They come from the mask video where there is one, else from the difference to the original around the faces
        that are `changed`. Raises NotTheSameMomentError.
        """
        if self.moment.mask is not None:
            mask = from_mask_video(self.moment.mask, area)
            return mask if mask.any() else None
        covers = [cover for face in changed if (cover := self._cover(face)) is not None]
        return cut_mask(np.maximum.reduce(covers), area) if covers else None

    def on_faces(self) -> dict[int, bool] | None:
        """For each face whether it differs from the original.

        None where none does, where there is no original, or where that shows another moment.
        """
        if self.moment.original is None:
            return None
        try:
            covers = {face: self._cover(face) for face in self.faces}
        except NotTheSameMomentError:
            return None
        areas = {face: 0.0 if cover is None else float((cover > 0.5).sum()) for face, cover in covers.items()}
        changed = _changed(areas, self.faces)
        return changed if any(changed.values()) else None

    def elsewhere(self) -> bool:
        """Whether the original differs away from all faces, as it does on a manipulated face that was not found.

        That is looked for where the frames differ most, as on a face of the size of those that were found.
        """
        image, original, faces = self.image, self.moment.original, list(self.faces.values())
        if original is None or not faces:
            return False
        size = float(np.mean([face.size for face in faces]))
        free = np.min([distances(image.shape[:2], image.shape, face) for face in faces], axis=0) > REACH
        top, left = _largest_difference(image, original, free, size)
        unseen = Box(left - size / 2, top - size / 2, size, size)
        try:
            strength = difference(image, original, unseen, faces)
        except NotTheSameMomentError:
            return False
        cover = None if strength is None else change_of(strength, image.shape, unseen, faces)
        return cover is not None and (cover > 0.5).sum() >= ELSEWHERE * size**2

    def _cover(self, face: int) -> np.ndarray | None:
        strength = self.strength(face)
        return None if strength is None else change_of(strength, self.image.shape, self.faces[face], self._others(face))

    def _others(self, face: int) -> list[Box]:
        return [box for number, box in self.faces.items() if number != face]


def marked_faces(mask: np.ndarray, faces: Faces) -> dict[int, bool] | None:
    """For each face whether a mask video's frame (H, W, 3) uint8 marks it; None where it marks nothing.

    Where it marks only what is away from all faces, it marks none of them.
    """
    marks = marked(mask)
    areas = {}
    for face, box in faces.items():
        others = [other for number, other in faces.items() if number != face]
        areas[face] = float((marks & (distances(marks.shape, marks.shape, box, others) < REACH)).sum())
    smallest = min(_area(box) for box in faces.values())
    return _changed(areas, faces) if marks.sum() >= LEAST * smallest else None


def _changed(areas: Mapping[int, float], faces: Faces) -> dict[int, bool]:
    """Which faces are changed, from how many pixels of each are."""
    shares = {face: areas[face] / _area(box) for face, box in faces.items()}
    least = max(LEAST, FAINT * max(shares.values()))
    return {face: share >= least for face, share in shares.items()}


def _area(box: Box) -> float:
    return box.width * box.height


def _largest_difference(image: np.ndarray, original: np.ndarray, free: np.ndarray, size: float) -> tuple[float, float]:
    """(y, x) of where two frames differ most in the mean over squares of half a face's `size`, where `free` (H, W)."""
    side = max(3, round(size / 2))
    differs = cv2.absdiff(image, original).astype(np.float32).mean(axis=2) * free
    y, x = np.unravel_index(int(np.argmax(cv2.blur(differs, (side, side)))), differs.shape)
    return float(y), float(x)
