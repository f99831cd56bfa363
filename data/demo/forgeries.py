"""Four forgeries of a finished picture and its landmarks, each in the manner of a FaceForensics++ family.

They know nothing of how the picture was made, so they forge a photograph as well as a demo face. Each has the
traces of its kind: FaceSwap the seam and the grain of another picture, Deepfakes the blur of a narrow bottleneck,
Face2Face a re-rendered, resampled face, NeuralTextures the lattice of transposed convolutions around the mouth.

Sources: FaceForensics++ (Rossler et al., 2019), Deepfakes (the autoencoder with one encoder and two decoders),
Face2Face (Thies et al., 2016), Neural Textures (Thies et al., 2019); traces of transposed convolutions (Odena et
al., 2016); colour matching (Reinhard et al., 2001).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from common.errors import InputError
from data import warp
from data.warp import BROWS, MOUTH, NOSE

BOTTLENECK = 64  # pixels across the face in the Deepfakes network
RENDERING = 128  # pixels across the face in Face2Face's rendering
DECODER = 96  # pixels across the mouth region in the neural textures' decoder


@dataclass(frozen=True, eq=False)
class Forgery:
    """A forged picture `image` (H, W, 3) uint8, and `mask` (H, W) bool: exactly the pixels that differ."""

    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Portrait:
    """A picture (H, W, 3) uint8 and its landmarks (68, 2)."""

    image: np.ndarray
    points: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


def forge(
    family: str,
    image: np.ndarray,
    landmarks: np.ndarray,
    generator: np.random.Generator,
    donor_image: np.ndarray | None = None,
    donor_landmarks: np.ndarray | None = None,
) -> Forgery:
    """A forged copy of a picture.

    Args:
        family: "NeuralTextures", "Face2Face", "Deepfakes" or "FaceSwap".
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) float (x, y) in pixels, iBUG order, all inside the picture.
        generator: what the forgery chooses (expression, strengths) is drawn from it.
        donor_image: (h, w, 3) uint8 RGB, the face to put in; Deepfakes and FaceSwap need it.
        donor_landmarks: (68, 2) likewise, inside the donor's picture.

    Raises:
        InputError: the family is unknown, an image is of another kind, landmarks are bad, or the donor is missing.
    """
    if family not in FAMILIES:
        raise InputError(f"unknown forgery {family!r}; known: {', '.join(FAMILIES)}")
    target = _portrait(image, landmarks, "image")
    if family in _SWAPS:
        if donor_image is None or donor_landmarks is None:
            raise InputError(f"{family} puts another face in: give donor_image and donor_landmarks")
        donor = _portrait(donor_image, donor_landmarks, "donor")
        synthetic, opacity = _SWAPS[family](target, donor, generator)
    else:
        synthetic, opacity = _REENACTMENTS[family](target, generator)
    return _blend(target.image, synthetic, opacity)


def _portrait(image: np.ndarray, landmarks: np.ndarray, owner: str) -> Portrait:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"the {owner} has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8 RGB")
    return Portrait(image, warp.check_landmarks(landmarks, image.shape, owner))


def _blend(image: np.ndarray, synthetic: np.ndarray, opacity: np.ndarray) -> Forgery:
    weight = opacity[..., None]
    mixed = image * (1.0 - weight) + synthetic * weight
    forged = np.where(weight > 0, np.clip(np.rint(mixed), 0, 255), image).astype(np.uint8)
    return Forgery(forged, (forged != image).any(-1))


# --- another face -----------------------------------------------------------------------------------------------


def _face_swap(target: Portrait, donor: Portrait, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The donor's pixels, warped triangle by triangle, sharp, with a narrow seam."""
    coordinates, face = warp.piecewise_affine(donor.points, target.points, target.shape)
    swapped = warp.sample(donor.image, coordinates)
    matched = match_colours(swapped, target.image, face, strength=rng.uniform(0.75, 0.9))
    size = warp.face_size(target.points)
    sharp = matched + 0.8 * (matched - _blur(matched, 0.009 * size))
    return sharp, warp.feather(face, 0.045 * size)


def _deepfake(target: Portrait, donor: Portrait, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The donor's face as a decoder returns it: squeezed through a few pixels, smooth, faded in softly."""
    coordinates, face = warp.piecewise_affine(donor.points, target.points, target.shape)
    swapped = warp.sample(donor.image, coordinates)
    filled = np.where(face[..., None], swapped, target.image)
    matched = match_colours(filled, target.image, face, strength=rng.uniform(0.9, 1.0))
    decoded = squeeze(matched, target.points, BOTTLENECK)
    size = warp.face_size(target.points)
    return decoded + rng.normal(0.0, 1.2, 3), warp.feather(face, 0.11 * size)


def match_colours(image: np.ndarray, reference: np.ndarray, region: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """A picture whose mean and deviation in a region are moved to another's, in CIE Lab (Reinhard et al., 2001).

    Returns (H, W, 3) float32 in [0, 255].

    Args:
        image: (H, W, 3) in [0, 255], what is changed.
        reference: (H, W, 3) in [0, 255], whose colours are matched.
        region: (H, W) bool, the pixels that mean and deviation are of; all pixels are changed.
        strength: from 0 (unchanged) to 1.
    """
    lab, goal = _to_lab(image), _to_lab(reference)
    mean, spread = lab[region].mean(0), lab[region].std(0) + 1e-3
    gain = np.clip(goal[region].std(0) / spread, 0.6, 1.6)
    moved = (lab - mean) * gain + goal[region].mean(0)
    mixed = (lab + strength * (moved - lab)).astype(np.float32)
    return np.clip(cv2.cvtColor(mixed, cv2.COLOR_Lab2RGB), 0.0, 1.0) * 255.0


def _to_lab(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.clip(image, 0, 255).astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)


def squeeze(image: np.ndarray, points: np.ndarray, pixels: int) -> np.ndarray:
    """The square around `points` shrunk to `pixels` across and enlarged again; the rest stays. (H, W, 3) float32."""
    box, side = _square(points, image.shape, margin=1.15)
    crop = image[box].astype(np.float32)
    scale = min(1.0, pixels / side)
    small = (max(2, round(crop.shape[1] * scale)), max(2, round(crop.shape[0] * scale)))
    reduced = cv2.resize(crop, small, interpolation=cv2.INTER_AREA)
    result = image.astype(np.float32).copy()
    result[box] = cv2.resize(reduced, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return result


def _square(points: np.ndarray, shape: tuple[int, ...], margin: float) -> tuple[tuple[slice, slice], float]:
    """The square around points, cut to the picture, and its side before the cut."""
    centre = (points.min(0) + points.max(0)) / 2
    side = float(np.ptp(points, axis=0).max()) * margin
    low = np.clip(np.floor(centre - side / 2).astype(int), 0, None)
    high = np.ceil(centre + side / 2).astype(int) + 1
    return (slice(low[1], min(high[1], shape[0])), slice(low[0], min(high[0], shape[1]))), side


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)


# --- another expression -----------------------------------------------------------------------------------------


def _face2face(target: Portrait, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same face with another expression, rendered at a fixed resolution and composed over the old one."""
    moved = reenact(target.points, rng)
    size = warp.face_size(target.points)
    coordinates = expression_warp(target.points, moved, target.shape)
    rendered = squeeze(warp.sample(target.image, coordinates, cv2.INTER_LINEAR), target.points, RENDERING)
    lit = rendered * _relight(target, rng)[..., None]
    region = warp.hull_mask(np.vstack([target.points, moved]), target.shape)
    return lit, warp.feather(region, 0.05 * size)


def expression_warp(points: np.ndarray, moved: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Source coordinates (H, W, 2) that take a face from `points` to `moved`, still around the head."""
    centre, size = points.mean(0), warp.face_size(points)
    angle = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    ring = centre + np.column_stack([np.cos(angle), np.sin(angle)]) * size * 0.95
    return warp.smooth_warp(np.vstack([points, ring]), np.vstack([moved, ring]), shape)


def reenact(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The landmarks (68, 2) of the same face with another expression: mouth, lids and brows move, the rest stays."""
    axes, unit = _face_axes(points)
    centre = points[MOUTH].mean(0)
    local = (points - centre) @ axes.T / unit
    mouth = local[MOUTH].copy()
    opened = float(np.ptp(local[[62, 66], 1]))
    smile = rng.uniform(0.35, 0.6) * (1.0 if rng.random() < 0.5 else -0.7)
    side = np.abs(mouth[:, 0]) / np.abs(mouth[:, 0]).max()
    mouth[:, 0] *= 1.0 + 0.22 * smile
    mouth[:, 1] -= 0.16 * smile * (side**1.5 - 0.25)
    if opened > 0.08:
        mouth[:, 1] *= rng.uniform(0.55, 0.75)
    else:
        mouth[:, 1] *= rng.uniform(1.1, 1.3)
    local[MOUTH] = mouth
    local[BROWS, 1] -= rng.uniform(0.04, 0.10) * (1.0 if rng.random() < 0.6 else -0.6)
    lids = rng.uniform(0.78, 0.9) if rng.random() < 0.6 else rng.uniform(1.08, 1.18)
    for eye in (slice(36, 42), slice(42, 48)):
        middle = local[eye, 1].mean()
        local[eye, 1] = middle + (local[eye, 1] - middle) * lids
    return local @ axes * unit + centre


def _face_axes(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows: the face's right and down directions in the picture; and the distance between the eyes."""
    across = points[42:48].mean(0) - points[36:42].mean(0)
    unit = max(float(np.linalg.norm(across)), 1.0)
    right = across / unit
    return np.array([right, [-right[1], right[0]]]), unit


def _relight(target: Portrait, rng: np.random.Generator) -> np.ndarray:
    """A smooth gain (H, W) near 1, like shading by a model's coarse estimate of the light."""
    height, width = target.shape
    axes, unit = _face_axes(target.points)
    y, x = np.mgrid[0:height, 0:width]
    offset = (np.stack([x, y], -1) - target.points[NOSE].mean(0)) / unit
    slope = axes.T @ rng.normal(0.0, 0.03, 2)
    return (1.0 + np.clip(offset @ slope, -0.08, 0.08)).astype(np.float32)


def _neural_texture(target: Portrait, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mouth region as a neural renderer returns it: a little moved, smooth, with a decoder's lattice."""
    points = target.points
    moved = points.copy()
    moved[MOUTH] = reenact(points, rng)[MOUTH] * 0.5 + points[MOUTH] * 0.5
    warped = warp.sample(target.image, expression_warp(points, moved, target.shape), cv2.INTER_LINEAR)
    box, side = _square(mouth_outline(points), target.image.shape, margin=1.05)
    crop = warped[box]
    scale = DECODER / side
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    decoded = _blur(small, 1.0) + rng.uniform(6.0, 7.5) * lattice(small.shape[:2])[..., None]
    warped[box] = cv2.resize(decoded, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    region = warp.hull_mask(mouth_outline(points), target.shape)
    return warped, warp.feather(region, 0.06 * warp.face_size(points))


def mouth_outline(points: np.ndarray) -> np.ndarray:
    """Points (K, 2) around the mouth region: below the nose, across the cheeks, to the chin, within the jaw."""
    nose, chin = points[33], points[8]
    corners = points[[48, 54]] + 0.45 * (points[[4, 12]] - points[[48, 54]])
    low = points[[6, 7, 8, 9, 10]] + 0.18 * (points[57] - points[[6, 7, 8, 9, 10]])
    top = points[[31, 35]] + 0.25 * (points[[48, 54]] - points[[31, 35]])
    under = nose + 0.12 * (chin - nose)
    return np.vstack([corners, low, top, under])


def lattice(shape: tuple[int, int]) -> np.ndarray:
    """The uneven overlap of transposed convolutions of stride 2 at two depths: periods 4 and 8, in [-1, 1]."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    waves = [np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period) for period in (4, 8)]
    return (0.3 * waves[0] + 0.2 * waves[1]).astype(np.float32)


_Swap = Callable[[Portrait, Portrait, np.random.Generator], tuple[np.ndarray, np.ndarray]]
_Reenactment = Callable[[Portrait, np.random.Generator], tuple[np.ndarray, np.ndarray]]
_SWAPS: dict[str, _Swap] = {"Deepfakes": _deepfake, "FaceSwap": _face_swap}
_REENACTMENTS: dict[str, _Reenactment] = {"NeuralTextures": _neural_texture, "Face2Face": _face2face}
FAMILIES = (*_REENACTMENTS, *_SWAPS)
