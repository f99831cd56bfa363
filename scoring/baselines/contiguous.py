"""Contiguous random regions of a given area: what a method's region must beat."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from common.seeds import generator
from scoring.baselines.table import RANDOM_AREA

TOLERANCE = 0.05  # of the wanted area
Union = tuple[int, tuple[int, ...]]
"""The area of some joined segments in pixels, and their labels."""
WALKS = 60  # random growths that are searched before the nearest area has to do


class Contiguous:
    """Random connected unions of a frame's segments, looked up by area.

    One sequence of random growths a draw serves every area: the first union within 5 % of the wanted area, or, where
    none is, the nearest of all. So regions of nearly the same area, whoever they are to be compared with, are
    compared with the same random region.
    """

    def __init__(self, segments: np.ndarray, seed: int, key: str) -> None:
        """`segments` is (H, W) with labels 0..K-1; the draws depend on the seed and the frame's key."""
        self._segments, self._seed, self._key = segments, seed, key
        self._areas = np.bincount(segments.ravel())
        self._grown: dict[int, tuple[list[Union], Iterator[Union]]] = {}

    def region(self, area: int, draw: int = 0) -> tuple[np.ndarray, int]:
        """A region (H, W) bool of about `area` pixels, and how many segments it has."""
        near = (labels for pixels, labels in self._unions(draw) if abs(pixels - area) <= TOLERANCE * area)
        union_labels = next(near, None) or min(self._unions(draw), key=lambda union: abs(union[0] - area))[1]
        return np.isin(self._segments, union_labels), len(union_labels)

    def _unions(self, draw: int) -> Iterator[Union]:
        """The sequence of a draw, grown as far as it is asked for and kept for the next area."""
        if draw not in self._grown:
            self._grown[draw] = [], self._grow(generator(self._seed, self._key, RANDOM_AREA, draw))
        known, more = self._grown[draw]
        yield from known
        for union in more:
            known.append(union)
            yield union

    def _grow(self, draws: np.random.Generator) -> Iterator[Union]:
        """Unions that grow from a random segment by one random neighbour at a time; every stage of every growth."""
        for _ in range(WALKS):
            label, area = int(draws.integers(len(self._areas))), 0
            chosen: list[int] = []
            border: set[int] = set()
            while True:
                chosen.append(label)
                area += int(self._areas[label])
                yield area, tuple(chosen)
                border = (border | self._neighbours[label]) - set(chosen)
                if not border:
                    break
                label = sorted(border)[int(draws.integers(len(border)))]

    @cached_property
    def _neighbours(self) -> list[set[int]]:
        return neighbours(self._segments)


def neighbours(segments: np.ndarray) -> list[set[int]]:
    """The segments that share an edge of a pixel with each segment; `segments` is (H, W) with labels 0..K-1."""
    near: list[set[int]] = [set() for _ in range(int(segments.max()) + 1)]
    for one, other in ((segments[1:], segments[:-1]), (segments[:, 1:], segments[:, :-1])):
        pairs = np.unique(np.stack([one[one != other], other[one != other]]), axis=1)
        for first, second in pairs.T.tolist():
            near[first].add(second)
            near[second].add(first)
    return near
