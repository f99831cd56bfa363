"""CADDM's multi-scale facial swap: fakes that are fake in a window only, and where.

Dong et al., "Implicit Identity Leakage", CVPR 2023: a fake and the real picture that it was made from are blended
within a window, so that the result differs from a real picture in local artifacts only, not in whose face it is.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from common.errors import InputError
from data.warp import feather
from detectors.training.anchors import WINDOW_UNIT, WINDOWS

EDGE = 4  # width of the soft edge of alpha blending, in 224ths of the picture
NOISE = 0.1  # structural dissimilarity that compressing a frame once more (c23) seldom exceeds
NEARLY = 0.75  # a place is good enough with this part of the difference that the best place holds
ENOUGH = 0.1  # part of the fake's difference that must be left in a fake

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Swap:
    """A picture `image` (H, W, 3) uint8, fake within `box`: (4,) float32 x0, y0, x1, y1 in parts of the picture."""

    image: np.ndarray
    box: np.ndarray


def facial_swap(fake: np.ndarray, source: np.ndarray | None, generator: np.random.Generator) -> Swap:
    """A fake that is blended with its source in a window of one of four scales (Dong et al., CVPR 2023).

    The scale is drawn from `anchors.WINDOWS`: sides of 40 to 80, 80 to 120 or 120 to 160 pixels of a picture of 224,
    width and height by themselves, or the whole picture. Then, by the toss of a coin each:

    - The fake's window is set into the source, and the box is the window. Or the source's window is set into the fake;
      then the box holds what is left of the fake: where the result still differs in structure (`left_over`).
    - The edge is soft (alpha blending), or gradients are kept (Poisson blending; Perez et al., SIGGRAPH 2003).

    The window lies where fake and source differ: as in the paper, differences are those of structure (DSSIM), and the
    window slides over the picture. The paper takes the best place of a coarse grid; here it is drawn from all
    places that hold three quarters as much difference as the best, so that a frame gives other windows in every epoch.

    The fake as it is, with a box of the whole picture, is returned for the whole picture's scale, without a source, and
    where fake and source look the same. Where the source's window would leave less than a tenth of the
    difference, the fake's window is set into the source instead.

    Args:
        fake: (H, W, 3) uint8 RGB.
        source: (H, W, 3) uint8 RGB of the same square and moment, or None.
        generator: of every draw.

    Raises:
        InputError: the two differ in shape.
    """
    if source is None:
        return _whole(fake)
    if fake.shape != source.shape:
        raise InputError(
            f"a fake of {fake.shape[1]}x{fake.shape[0]} pixels and its source of {source.shape[1]}x{source.shape[0]}: "
            "cut both by the same square"
        )
    shortest, longest = WINDOWS[generator.integers(len(WINDOWS))]
    height, width = generator.integers(shortest, longest + 1, 2).tolist()
    inward, poisson = (generator.random(2) < 0.5).tolist()
    difference = dissimilarity(fake, source)
    if shortest == WINDOW_UNIT or not difference.any():
        return _whole(fake)
    corner = best_place(difference, height, width, generator)
    window = _in_pixels(corner, height, width, fake.shape)
    blend = poisson_blend if poisson else alpha_blend
    if inward:
        image = blend(source, fake, window)
        rest = dissimilarity(image, source)
        if rest.sum() >= ENOUGH * difference.sum():
            return Swap(image, left_over(rest))
    return Swap(blend(fake, source, window), _box(window, fake.shape))


def dissimilarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much two pictures (H, W, 3) uint8 differ in structure, (224, 224) in [0, 1], 0 within compression's noise.

    (1 - SSIM) / 2 of the luminance (Wang et al., 2004) of both pictures shrunk or enlarged to 224 pixels, less `NOISE`.
    """
    grey = [
        cv2.cvtColor(cv2.resize(image, (WINDOW_UNIT, WINDOW_UNIT), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for image in (one, other)
    ]
    _, similarity = structural_similarity(*grey, data_range=255, full=True)
    return np.maximum((1 - similarity) / 2 - NOISE, 0)


def best_place(difference: np.ndarray, height: int, width: int, generator: np.random.Generator) -> tuple[int, int]:
    """Draws the top and left, in pixels, of a window that holds at least `NEARLY` of the most difference that one can.

    Args:
        difference: (S, S) float, at least 0.
        height: of the window in pixels, in [1, S].
        width: of the window in pixels, in [1, S].
        generator: of the draw.
    """
    total = cv2.integral(difference)
    held = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    corners = np.argwhere(held >= NEARLY * held.max())
    top, left = corners[generator.integers(len(corners))].tolist()
    return top, left


def left_over(difference: np.ndarray) -> np.ndarray:
    """The box (4,) float32 in [0, 1] around a difference (S, S), less the outermost hundredth of it on each side.

    That hundredth is a few stray pixels, for which every box would be the whole picture.
    """
    edges = []
    for axis in (0, 1):
        part = np.cumsum(difference.sum(axis)) / difference.sum()
        edges.append((np.searchsorted(part, 0.01), np.searchsorted(part, 0.99) + 1))
    (x0, x1), (y0, y1) = edges
    return (np.array([x0, y0, x1, y1]) / len(difference)).astype(np.float32)


def alpha_blend(inner: np.ndarray, outer: np.ndarray, window: Window) -> np.ndarray:
    """The outer picture (H, W, 3) uint8 with the inner one's window, which fades in from its edge."""
    image = outer.copy()
    behind = outer[window].astype(np.float32)
    region = np.ones(behind.shape[:2], bool)
    opacity = feather(region, EDGE * outer.shape[0] / WINDOW_UNIT)[..., None]
    image[window] = np.rint(behind + opacity * (inner[window] - behind))
    return image


def poisson_blend(inner: np.ndarray, outer: np.ndarray, window: Window) -> np.ndarray:
    """The outer picture (H, W, 3) uint8 with the inner one's gradients in the window (Perez et al., SIGGRAPH 2003).

    OpenCV solves for all but the window's outermost pixels, and only the window is given to it, because it fails
    for a mask that touches the picture's edge.
    """
    image = outer.copy()
    height, width = outer[window].shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[1:-1, 1:-1] = 255
    middle = (1 + (width - 2) // 2, 1 + (height - 2) // 2)
    image[window] = cv2.seamlessClone(inner[window], outer[window], mask, middle, cv2.NORMAL_CLONE)
    return image


def _whole(fake: np.ndarray) -> Swap:
    return Swap(fake, np.array([0, 0, 1, 1], np.float32))


def _in_pixels(corner: tuple[int, int], height: int, width: int, shape: tuple[int, ...]) -> Window:
    """A window of a picture of 224 pixels, in one of `shape`."""
    (top, left), (rows, columns) = corner, shape[:2]
    y0, y1 = (round(y * rows / WINDOW_UNIT) for y in (top, top + height))
    x0, x1 = (round(x * columns / WINDOW_UNIT) for x in (left, left + width))
    return slice(y0, y1), slice(x0, x1)


def _box(window: Window, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = window
    return np.array(
        [columns.start / shape[1], rows.start / shape[0], columns.stop / shape[1], rows.stop / shape[0]], np.float32
    )
