"""The same picture, byte for byte, under two names: in two classes one label is wrong, in two splits a test is none."""

from collections.abc import Iterable

from common.console import count
from data.index import Entry

_DIGEST = 16  # bytes of a SHA-256 that are kept of each picture: enough for any number of them


class SamePictures:
    """Finds pictures that are there twice with other labels, as their entries are added one by one."""

    def __init__(self) -> None:
        self._first: dict[bytes, Entry] = {}
        self._pairs: dict[str, dict[bytes, tuple[Entry, Entry]]] = {"class": {}, "split": {}}

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

    def remarks(self) -> list[str]:
        """What is to be said: a line for pictures in two classes, one for pictures in two splits, or neither."""
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
        return told


def same_pictures(entries: Iterable[tuple[Entry, str | None]]) -> list[str]:
    """The remarks on entries, each with the SHA-256 of its picture (`SamePictures`)."""
    found = SamePictures()
    for entry, stamp in entries:
        found.add(entry, stamp)
    return found.remarks()


def _side(entry: Entry, what: str) -> str:
    return (entry.family or "unknown") if what == "class" else (entry.split or "no split")
