"""Frames by the video that they are from, and resamples of whole videos."""

import numpy as np

DRAWS = 2000


def per_video(values: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the columns of `values` (n, m) in each video (C, m), and its number of frames (C,), in order of name."""
    place, counts = placed(videos)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, place, values)
    return sums, counts


def placed(videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each frame (n,) the place of its video among the C different ones, and how many frames each has (C,)."""
    _, place = np.unique(videos, return_inverse=True)
    return place, np.bincount(place).astype(float)


def resamples(videos: int, generator: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """How often each of so many videos is in each of `draws` samples with replacement: (draws, videos) of counts."""
    return generator.multinomial(videos, np.full(videos, 1 / videos), size=draws).astype(float)


def leave_one_out(videos: int) -> np.ndarray:
    """The same for the samples that leave out one video each: (videos, videos), 0 on the diagonal, else 1."""
    return 1.0 - np.eye(videos)


def known(videos: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The videos and values (n, ...) of the frames for which no value is NaN: those that all of them share."""
    kept = np.ones(len(videos), dtype=bool)
    for each in values:
        kept &= ~np.isnan(each.astype(float)).any(axis=tuple(range(1, each.ndim)))
    return videos[kept], [each[kept] for each in values]
