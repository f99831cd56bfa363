"""What an image source is: encoded images by their relative paths."""

import hashlib
from pathlib import Path
from typing import Protocol


class ImageSource(Protocol):
    """Encoded images (and masks) by key; a key is a relative path with forward slashes.

    A source can be pickled and carried over a fork: every process opens what it needs by itself.
    """

    path: Path

    def read(self, key: str) -> bytes:
        """The encoded image's bytes. Raises InputError, naming the key and the source, where it cannot be read."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether the source has an image of that key, without reading it."""
        ...

    def keys(self) -> list[str]:
        """Every image's key, sorted."""
        ...

    def stamp(self, key: str) -> str | None:
        """The SHA-256 of an image's bytes, in hexadecimal; None where it is missing.

        The whole image is read: bytes at its end tell nothing of the pixels of a BMP, a PPM or an uncompressed TIFF.
        """
        ...


def stamp_of(image: bytes | memoryview) -> str:
    """The stamp of an encoded image."""
    return hashlib.sha256(image).hexdigest()
