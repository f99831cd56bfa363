"""Images that are refused once their bytes are others than those that a run or a training began with."""

from pathlib import Path

from common.errors import InputError
from data.stores.base import ImageSource, stamp_of

Stamps = dict[str, bytes | None]
"""What is kept of the stamp of each image, by its key; None where it was missing."""

_KEPT = 16  # bytes of a SHA-256: enough for any number of images


class UnchangedImages:
    """The images of a source; those that were stamped once are read as they were then, or not at all.

    Attributes:
        path: of the source.
        stamps: of the images that were stamped so far.
    """

    def __init__(self, images: ImageSource) -> None:
        self.path: Path = images.path
        self.stamps: Stamps = {}
        self._images = images

    def read(self, key: str) -> bytes:
        """The encoded image. Raises InputError as the source does, and for one that changed since it was stamped."""
        data = self._images.read(key)
        if key in self.stamps and self.stamps[key] != _short(stamp_of(data)):
            raise InputError(
                f"{key!r} in {self.path} changed since this was begun: put back what was there, or start anew in "
                "another folder"
            )
        return data

    def __contains__(self, key: object) -> bool:
        """Whether the source has an image of that key."""
        return key in self._images

    def keys(self) -> list[str]:
        """Every image's key, sorted."""
        return self._images.keys()

    def stamp(self, key: str) -> str | None:
        """The SHA-256 of an image's bytes, in hexadecimal; None where it is missing: `read` gives no other now."""
        stamp = self._images.stamp(key)
        self.stamps[key] = None if stamp is None else _short(stamp)
        return stamp


def _short(stamp: str) -> bytes:
    return bytes.fromhex(stamp)[:_KEPT]
