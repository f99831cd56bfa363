"""The drawings of one frame in a gallery: maps with their regions, the mask, an attack's changes, and all in one.

Drawn with Pillow and not with matplotlib: a figure takes a tenth of a second, and a run draws hundreds.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.color import rgb2gray
from skimage.segmentation import find_boundaries

from xai.ranking import rank

TILE = 128  # pixels of a tile's side; a multiple of 16, so that WebP does not mix neighbours
MAGNIFIED = 8  # how much larger a change is drawn than it is
PANEL = 192  # pixels of a panel's side in the full-size figure
_GAP, _TITLE, _HEAD = 12, 20, 44
_INK, _GREY, _PAPER, _LINE = (28, 28, 30), (100, 100, 104), (255, 255, 255), (255, 255, 255)
_PALE = (214, 214, 218)


def drawn_map(
    image: np.ndarray, saliency: np.ndarray | None, segments: np.ndarray, region: np.ndarray, size: int = PANEL
) -> np.ndarray:
    """A saliency map over the grey frame, the segments of its region outlined and numbered, (size, size, 3) uint8.

    Args:
        image: (H, W, 3) uint8.
        saliency: (H, W) float; None for the region's outline on the grey frame, without numbers.
        segments: (H, W) labels, from 0.
        region: (H, W) bool.
        size: side of the drawing, in pixels.
    """
    grey = rgb2gray(small(image, size))[..., None].repeat(3, axis=2)
    picture = grey if saliency is None else 0.4 * grey + 0.6 * _coloured(saliency, size)
    pixels = (255 * picture).round().astype(np.uint8)
    chosen = np.where(region, segments + 1, 0)
    _outline(pixels, _stretched(chosen, size))
    drawing = Image.fromarray(pixels)
    if saliency is not None:
        _number(ImageDraw.Draw(drawing), saliency, segments, region, size)
    return np.asarray(drawing)


def mark(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with everything outside the mask dimmed to grey, (H, W, 3) uint8."""
    grey = 0.35 * 255 * rgb2gray(image)[..., None].repeat(3, axis=2)
    return np.where(mask[..., None], image, grey.round().astype(np.uint8))


def difference(image: np.ndarray, attacked: np.ndarray) -> np.ndarray:
    """How an attacked image differs, MAGNIFIED times, around middle grey, (H, W, 3) uint8."""
    change = attacked.astype(np.int16) - image.astype(np.int16)
    return (128 + MAGNIFIED * change // 2).clip(0, 255).astype(np.uint8)


def small(image: np.ndarray, size: int = TILE) -> np.ndarray:
    """A picture (H, W, 3) uint8 resized to (size, size, 3)."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS))


def full_size(
    title: str,
    known: Sequence[tuple[str, str, np.ndarray]],
    strips: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]],
) -> np.ndarray:
    """One figure of a frame, (h, w, 3) uint8: what is known of it at the left, strips of three panels beside it.

    `known` has (title, note, picture), `strips` (name, panels of (title, picture)); two strips lie side by side.
    """
    across = min(2, max(1, len(strips)))
    step, strip = PANEL + _TITLE + _HEAD, 3 * (PANEL + 4) + 2 * _GAP
    width = max(PANEL + 3 * _GAP + across * strip * bool(strips), 3 * PANEL)
    height = _HEAD + step * max(len(known), -(-len(strips) // across))
    canvas = Image.new("RGB", (width, height), _PAPER)
    drawing = ImageDraw.Draw(canvas)
    _write(drawing, (_GAP, 12), title, width - 2 * _GAP, 15, bold=True)
    for index, (name, note, picture) in enumerate(known):
        top = _HEAD + index * step
        _write(drawing, (_GAP, top), name, PANEL, 13, bold=True)
        _write(drawing, (_GAP, top + _TITLE), note, PANEL, 11, _GREY)
        canvas.paste(_panel(picture), (_GAP, top + 2 * _TITLE))
    for index, (name, panels) in enumerate(strips):
        left = PANEL + 3 * _GAP + (index % across) * strip
        top = _HEAD + index // across * step
        drawing.line((left - _GAP, top, left - _GAP, top + step - _GAP), fill=_PALE)
        _write(drawing, (left, top), name, strip - 2 * _GAP, 13, bold=True)
        for column, (panel_title, picture) in enumerate(panels):
            x = left + column * (PANEL + 4)
            _write(drawing, (x, top + _TITLE), panel_title, PANEL, 11, _GREY)
            canvas.paste(_panel(picture), (x, top + 2 * _TITLE))
    return np.asarray(canvas)


def _panel(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(small(picture, PANEL))


def _coloured(saliency: np.ndarray, size: int) -> np.ndarray:
    """A saliency map in colours, from its first to its 99th percentile, (size, size, 3) float."""
    low, high = np.percentile(saliency, [1, 99])
    scaled = ((saliency - low) / (high - low or 1.0)).clip(0, 1)
    picture = Image.fromarray((255 * scaled).round().astype(np.uint8))
    resized = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return matplotlib.colormaps["inferno"](resized)[..., :3]


def _stretched(labels: np.ndarray, size: int) -> np.ndarray:
    """A map of labels at another size, each pixel that of the nearest."""
    rows, columns = (((np.arange(size) + 0.5) * side / size).astype(int) for side in labels.shape)
    return labels[np.ix_(rows, columns)]


def _outline(pixels: np.ndarray, labels: np.ndarray) -> None:
    """Draws the borders of the labels above 0 into `pixels`: white on black, to be seen on any colour."""
    pixels[find_boundaries(labels, mode="thick")] = 0
    pixels[find_boundaries(labels, mode="inner", background=0)] = _LINE


def _number(
    drawing: ImageDraw.ImageDraw, saliency: np.ndarray, segments: np.ndarray, region: np.ndarray, size: int
) -> None:
    """Writes 1, 2, 3 into the segments of a region in the order of their saliency."""
    labels = set(np.unique(segments[region]).tolist())
    ranked = [label for label in rank(saliency, segments).tolist() if label in labels]
    font = _font(max(9, size // 11), bold=True)
    for number, label in enumerate(ranked[:3], start=1):
        pixels = np.argwhere(segments == label)
        y, x = pixels[np.abs(pixels - pixels.mean(axis=0)).sum(axis=1).argmin()]
        at = ((x + 0.5) * size / segments.shape[1], (y + 0.5) * size / segments.shape[0])
        drawing.text(at, str(number), font=font, fill=_LINE, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0))


def _write(
    drawing: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    width: int,
    size: int,
    colour: tuple[int, int, int] = _INK,
    bold: bool = False,
) -> None:
    """Writes one line of text, cut with an ellipsis where it is wider than `width` pixels."""
    font, line = _font(size, bold), " ".join(text.split())
    if font.getlength(line) > width:
        while line and font.getlength(line + "…") > width:
            line = line[:-1]
        line += "…"
    drawing.text(at, line, font=font, fill=colour)


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, so that pictures are the same on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
