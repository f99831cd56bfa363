"""Self-blended images: a real face blended with a changed copy of itself, as the only fakes to learn from.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. Forgeries of many kinds share their
last step, another picture of a face set into a frame; here it is the same picture, so that the result differs
from the original in the traces of blending only: colours, sharpness, landmarks and the seam do not quite match.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from common.errors import InputError
from common.seeds import generator as seeded
from data.warp import hull_mask
from detectors.training.augment import Augmentation

UNIT = 224  # lengths below are in 224ths of the picture's larger side
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
KERNELS = (5, 25)  # of the mask's erosion and blur
BLURS = (5.0, 45.0)  # standard deviation of the mask's blur, which the kernel cuts off
KNOTS = 14  # distance of the elastic warp's knots
ELASTIC = 4.0  # how far a knot may move
RESIZED = 0.95  # how much smaller, or its inverse larger, the source may be
MOVED = (0.03, 0.015)  # how far the source may move across and down, in parts of the picture
COARSEST = 80  # a picture's larger side is never shrunk below this

PAIR = Augmentation(flip=0.5, crop=0.12, light=0.15, colour=0.08, jpeg=0.5, quality=40)
"""What a real frame and its blend have in common: a mirror image, a crop, light, colour, JPEG from quality 40."""

_BROWS, _EYES, _INNER = slice(17, 27), slice(36, 48), slice(17, 68)
_LOWER = [*range(3, 14), *range(30, 36), *range(48, 68)]


@dataclass(frozen=True, eq=False)
class SelfBlend:
    """A real frame blended with itself.

    Attributes:
        image: (H, W, 3) uint8, the blend.
        target: (H, W, 3) uint8, the real picture that it was blended into: the frame, or the frame with other colours.
        mask: (H, W) float32 in [0, 1], how much of each pixel is the source's; 0 where image and target are the same.
    """

    image: np.ndarray
    target: np.ndarray
    mask: np.ndarray


def self_blended(image: np.ndarray, landmarks: np.ndarray, generator: np.random.Generator) -> SelfBlend:
    """A frame blended with a changed copy of itself inside its face (Shiohara and Yamasaki, CVPR 2022).

    Either the copy that is set in (the source) or the one it is set into (the target) gets other colours and another
    sharpness (`recoloured`). The source is resized and moved a little. Its region is the hull of some of the face's
    landmarks, moved likewise, warped, eroded and blurred, and blended by a ratio from `RATIOS`.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) or (81, 2) (x, y) in pixels, in iBUG order with 13 more on the forehead; some may lie
            outside the picture.
        generator: of every draw.

    Raises:
        InputError: there are other landmarks, or their hull covers no pixel, as it is or once it is moved and warped.
    """
    region = hull_mask(outline(landmarks, generator), image.shape[:2])
    _require_pixels(region)
    changed = recoloured(image, generator)
    source, target = (changed, image) if generator.random() < 0.5 else (image, changed)
    motion = _motion(image.shape, generator)
    source = _moved(source, motion, cv2.INTER_LINEAR)
    region = elastic(_moved(region.astype(np.uint8), motion, cv2.INTER_NEAREST), generator).astype(bool)
    _require_pixels(region)
    mask = softened(region, generator) * np.float32(generator.choice(RATIOS))
    return SelfBlend(blend(source, target, mask), target, mask)


def _require_pixels(region: np.ndarray) -> None:
    """Raises InputError for a region (H, W) bool without a pixel, of which no mask can be made."""
    if not region.any():
        height, width = region.shape
        raise InputError(
            f"landmarks of a face outside the picture of {width}x{height} pixels, at its very edge, or of a few pixels"
        )


def pair(
    image: np.ndarray, landmarks: np.ndarray, generator: np.random.Generator, augmentation: Augmentation = PAIR
) -> tuple[np.ndarray, np.ndarray]:
    """A real picture and its self-blended one, augmented alike: the same flip, crop, light, colour and compression.

    Both are (h, w, 3) uint8. A detector that is trained on both sees the same picture twice but for the blending.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) or (81, 2) (x, y) in pixels, as `self_blended` takes them.
        generator: of every draw.
        augmentation: what is changed in both pictures alike.

    Raises:
        InputError: as of `self_blended`.
    """
    self_blend = self_blended(image, landmarks, generator)
    shared = int(generator.integers(2**63))
    real, blended = (augmentation(picture, seeded(shared, "pair")) for picture in (self_blend.target, self_blend.image))
    return real, blended


def blend(source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """mask * source + (1 - mask) * target, rounded: pictures (H, W, 3) uint8, mask (H, W) in [0, 1]."""
    behind = target.astype(np.float32)
    return np.rint(behind + mask[..., None] * (source - behind)).astype(np.uint8)


# --- colours and sharpness --------------------------------------------------------------------------------------


def recoloured(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A picture (H, W, 3) uint8 with other colours, and either blurred by shrinking or sharpened.

    The paper's transforms: a shift of each channel by at most 20 of 255 (in three cases of ten); of hue, saturation and
    value; of brightness and contrast by at most a tenth. The published code shifts hue, saturation and value by at
    most 0.3 of an 8-bit level, which is next to nothing; here it is 4 degrees of hue and 0.06 of the other two. Then
    the picture is shrunk to a half or a quarter and enlarged again (by averaging; the published code leaves pixels
    out, for jagged edges), or sharpened by 0.2 to 0.5 of its Laplacian.
    """
    colours = image.astype(np.float32) / 255
    if generator.random() < 0.3:
        colours = np.clip(colours + generator.uniform(-20, 20, 3).astype(np.float32) / 255, 0, 1)
    hsv = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV)
    hue, saturation, value = generator.uniform(-1, 1, 3) * (4, 0.06, 0.06)
    hsv[..., 0] = (hsv[..., 0] + hue) % 360
    hsv[..., 1:] = np.clip(hsv[..., 1:] + np.array([saturation, value], np.float32), 0, 1)
    brightness, contrast = generator.uniform(-0.1, 0.1, 2)
    levels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * (1 + contrast) + brightness
    shades = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    return _shrunk(shades, generator) if generator.random() < 0.5 else _sharpened(shades, generator)


def _shrunk(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    factor = min(float(generator.choice((2, 4))), max(1.0, max(height, width) / COARSEST))
    small = cv2.resize(image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _sharpened(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    kernel = np.full((3, 3), -generator.uniform(0.2, 0.5))
    kernel[1, 1] = 1 - 8 * kernel[0, 0]
    return cv2.filter2D(image, -1, kernel)


# --- the region -------------------------------------------------------------------------------------------------


def outline(landmarks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The points (K, 2) whose hull is the face's region: of four kinds, as forgers cut faces out in many ways.

    All landmarks; the 68 with the brows raised towards the forehead; brows, eyes, nose and mouth without the jaw; or
    the lower face from the tip of the nose. Hulls of several kinds are Face X-ray's (Li et al., CVPR 2020), whose masks
    the paper takes. Raises InputError unless there are 68 or 81 finite landmarks.
    """
    points = np.asarray(landmarks, float)
    if points.shape not in [(68, 2), (81, 2)] or not np.isfinite(points).all():
        raise InputError(f"self-blending needs 68 or 81 finite landmarks (x, y), got {points.shape}")
    raised = points[:68].copy()
    raised[_BROWS] += 0.8 * (points[_BROWS].mean(0) - points[_EYES].mean(0))
    return (points, raised, points[_INNER], points[_LOWER])[generator.integers(4)]


def elastic(region: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A region (H, W) uint8 whose outline is bent: every pixel comes from one at most `ELASTIC` off, each way."""
    height, width = region.shape
    scale = max(height, width) / UNIT
    knots = [max(2, round(side / (KNOTS * scale))) for side in (height, width)]
    draws = generator.uniform(-ELASTIC * scale, ELASTIC * scale, (*knots, 2)).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    way = np.clip(cv2.resize(draws, (width, height), interpolation=cv2.INTER_CUBIC), -ELASTIC * scale, ELASTIC * scale)
    return cv2.remap(region, x + way[..., 0], y + way[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def softened(region: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A region (H, W) bool as a mask (H, W) float32 in [0, 1]: eroded, then blurred, its highest value 1.

    The paper blurs by a first kernel, keeps what is still 1 and blurs by a second: the first step is an erosion by the
    kernel's square. Where the second kernel is the larger one, the mask reaches beyond the region, otherwise it
    stays within. A region that the erosion would wipe out is only blurred. It must have a pixel.
    """
    first, second = (_odd(int(generator.integers(KERNELS[0], KERNELS[1] + 1)), region.shape) for _ in range(2))
    deviation = generator.uniform(*BLURS) * max(region.shape) / UNIT
    whole = region.astype(np.uint8)
    eroded = cv2.erode(whole, np.ones((first, first), np.uint8))
    kept = eroded if eroded.any() else whole
    blurred = cv2.GaussianBlur(kept.astype(np.float32), (second, second), deviation)
    return np.minimum(blurred / blurred.max(), 1)


def _odd(length: int, shape: tuple[int, ...]) -> int:
    """An odd number of pixels near a length in 224ths of a picture's larger side."""
    return 2 * int(length * max(shape) / UNIT / 2) + 1


def _motion(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """The affine map (2, 3) that resizes a picture about its middle and moves it."""
    height, width = shape[:2]
    scale = np.exp(generator.uniform(np.log(RESIZED), -np.log(RESIZED), 2))
    offset = generator.uniform(-1, 1, 2) * MOVED * [width, height]
    middle = np.array([width - 1, height - 1]) / 2
    return np.column_stack([np.diag(scale), middle - scale * middle + offset])


def _moved(image: np.ndarray, motion: np.ndarray, interpolation: int) -> np.ndarray:
    size = image.shape[1::-1]
    return cv2.warpAffine(image, motion, size, flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
