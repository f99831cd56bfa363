"""The same picture, byte for byte, under two names.

In two classes one label is wrong, in two splits a test is none, and in two videos one observation counts as two. A film
may show one picture twice.
"""

from collections.abc import Sequence

from common.console import count, warn
from data.entry import Entry

_DIGEST = 16  # bytes of a SHA-256 that are kept of each picture: enough for any number of them


class SamePictures:
    """Finds pictures that are there twice, as their entries are added one by one."""

    def __init__(self) -> None:
        self._first: dict[bytes, Entry] = {}
        self._pairs: dict[str, dict[bytes, tuple[Entry, Entry]]] = {"class": {}, "split": {}}
        self._copies: list[tuple[Entry, Entry]] = []

    def add(self, entry: Entry, stamp: str | None) -> None:
        """Takes a picture, and the SHA-256 of its bytes in hexadecimal; None is no picture."""
        if stamp is None:
            return
        digest = bytes.fromhex(stamp)[:_DIGEST]
        first = self._first.setdefault(digest, entry)
        if first.family != entry.family:
            self._pairs["class"].setdefault(digest, (first, entry))
        if first.split != entry.split:
            self._pairs["split"].setdefault(digest, (first, entry))
        if first.video != entry.video and (first.family, first.split) == (entry.family, entry.split):
            self._copies.append((first, entry))

    def warn(self) -> None:
        """Warns of each of the remarks."""
        for remark in self.remarks():
            warn(remark)

    def remarks(self) -> list[str]:
        """What is to be said: a line each for pictures in two classes, in two splits, and for copies in one of both."""
        told = []
        for what, meaning in (("class", "one of the labels is wrong"), ("split", "what is trained on is tested on")):
            if pairs := self._pairs[what]:
                first, second = next(iter(pairs.values()))
                sides = f"{first.key} ({_side(first, what)}) and {second.key} ({_side(second, what)})"
                places = "classes" if what == "class" else "splits"
                told.append(
                    f"{count(len(pairs), 'picture')} in two {places}, the same byte for byte, such as {sides}: "
                    f"{meaning}"
                )
        if self._copies:
            told.append(_of_copies(self._copies))
        return told


def _of_copies(copies: Sequence[tuple[Entry, Entry]]) -> str:
    """The remark on copies."""
    first, second = copies[0]
    return (
        f"{count(len(copies), 'picture')} the same byte for byte as an earlier one of another video, such as "
        f"{second.key} as {first.key}: one observation counts as two; take the copies out"
    )


def _side(entry: Entry, what: str) -> str:
    return (entry.family or "unknown") if what == "class" else (entry.split or "no split")
