"""A contact sheet of demo frames: people in rows, the real frame and each forgery with its mask in columns."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.files import atomic_write
from data.demo.frames import DemoFrames
from data.frames import CLASS_NAMES, REAL, Frame

HEADING, GAP, EDGE = 34, 6, 14
PAPER, INK, TINT = (250, 249, 247), (40, 42, 46), np.array([230, 60, 40])
ROWS_LABELS = 26


def contact_sheet(seed: int = 0, split: str = "test", people: int = 6, size: int = 256, tile: int = 176) -> np.ndarray:
    """The sheet as (H, W, 3) uint8 RGB: `people` rows, one column per class; `tile` is a picture's side on it.

    Each forged frame stands beside what changed: the difference to the real one, four times enlarged in contrast.
    """
    frames = DemoFrames(people * len(CLASS_NAMES), seed, split, size=size, frames_per_video=1)
    rows = [_row([frames[index + offset] for offset in range(len(CLASS_NAMES))], tile)
            for index in range(0, len(frames), len(CLASS_NAMES))]  # fmt: skip
    body = np.concatenate([np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=250) for row in rows])
    sheet = np.full((body.shape[0] + HEADING + EDGE, body.shape[1] + 2 * EDGE, 3), PAPER, np.uint8)
    sheet[HEADING : HEADING + body.shape[0], EDGE : EDGE + body.shape[1]] = body
    return _headed(sheet, tile)


def save_sheet(path: str | Path, sheet: np.ndarray) -> None:
    """Writes a sheet as PNG with a palette, which keeps it small."""
    picture = Image.fromarray(sheet).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    with atomic_write(path, "wb") as file:
        picture.save(file, format="PNG", optimize=True)


def _row(frames: list[Frame], tile: int) -> np.ndarray:
    real = frames[0].image
    tiles = [_shrunk(real, tile)]
    for frame in frames[1:]:
        tiles += [_shrunk(frame.image, tile), _shrunk(_difference(real, frame), tile // 2)]
    gap = np.full((tile, GAP, 3), PAPER, np.uint8)
    row: list[np.ndarray] = []
    for picture in tiles:
        if picture.shape[0] < tile:
            row.append(_stacked(picture, tile))
        else:
            row += [gap, picture] if row else [picture]
    return np.concatenate(row, axis=1)


def _stacked(picture: np.ndarray, tile: int) -> np.ndarray:
    column = np.full((tile, picture.shape[1], 3), PAPER, np.uint8)
    column[tile - picture.shape[0] :] = picture
    return column


def _difference(real: np.ndarray, frame: Frame) -> np.ndarray:
    change = np.abs(frame.image.astype(np.int16) - real).astype(np.float32) * 4.0
    return np.clip(change, 0, 255).astype(np.uint8)


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _headed(sheet: np.ndarray, tile: int) -> np.ndarray:
    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=17)
    left = EDGE
    for name in (REAL, *CLASS_NAMES[1:]):
        draw.text((left + 2, HEADING - 25), name, fill=INK, font=font)
        left += tile + GAP + (0 if name == REAL else tile // 2)
    return np.asarray(picture)
