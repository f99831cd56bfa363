"""What an image source is: encoded images by their relative paths."""

from pathlib import Path
from typing import Protocol

TAIL = 32


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
        """What differs between versions of an image and is cheap to get: its size and last bytes; None where missing.

        The same for the same bytes in any source. The last bytes of a PNG hold a checksum of its pixels, so this
        is as good as a hash of the whole for PNG, and nearly so for other compressed formats.
        """
        ...


def stamp_of(size: int, tail: bytes) -> str:
    """The stamp of an image of `size` bytes of which the last TAIL are `tail`."""
    return f"{size}:{tail.hex()}"
