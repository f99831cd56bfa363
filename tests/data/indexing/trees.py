"""Trees of small pictures, as users have them."""

import zlib
from pathlib import Path

import numpy as np

from data.images import encode_png

SIZE = (24, 24)


def picture(root: Path, key: str, size: tuple[int, int] = SIZE) -> str:
    """Writes a picture of (height, width) pixels; returns its key."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.random.default_rng(zlib.crc32(key.encode())).integers(0, 256, (*size, 3), np.uint8)))
    return key


def mask(root: Path, key: str, size: tuple[int, int] = SIZE) -> str:
    """Writes a mask whose upper half is manipulated; returns its key."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.arange(size[0])[:, None].repeat(size[1], 1) < size[0] // 2))
    return key
