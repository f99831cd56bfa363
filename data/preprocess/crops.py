"""Square crops around a face, and their files."""

import io
import re
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from common.errors import InputError
from data.images import MIN_SIDE, encode_png
from data.preprocess.face_detection import Box


class Region(Protocol):
    """A square part of a frame, in its own pixels or others."""

    @property
    def side(self) -> int:
        """The pixels along its side."""
        ...

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part (side, side) or (side, side, 3) of an image (H, W) or (H, W, 3), uint8 or float32."""
        ...

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the frame (x, y) lie in the part; a pixel's centre has whole coordinates."""
        ...


@dataclass(frozen=True)
class Square:
    """A square of whole pixels inside a frame: rows top to top + side, columns left to left + side."""

    left: int
    top: int
    side: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The square's part of an image (H, W) or (H, W, 3), as a view."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the frame lie in the square."""
        return points - [self.left, self.top]


def square(box: Box, margin: float, width: int, height: int) -> Square:
    """The square to crop: `margin` times the box's longer side, about its centre, inside a frame of width x height.

    At the border it is shifted inside, and it is no larger than the frame's shorter side (nor smaller than
    MIN_SIDE pixels), so that every pixel of a crop is a pixel of the video; nothing is padded.

    Args:
        box: of the face, in pixels of the frame.
        margin: the square's side, in sizes of the box.
        width: of the frame, in pixels.
        height: of the frame, in pixels.
    """
    side = min(max(round(margin * box.size), MIN_SIDE), width, height)
    x, y = box.centre
    left = min(max(round(x - side / 2), 0), width - side)
    top = min(max(round(y - side / 2), 0), height - side)
    return Square(left, top, side)


def shrink(image: np.ndarray, size: int) -> np.ndarray:
    """A square image reduced to `size` pixels by averaging areas; smaller ones, and all where `size` is 0, stay."""
    if not size or image.shape[0] <= size:
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def shrink_points(points: np.ndarray, side: int, size: int) -> np.ndarray:
    """Where points (N, 2) of a square image of `side` pixels lie after `shrink`; a pixel's centre is whole."""
    return points if not size or side <= size else (points + 0.5) * (size / side) - 0.5


@dataclass(frozen=True)
class CropFormat:
    """How crops are stored: PNG, lossless, or JPEG of a quality 1 to 100 (4:4:4, so colours keep their place)."""

    quality: int | None = None

    @property
    def suffix(self) -> str:
        """The files' ending."""
        return ".png" if self.quality is None else ".jpg"

    def __str__(self) -> str:
        return "png" if self.quality is None else f"jpg:{self.quality}"

    def encode(self, image: np.ndarray) -> bytes:
        """The file's bytes for a crop (H, W, 3) uint8 RGB."""
        if self.quality is None:
            return encode_png(image)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="JPEG", quality=self.quality, subsampling=0)
        return buffer.getvalue()


def crop_format(text: str) -> CropFormat:
    """The format that `png` or `jpg:Q` names; raises InputError for anything else."""
    if text == "png":
        return CropFormat()
    match = re.fullmatch(r"jpe?g:(\d{1,3})", text)
    if not match or not 1 <= int(match[1]) <= 100:
        raise InputError(f"unknown crop format {text!r}; use png, or jpg:Q with a quality Q of 1 to 100")
    return CropFormat(int(match[1]))
