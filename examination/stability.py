"""Whether a method points at the same regions again: on other draws, on a changed copy, on neighbouring frames."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.picture_transforms import Half, Jpeg
from examination.areas import shares
from xai.explanation import Explanation
from xai.stability import re_run_orders

SEED = "another seed"
COPIES = (SEED, "JPEG of quality 90", "JPEG of quality 75", "half the size and back")
"""The variations of every picture; those of a film have neighbouring frames besides."""
COVERED = 0.95
"""The share of re-runs whose overlaps an interval covers; likewise of random regions."""
_RE_RUNS = 1000  # pairs of simulated re-runs


@dataclass(frozen=True, eq=False)
class Variation:
    """A picture on which the same regions are expected.

    Attributes:
        name: what is other about it, in words.
        picture: (H, W, 3) uint8 RGB.
    """

    name: str
    picture: np.ndarray


@dataclass(frozen=True)
class Overlap:
    """How much of a method's region is found again.

    Attributes:
        share: of its pixels, in [0, 1]; both regions have one area.
        low, high: of such shares in 95 % of pairs of re-runs, estimated from the samples of both explanations; None
            where a method does not say how far it depends on its draws.
        chance: the mean share of it in the random regions.
        chance_high: what 95 % of the random regions do not exceed.
        verdict: the class that the detector gives to the variation.
    """

    share: float
    low: float | None
    high: float | None
    chance: float
    chance_high: float
    verdict: str

    @property
    def found_again(self) -> bool:
        """Whether more of the region is found again than in 95 % of random regions."""
        return self.share > self.chance_high


def changed_copies(picture: np.ndarray) -> list[Variation]:
    """The picture itself, for another seed, and as it comes back from JPEG and from half its size."""
    height, width = picture.shape[:2]
    halved = Image.fromarray(Half()(picture)).resize((width, height), Image.Resampling.BICUBIC)
    copies = (picture, Jpeg(90)(picture), Jpeg(75)(picture), np.array(halved))
    return [Variation(name, copy) for name, copy in zip(COPIES, copies, strict=True)]


def overlap_of(region: np.ndarray, other: np.ndarray) -> float:
    """The share of a region's pixels (H, W) that lies in another of its area, in [0, 1]."""
    return float((region & other).sum() / region.sum())


def re_run_overlaps(first: Explanation, second: Explanation, area: int) -> np.ndarray | None:
    """The overlaps (n,) of simulated re-runs of two explanations of one method; None where draws are not known.

    Of a segment that both cut, the smaller part counts: that is exact where the segments are the same, and else at most
    the cut segment too much.

    Args:
        first: of the picture; its segments may differ from those of the second.
        second: of a variation, with draws of its own.
        area: of the regions, in pixels.
    """
    orders = [re_run_orders(each.importance, each.covariance) for each in (first, second)]
    if orders[0] is None or orders[1] is None:
        return None
    draws = np.random.default_rng(0)
    chosen = [each[draws.integers(len(each), size=_RE_RUNS)] for each in orders if each is not None]
    parts = [shares(each.segments, order, area) for each, order in zip((first, second), chosen, strict=True)]
    common = np.zeros((parts[0].shape[1], parts[1].shape[1]))
    np.add.at(common, (first.segments.ravel(), second.segments.ravel()), 1.0)
    rows, columns = np.nonzero(common)
    both = np.minimum(parts[0][:, rows], parts[1][:, columns]) @ common[rows, columns]
    return np.asarray(both / area)


def compare(
    first: tuple[Explanation, np.ndarray],
    second: tuple[Explanation, np.ndarray],
    random_regions: np.ndarray,
    verdict: str,
) -> Overlap:
    """How much of a region is found again.

    Args:
        first: the explanation of the picture and its region (H, W) bool.
        second: those of the variation.
        random_regions: (n, H, W) bool, of the same area.
        verdict: the class that the detector gives to the variation.
    """
    (explanation, region), (again, other) = first, second
    area = int(region.sum())
    simulated = re_run_overlaps(explanation, again, area)
    outside = (1 - COVERED) / 2
    low, high = (None, None) if simulated is None else np.quantile(simulated, [outside, 1 - outside]).tolist()
    by_chance = (random_regions & region).sum(axis=(1, 2)) / area
    return Overlap(
        overlap_of(region, other), low, high, float(by_chance.mean()), float(np.quantile(by_chance, COVERED)), verdict
    )
