"""Frames by the video that they are from, and resamples of whole videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

DRAWS = 2000
GROUPS = 1000
"""As many videos are resampled one by one; more are pooled (`pooled`)."""


def per_video(values: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the columns of `values` (n, m) in each video (C, m), and its number of frames (C,), in order of name."""
    video_index, counts = placed(videos)
    sums = np.zeros((len(counts), values.shape[1]))
    for column, weights in enumerate(values.T):
        sums[:, column] = np.bincount(video_index, weights, minlength=len(counts))
    return sums, counts


def placed(videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each frame (n,) the index of its video among the C different ones, and how many frames each has (C,).

    Videos are names, or numbers from 0 in the order of names, which takes no sorting.
    """
    if videos.dtype.kind == "i" and (not len(videos) or videos.min() >= 0):
        sizes = np.bincount(videos)
        return (np.cumsum(sizes > 0) - 1)[videos], sizes[sizes > 0].astype(float)
    _, video_index = np.unique(videos, return_inverse=True)
    return video_index, np.bincount(video_index).astype(float)


def how_many(videos: np.ndarray) -> int:
    """How many different videos frames (n,) are from."""
    return len(placed(videos)[1])


def pooled(parts: np.ndarray) -> np.ndarray:
    """What is resampled, exchanged or left out in place of the parts (C, p) of each video: (min(C, GROUPS), p).

    Up to GROUPS videos, each by itself. Beyond, so many groups of whole videos, drawn at random (the same for the same
    number of videos): groups of independent videos are independent, so intervals and tests stay valid (Wolter,
    "Introduction to Variance Estimation", 2007, ch. 2, the method of random groups). A standard error from 1,000
    groups is within 1/sqrt(2 x 999) = 2 % of one from all videos, and its time no longer grows with them.
    """
    count = len(parts)
    if count <= GROUPS:
        return parts
    order = np.random.default_rng(count).permutation(count)
    sums = np.zeros((GROUPS, *parts.shape[1:]))
    for start in range(0, count, GROUPS):
        group = parts[order[start : start + GROUPS]]
        sums[: len(group)] += group
    return sums


def resamples(videos: int, generator: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """How often each of so many videos is in each of `draws` samples with replacement: (draws, videos) of counts.

    Read-only: generators in the same state draw the same, and the last few draws are kept, as a run's numbers share
    their resamples and drawing takes longer than all that is done with them.
    """
    weights, after = _drawn(_Draw(videos, draws, repr(generator.bit_generator.state), generator))
    generator.bit_generator.state = after
    return weights


@dataclass(frozen=True)
class _Draw:
    """What resamples depend on; the generator is in that state."""

    videos: int
    draws: int
    state: str
    generator: np.random.Generator = field(compare=False)


@lru_cache(maxsize=4)
def _drawn(draw: _Draw) -> tuple[np.ndarray, Mapping[str, Any]]:
    """The resamples, and the state of the generator after them."""
    videos = draw.videos
    weights = draw.generator.multinomial(videos, np.full(videos, 1 / videos), size=draw.draws).astype(float)
    weights.setflags(write=False)
    return weights, draw.generator.bit_generator.state


def known(videos: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The videos and values (n, ...) of the frames for which no value is NaN: those that all of them share."""
    kept = np.ones(len(videos), dtype=bool)
    for array in values:
        kept &= ~np.isnan(array.astype(float)).any(axis=tuple(range(1, array.ndim)))
    return videos[kept], [array[kept] for array in values]
