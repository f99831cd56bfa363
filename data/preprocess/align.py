"""Faces turned and scaled so that five landmarks come to lie where CADDM's published networks expect them.

The target and its numbers are those of the published preprocessing (github.com/megvii-research/CADDM, cropface.py and
caddm_test.cfg, for Dong et al., CVPR 2023): a mean face whose pupils are FACE_WIDTH times SCALE pixels apart, centred
from left to right, with the line of the eyes at 1 / 2.42 of the height and all heights stretched to agree with that.
The stretch makes the target taller than a face, so the least-squares fit shows faces larger than it: the mean face has
82 pixels between its pupils, not 72. Unlike there, the centres of the eyes are not cut down to whole pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.transform import SimilarityTransform

from common.errors import InputError
from data.landmarks import five_points, mean_face
from data.preprocess.face_detection import Box

SIDE = 224
FACE_WIDTH = 80
SCALE = 0.9
EYE_LINE = 1 / 2.42
_MEAN = np.array(  # pupils, tip of the nose, corners of the mouth; from the face's middle, in a unit of its own
    [[-0.17607, -0.172844], [0.1736, -0.17356], [-0.00182, 0.0357164], [-0.14617, 0.20185], [0.14496, 0.19943]]
)


def template() -> np.ndarray:
    """Where the five landmarks belong in the aligned picture, (5, 2) float64 (x, y) in pixels."""
    pupils = _MEAN[1, 0] - _MEAN[0, 0]
    points = 0.5 + _MEAN * (SCALE * FACE_WIDTH / (pupils * SIDE))
    points[:, 1] *= EYE_LINE / points[0, 1]
    return points * SIDE


@dataclass(frozen=True, eq=False)
class Aligned:
    """The part of a frame that a similarity, `matrix` (2, 3), takes to a picture of SIDE pixels."""

    matrix: np.ndarray
    side: int = SIDE

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part (SIDE, SIDE) or (SIDE, SIDE, 3) of an image, uint8 or float32; black outside the frame.

        Bilinear and without antialiasing, as the published networks were trained and tested.
        """
        return cv2.warpAffine(image, self.matrix, (self.side, self.side), flags=cv2.INTER_LINEAR)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the frame lie in the part."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]


def aligned(landmarks: np.ndarray) -> Aligned:
    """The similarity that takes the five of 5, 68 or 81 landmarks nearest to the template, by least squares.

    Umeyama (1991). Raises InputError where the five lie at one place.
    """
    motion = SimilarityTransform.from_estimate(five_points(landmarks), template())
    if not motion:
        raise InputError("landmarks at one place cannot be aligned")
    return Aligned(motion.params[:2])


def box_of(landmarks: np.ndarray) -> Box:
    """The box in which a face detector would find the face with these landmarks: that of the mean face fitted to it."""
    motion = SimilarityTransform.from_estimate(five_points(mean_face(1.0, 1.0)), five_points(landmarks))
    if not motion:
        raise InputError("landmarks at one place are no face")
    x, y = motion.translation  # the mean face's box has its middle at the origin and side 1
    side = float(motion.scale)
    return Box(float(x) - side / 2, float(y) - side / 2, side, side)
