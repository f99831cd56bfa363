"""How a player shows stored frames: turned and mirrored as the file asks, with square pixels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Self, cast

import cv2
import numpy as np
from av import VideoFrame

from common.errors import InputError

SLANT = 0.02  # how far from a quarter turn a matrix may be; headers round its numbers


@dataclass(frozen=True)
class Display:
    """What turns stored frames into those shown: first `transposed`, then mirrored, then their pixels squared.

    Attributes:
        stored: (width, height) of the frames in the file, in pixels.
        transposed: whether rows become columns; with one mirroring this is a quarter turn.
        mirrored_x: whether left and right change places (after the transposition).
        mirrored_y: whether top and bottom do.
        aspect: the width of a stored pixel in units of its height.
    """

    stored: tuple[int, int]
    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False
    aspect: Fraction = Fraction(1)

    @classmethod
    def of(cls, frame: VideoFrame, aspect: Fraction | None) -> Self:
        """That of a decoded frame, by its display matrix; `aspect` is its stream's, None where it does not say.

        Raises InputError, without the file's name, for a matrix that turns by anything but quarter turns.
        """
        stored = frame.width, frame.height
        return cls(stored, *_orientation(frame), Fraction(aspect or 1))

    @property
    def grid(self) -> tuple[int, int]:
        """(width, height) upright, in stored pixels: what programs see that turn frames and leave the pixels' shape."""
        width, height = self.stored
        return (height, width) if self.transposed else (width, height)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames shown, in square pixels; neither side has fewer pixels than are stored."""
        width, height = self.grid
        aspect = 1 / self.aspect if self.transposed else self.aspect
        return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))

    def show(self, image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """The frame shown (H, W, 3) of a stored one, uint8; of `size` (width, height) where that is given."""
        upright = image.transpose(1, 0, 2) if self.transposed else image
        upright = upright[:: -1 if self.mirrored_y else 1, :: -1 if self.mirrored_x else 1]
        size = size or self.size
        if size != self.grid:
            return cv2.resize(np.ascontiguousarray(upright), size, interpolation=cv2.INTER_CUBIC)
        return np.ascontiguousarray(upright)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2), (x, y) of a stored frame, are shown; a pixel's centre has whole coordinates."""
        placed = points[:, ::-1] if self.transposed else points
        last = np.array(self.grid) - 1
        return self.square(np.where([self.mirrored_x, self.mirrored_y], last - placed, placed))

    def square(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of an upright frame whose pixels are not yet square are shown."""
        if self.size == self.grid:
            return points
        return (points + 0.5) * np.divide(self.size, self.grid) - 0.5


def _orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Whether a frame is to be transposed, then mirrored in x, then in y.

    The matrix is (a, b, u; c, d, v; x, y, w), in rows: the pixel (p, q) is shown at (a p + c q + x, b p + d q + y). Its
    translation puts the picture back into its corner and says nothing more; its scale FFmpeg turns into an aspect.
    """
    matrix = cast(Mapping[str, bytes], frame.side_data).get("DISPLAYMATRIX")  # PyAV's stub lists one key only
    if matrix is None:
        return False, False, False
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    if a * d == b * c:  # shows nothing at all; players take no notice of it
        return False, False, False
    straight, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, across) > SLANT * max(straight, across):
        raise InputError(
            f"its display matrix turns it by {round(abs(math.degrees(math.atan2(b, a))))} degrees; only quarter turns "
            "and mirrors can be shown: encode it upright"
        )
    return (True, c < 0, b < 0) if across > straight else (False, a < 0, d < 0)
