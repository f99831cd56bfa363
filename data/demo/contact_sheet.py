"""A contact sheet of demo frames: people in rows, the real frame and each forgery in columns."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.files import atomic_write
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, Frame

TILE = 184  # side of a picture on the sheet; mask and difference are half of it
GAP, EDGE, HEADING, FOOT = 4, 16, 40, 30
PAPER, INK, MASK = (250, 249, 246), (38, 40, 44), (232, 116, 59)
GAIN = 4
NOTE = f"Beside each forgery: the pixels it changed (above), and by how much, {GAIN} times enlarged (below)."


def contact_sheet(seed: int = 0, split: str = "test", people: int = 6, size: int = 256) -> np.ndarray:
    """The sheet as (H, W, 3) uint8 RGB: a row for each of the first `people` of a split, a column for each class.

    Beside each forged frame are its mask and its difference to the real frame.

    Args:
        seed: another one gives other people.
        split: "train" or "test".
        people: how many rows, at least 1.
        size: the side of the frames in pixels, a multiple of 16 and at least 128; on the sheet they have `TILE`.

    Raises:
        InputError: the split is unknown, or a number is out of its range.
    """
    classes = len(CLASS_NAMES)
    frames = DemoFrames(people * classes, seed, split, size=size, frames_per_video=1)
    rows = [_row(frames[start : start + classes]) for start in range(0, len(frames), classes)]
    body = _joined(rows, axis=0)
    height, width = body.shape[:2]
    sheet = np.full((HEADING + height + FOOT, width + 2 * EDGE, 3), PAPER, np.uint8)
    sheet[HEADING : HEADING + height, EDGE : EDGE + width] = body
    return _labelled(sheet)


def save_sheet(path: str | Path, sheet: np.ndarray) -> None:
    """Writes a sheet as PNG."""
    with atomic_write(path, "wb") as file:
        Image.fromarray(sheet).save(file, format="PNG", optimize=True)


def _row(frames: list[Frame]) -> np.ndarray:
    real = frames[0].image
    return _joined([_shrunk(real, TILE), *(_forged(real, frame) for frame in frames[1:])], axis=1)


def _forged(real: np.ndarray, frame: Frame) -> np.ndarray:
    """A forged frame with its mask and difference stacked at its right."""
    changed = (frame.image != real).any(-1)[..., None]
    mask = np.where(changed, np.array(MASK), np.array(INK)).astype(np.uint8)
    difference = np.clip(np.abs(frame.image.astype(float) - real) * GAIN, 0, 255).astype(np.uint8)
    half = (TILE - GAP) // 2
    beside = _joined([_shrunk(mask, half), _shrunk(difference, half)], axis=0)
    return _joined([_shrunk(frame.image, TILE), beside], axis=1)


def _joined(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    """Pictures side by side (axis 1) or one below the other (axis 0), with a gap between."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, PAPER, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=axis)


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def _labelled(sheet: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    left = EDGE
    for number, name in enumerate(CLASS_NAMES):
        draw.text((left + 1, HEADING - 28), name, fill=INK, font=ImageFont.load_default(size=18))
        left += TILE + GAP + (0 if number == 0 else (TILE - GAP) // 2 + GAP)
    draw.text((EDGE + 1, sheet.shape[0] - FOOT + 8), NOTE, fill=INK, font=ImageFont.load_default(size=13))
    return np.asarray(picture)
