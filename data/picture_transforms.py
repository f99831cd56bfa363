"""What happens to a picture on its way through the internet: stored without loss, compressed as JPEG, halved."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from common.errors import InputError

PNG, HALF, JPEG = "png", "half", "jpeg"
KNOWN = f"{JPEG}Q with Q from 1 to 100 (as {JPEG}75), {HALF}, {PNG}"


class PictureTransform(Protocol):
    """From a picture to the picture that arrives.

    Attributes:
        name: as on the command line, and in the names of columns.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """From (H, W, 3) uint8 RGB to (H', W', 3) uint8 RGB."""
        ...


@dataclass(frozen=True)
class Png:
    """Stores a picture without loss: what arrives is the picture itself."""

    name: str = PNG

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture (H, W, 3) uint8."""
        return picture


@dataclass(frozen=True)
class Jpeg:
    """Compresses a picture as most of the internet does: JPEG with colour at half the resolution (4:2:0).

    Attributes:
        quality: of the IJG's scale, 1 to 100.
    """

    quality: int

    @property
    def name(self) -> str:
        """ "jpeg75"."""
        return f"{JPEG}{self.quality}"

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture (H, W, 3) uint8 as it is decoded again, of the same size."""
        with io.BytesIO() as file:
            Image.fromarray(picture).save(file, format="JPEG", quality=self.quality, subsampling="4:2:0")
            return np.array(Image.open(file, formats=["JPEG"]).convert("RGB"))


@dataclass(frozen=True)
class Half:
    """Halves the width and height of a picture, as a thumbnail is made: bicubic, smoothed before it shrinks."""

    name: str = HALF

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """From (H, W, 3) to (H', W', 3) uint8, H' and W' being halves that are rounded up."""
        height, width = picture.shape[:2]
        halved = Image.fromarray(picture).resize(((width + 1) // 2, (height + 1) // 2), Image.Resampling.BICUBIC)
        return np.array(halved)


def parse_transforms(texts: Sequence[str]) -> tuple[PictureTransform, ...]:
    """The transforms that texts name, each a name or several parted by commas ("jpeg75,half"); a repeated one once.

    Raises InputError for an unknown name.
    """
    names = [name.strip() for text in texts for name in text.split(",")]
    return tuple(dict.fromkeys(_transform(name) for name in names))


def _transform(name: str) -> PictureTransform:
    if name in (PNG, HALF):
        return Png() if name == PNG else Half()
    match = re.fullmatch(rf"{JPEG}([1-9]\d?|100)", name)
    if match is None:
        raise InputError(f"--survives: unknown transform {name!r}; known: {KNOWN}")
    return Jpeg(int(match[1]))
