"""Regions of exactly one area: of a ranking's best segments, and random connected ones to compare them with."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation

from common.seeds import generator
from scoring.baselines.contiguous import neighbours

SEGMENTS = 3
"""As many average segments are as large as a region."""


def common_area(segments: np.ndarray) -> int:
    """The pixels of three average segments; `segments` is (H, W) with labels 0..K-1."""
    return min(segments.size, max(1, round(SEGMENTS * segments.size / (int(segments.max()) + 1))))


def best_region(segments: np.ndarray, order: Sequence[int] | np.ndarray, area: int) -> np.ndarray:
    """The best segments together, (H, W) bool of `area` pixels; of the last one only what is nearest to the others.

    Args:
        segments: (H, W) labels 0..K-1.
        order: every label, best first.
        area: in pixels, from 1 to all.
    """
    region = np.zeros(segments.shape, dtype=bool)
    for label in order:
        missing = area - int(region.sum())
        if missing <= 0:
            break
        _take(region, segments == label, missing, None)
    return region


def shares(segments: np.ndarray, order: np.ndarray, area: int) -> np.ndarray:
    """The share of each segment that lies in `best_region`, (..., K) in [0, 1], for each of some orders (..., K)."""
    areas = np.bincount(segments.ravel())
    sizes = areas[order]
    before = np.cumsum(sizes, axis=-1) - sizes
    taken = ((area - before) / sizes).clip(0.0, 1.0)
    by_label = np.empty(order.shape)
    np.put_along_axis(by_label, order, taken, axis=-1)
    return by_label


def random_regions(segments: np.ndarray, area: int, count: int, seed: int, key: str) -> np.ndarray:
    """Random connected regions of `area` pixels, (count, H, W) bool, drawn independently and alike.

    Each grows from a random segment by one random neighbour at a time, whole segments but for the last, as a region of
    an explanation is made of segments. `seed` and `key` fix the draws.
    """
    near, labels = neighbours(segments), int(segments.max()) + 1
    regions = np.zeros((count, *segments.shape), dtype=bool)
    for draw, region in enumerate(regions):
        draws = generator(seed, key, "examined area", draw)
        chosen = [int(draws.integers(labels))]
        border: set[int] = set()
        while True:
            _take(region, segments == chosen[-1], area - int(region.sum()), draws)
            border = (border | near[chosen[-1]]) - set(chosen)
            if int(region.sum()) >= area or not border:
                break
            chosen.append(sorted(border)[int(draws.integers(len(border)))])
    return regions


def _take(region: np.ndarray, segment: np.ndarray, missing: int, draws: np.random.Generator | None) -> None:
    """Adds so many pixels of a segment to a region: all, or those that are fewest steps inside it from the region.

    Where the segment does not touch the region, it begins at a random pixel, or without draws at its middle.
    """
    if int(segment.sum()) <= missing:
        region |= segment
        return
    while missing > 0:
        ring = binary_dilation(region) & segment & ~region
        pixels = np.flatnonzero(ring)[:missing]
        if not len(pixels):
            pixels = _start(segment & ~region, draws)
        region.ravel()[pixels] = True
        missing -= len(pixels)


def _start(segment: np.ndarray, draws: np.random.Generator | None) -> np.ndarray:
    """One pixel of a segment, (1,) flat."""
    pixels = np.argwhere(segment)
    if draws is not None:
        chosen = int(draws.integers(len(pixels)))
    else:
        chosen = int(np.abs(pixels - pixels.mean(axis=0)).sum(axis=1).argmin())
    return np.array([np.ravel_multi_index(tuple(pixels[chosen]), segment.shape)])
