"""Which pixels of a crop were manipulated: from the mask video, or from the difference to the original."""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

from data.preprocess.crops import Region
from data.preprocess.face_detection import Box

MASK_LEVEL = 32  # of 255: mask videos are compressed, and black is not quite black near edges

# The difference to the original, in sizes of the face (the longer side of its box) and units of the noise:
FACE = 96  # pixels; a larger face is reduced to this first
BLUR = 0.025  # the width (sigma) of the smoothing
OUTSIDE = 0.75  # farther than this from every face's centre, to either side, nothing is manipulated
NOISE_QUANTILE = 0.99  # of the smoothed difference out there: this is the unit of noise
LEAST_OUTSIDE = 0.05  # the smallest share of the frame that the noise is measured on
LEAST_NOISE = 1.0  # of 255, for uncompressed videos
REACH = 0.72  # a manipulated region reaches no farther from the face's centre
SEED = 2.5  # a manipulated region reaches this many units inside the face
EDGE = 1.2  # and ends where it falls below this,
SKIRT = 0.25  # or below this share of the strongest change nearby, which smoothing has spread
BRUSH = 0.06  # the diameter of the disc that closes gaps and removes threads
SPECK = 0.1  # a region smaller than this share of the largest is dropped
OTHER_MOMENT = 15.0  # of 255: a unit of noise above this means that the two frames show different moments


class NotTheSameMomentError(ValueError):
    """Two frames differ outside the face too, so their difference is no mask."""


def from_mask_video(frame: np.ndarray, area: Region) -> np.ndarray:
    """The mask (side, side) bool of a crop, from the mask video's frame (H, W, 3) uint8; see `marked`."""
    return marked(area.cut(frame))


def marked(frame: np.ndarray) -> np.ndarray:
    """The pixels (H, W) bool that a frame (H, W, 3) uint8 of a mask video marks.

    Those where any channel is above MASK_LEVEL; masks of some families are coloured renderings.
    """
    return frame.max(axis=2) > MASK_LEVEL


def from_difference(manipulated: np.ndarray, original: np.ndarray, face: Box, area: Region) -> np.ndarray | None:
    """The mask (side, side) bool of a crop, from two frames (H, W, 3) uint8 of the same moment, with one face.

    Returns None where nothing stands out from the noise, or the face fills the frame.

    Args:
        manipulated: (H, W, 3) uint8, the manipulated video's frame.
        original: (H, W, 3) uint8, the original's.
        face: the face's box in the frame.
        area: the part of the frame that is cropped.

    Raises:
        NotTheSameMomentError: the two frames show different moments.
    """
    strength = difference(manipulated, original, face)
    return None if strength is None else cut_mask(change_of(strength, manipulated.shape, face), area)


def difference(
    manipulated: np.ndarray, original: np.ndarray, face: Box, others: Sequence[Box] = ()
) -> np.ndarray | None:
    """How much two frames (H, W, 3) uint8 of the same moment differ, (h, w) float32, in units of the noise.

    Both frames carry compression noise, of a strength that differs between videos. So the difference is smoothed,
    both with its sign (a change of shading) and squared (a change of texture), and measured in units of what it
    is outside the face and the `others` in view, where nothing was manipulated. The frames are reduced first where
    the face is larger than FACE pixels. Returns None where the faces leave too little of the frame to measure the
    noise, and so to know whether it is the same moment. Raises NotTheSameMomentError.
    """
    return _strength(manipulated, original, face, others, _scale(face))


def change_of(strength: np.ndarray, shape: tuple[int, ...], face: Box, others: Sequence[Box] = ()) -> np.ndarray | None:
    """The manipulated part of a face in a frame of `shape` (H, W, ...), from its `difference`: cover (H, W) float32.

    A region counts where it passes SEED units inside the face's circle, and reaches as far as EDGE units; gaps and
    holes are closed, for the inside of a blended face is manipulated even where it happens to agree with the
    original. What is nearer to one of the `others` belongs to that one. Returns None where nothing stands out from
    the noise.

    Args:
        strength: (h, w) float32, in units of the noise, as `difference` gives it.
        shape: the frame's, (H, W, ...).
        face: the face's box in the frame.
        others: the boxes of the other faces in the frame.
    """
    scale = _scale(face)
    away = distances(strength.shape, shape, face, others)
    brush = max(3, round(BRUSH * face.size * scale) | 1)
    skirt = SKIRT * cv2.dilate(strength, _disc(2 * brush - 1))
    regions, _ = ndimage.label((strength > np.maximum(EDGE, skirt)) & (away < REACH))
    seeds = np.unique(regions[(away < 0.5) & (strength > SEED)])
    mask = _tidy(np.isin(regions, seeds[seeds > 0]), brush)
    if not mask.any():
        return None
    height, width = shape[:2]
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)


def cut_mask(change: np.ndarray | None, area: Region) -> np.ndarray | None:
    """A crop's mask (side, side) bool from a face's `change_of` (H, W); None where no pixel of it was manipulated."""
    if change is None:
        return None
    cut = area.cut(change) > 0.5
    return cut if cut.any() else None


def distances(
    shape: tuple[int, ...], frame_shape: tuple[int, ...], face: Box, others: Sequence[Box] = ()
) -> np.ndarray:
    """How far the pixels of a frame are from a face's centre, (h, w), in sizes of the face.

    Infinite where one of the other faces is nearer, in its own size: such pixels belong to that one.

    Args:
        shape: (h, w) of the result; smaller than the frame where that was reduced.
        frame_shape: the frame's, (H, W, ...).
        face: the face's box in the frame.
        others: the boxes of the other faces in the frame.
    """
    away = np.hypot(*_offsets(shape, face, frame_shape))
    for other in others:
        away = np.where(np.hypot(*_offsets(shape, other, frame_shape)) < away, np.inf, away)
    return away


def _scale(face: Box) -> float:
    return min(1.0, FACE / face.size)


def _strength(
    manipulated: np.ndarray, original: np.ndarray, face: Box, others: Sequence[Box], scale: float
) -> np.ndarray | None:
    """The smoothed difference (h, w) of two frames reduced by `scale`, in units of the noise outside the faces.

    None where the faces leave too little of the frame to measure the noise.
    """
    signed = manipulated.astype(np.float32) - original
    squared = _mean_of_squares(signed)
    if scale < 1:
        height, width = squared.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        signed = cv2.resize(signed, size, interpolation=cv2.INTER_AREA)
        squared = cv2.resize(squared, size, interpolation=cv2.INTER_AREA)
    sigma = BLUR * face.size * scale
    shading = np.sqrt(_mean_of_squares(cv2.GaussianBlur(signed, (0, 0), sigma)))
    texture = np.sqrt(cv2.GaussianBlur(squared, (0, 0), sigma))
    outside = np.ones(squared.shape, dtype=bool)
    for seen in (face, *others):
        outside &= np.abs(_offsets(squared.shape, seen, manipulated.shape)).max(axis=0) > OUTSIDE
    if outside.mean() < LEAST_OUTSIDE:
        return None
    noise = [max(float(np.quantile(kind[outside], NOISE_QUANTILE)), LEAST_NOISE) for kind in (shading, texture)]
    if noise[0] > OTHER_MOMENT:
        raise NotTheSameMomentError
    return np.maximum(shading / noise[0], texture / noise[1])


def _mean_of_squares(image: np.ndarray) -> np.ndarray:
    """The mean square (h, w) of the three channels of an image (h, w, 3) float32."""
    return cv2.transform(np.square(image), np.full((1, 3), 1 / 3, np.float32))


def _offsets(shape: tuple[int, ...], face: Box, frame_shape: tuple[int, ...]) -> np.ndarray:
    """(2, h, w): how far each pixel of the reduced frame is from the face's centre in x and y, in sizes of the face."""
    y, x = ((np.arange(count) + 0.5) * full / count for count, full in zip(shape, frame_shape[:2], strict=True))
    return np.stack(np.meshgrid((x - face.centre[0]) / face.size, (y - face.centre[1]) / face.size))


def _tidy(mask: np.ndarray, brush: int) -> np.ndarray:
    """A mask with its gaps and holes closed, its threads and specks removed."""
    disc = _disc(brush)
    room = 2 * brush  # closing must not be stopped by the frame's border
    closed = cv2.morphologyEx(np.pad(mask, room).astype(np.uint8), cv2.MORPH_CLOSE, disc, iterations=2)
    filled = ndimage.binary_fill_holes(closed).astype(np.uint8)
    opened = cv2.morphologyEx(filled, cv2.MORPH_OPEN, disc)[room:-room, room:-room]
    regions, count = ndimage.label(opened)
    if count == 0:
        return regions > 0
    areas = np.bincount(regions.ravel())[1:]
    return np.isin(regions, 1 + np.flatnonzero(areas >= SPECK * areas.max()))


def _disc(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
