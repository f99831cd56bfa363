"""A saliency map over its picture with the best regions outlined, as pixels, and as HTML for a notebook."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from skimage.color import rgb2gray
from skimage.segmentation import find_boundaries

from common.notebook_html import facts, figure
from data.images import encode_png
from xai.ranking import top_region

TOP = 3  # regions that are outlined
COLOURS = ("#00e5ff", "#ffffff", "#b2ff59")  # of the first, second and third region
WORDS = ("cyan", "white", "green")
SIDE = 280  # pixels, at least
STRENGTH = 0.55  # of the map over the grey picture


def map_picture(
    saliency: np.ndarray, segments: np.ndarray, ranking: np.ndarray, picture: np.ndarray | None
) -> np.ndarray:
    """A map over the grey picture, (h, w, 3) uint8, enlarged by a whole number until no side is below SIDE.

    Args:
        saliency: (H, W) float, drawn from its 1st to its 99th percentile.
        segments: (H, W) labels.
        ranking: the labels, best first; the best TOP are outlined.
        picture: (H, W, 3) uint8; None for the map alone.
    """
    times = -(-SIDE // min(saliency.shape))
    low, high = np.percentile(saliency, [1, 99])
    relative = ((saliency - low) / (high - low if high > low else 1.0)).clip(0.0, 1.0)
    pixels = matplotlib.colormaps["inferno"](relative)[..., :3]
    if picture is not None:
        pixels = STRENGTH * pixels + (1 - STRENGTH) * rgb2gray(picture)[..., None]
    pixels, labels = (_enlarged(array, times) for array in (pixels, segments))
    for index in reversed(range(min(TOP, len(ranking)))):
        region = top_region(labels, ranking[index : index + 1], 1)
        pixels[find_boundaries(np.pad(region, 1), mode="thick")[1:-1, 1:-1]] = to_rgb(COLOURS[index])
    return (255 * pixels).round().astype(np.uint8)


def explanation_html(pixels: np.ndarray, method: str, lines: Sequence[tuple[str, str]]) -> str:
    """The HTML of a map (h, w, 3) uint8 by a method, with lines of names and facts; it is whole in itself."""
    return figure(encode_png(pixels), f"saliency map by {method or 'an explainer'}", pixels.shape[1], facts(lines))


def _enlarged(array: np.ndarray, times: int) -> np.ndarray:
    return array.repeat(times, axis=0).repeat(times, axis=1)
