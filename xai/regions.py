"""From rankings of a frame's segments to the regions that are attacked."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from common.errors import InputError
from xai.ranking import top_region

ALL = "all"


@dataclass(frozen=True, eq=False)
class Ranking:
    """An order of a frame's segments, and who made it.

    Attributes:
        order: the segments' labels, best first, (K,).
        method: an explanation method, or a baseline.
        of: the method that a baseline belongs to, or "".
        draw: which of its random draws.
        fill: what hid pixels while explaining, or "".
        weak: whether it says little (`xai.ranking.is_weak`).
        completeness_error: of the map that it is of (`xai.completeness`); None where that promises nothing.
        stability: for each number of the best segments, the probability that a re-run of the explanation has the same,
            (K,); None where that is not known, or nothing was explained.
        segments: (H, W), the segments that it orders where the method has its own; None for the frame's.
    """

    order: np.ndarray
    method: str
    of: str = ""
    draw: int = 0
    fill: str = ""
    weak: bool = False
    completeness_error: float | None = None
    stability: np.ndarray | None = None
    segments: np.ndarray | None = None


@dataclass(frozen=True)
class Depth:
    """How far down a ranking a region reaches: so many segments, or as many as come nearest to a share of the frame.

    Attributes:
        count: of segments; 0 where `share` counts.
        share: of the frame's pixels, in [0, 1).
    """

    count: int = 0
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Depth":
        """ "3" is the three best segments, "5%" the best ones up to that share. Raises InputError for another text."""
        if re.fullmatch(r"[1-9]\d?", text):
            return cls(count=int(text))
        if re.fullmatch(r"\d{1,2}(\.\d{1,3})?%", text) and float(text[:-1]) > 0:
            return cls(share=float(text[:-1]) / 100)
        raise InputError(f"depth {text!r}: write a number of segments (3) or a share of the frame (5%)")

    def segments(self, order: np.ndarray, areas: np.ndarray) -> int:
        """How many of the best segments: at least one, at most all; fewer where two numbers come equally near."""
        if self.count:
            return min(self.count, len(order))
        reached = np.cumsum(areas[order]) / areas.sum()
        return int(np.argmin(np.abs(reached - self.share))) + 1


@dataclass(frozen=True, eq=False)
class RankedRegion:
    """A region to attack, and the ranking and depth that it is of.

    Attributes:
        ranking: whose it is; its order is what the region was cut from.
        depth: as text, see `scoring.records.Row`.
        k: how many segments it has; 0 where there is no fake verdict to explain.
        region: (H, W) bool.
    """

    ranking: Ranking
    depth: str
    k: int
    region: np.ndarray

    @cached_property
    def digest(self) -> str:
        """Names the region by its pixels: the same pixels, of whatever ranking, are attacked once and alike."""
        return digest_of(self.region)


def digest_of(region: np.ndarray) -> str:
    """A name for a region (H, W) bool that depends on its pixels alone."""
    return hashlib.sha256(repr(region.shape).encode() + np.packbits(region).tobytes()).hexdigest()


def regions_at(ranking: Ranking, segments: np.ndarray, depths: tuple[str, ...]) -> list[RankedRegion]:
    """The regions of a ranking at every depth; `segments` is (H, W), the frame's, with labels 0..K-1."""
    segments = segments if ranking.segments is None else ranking.segments
    areas = np.bincount(segments.ravel())
    ranked_regions = []
    for depth in depths:
        k = Depth.parse(depth).segments(ranking.order, areas)
        ranked_regions.append(RankedRegion(ranking, depth, k, top_region(segments, ranking.order, k)))
    return ranked_regions


def empty_regions(ranking: Ranking, shape: tuple[int, ...], depths: tuple[str, ...]) -> list[RankedRegion]:
    """Empty regions, where there is no fake verdict to explain: the frame still counts in accuracies."""
    return [RankedRegion(ranking, depth, 0, np.zeros(shape, dtype=bool)) for depth in depths]
