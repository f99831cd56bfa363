"""Intervals by resampling whole videos: frames of one video are not independent, so videos are the sample.

The interval is BCa (Efron, "Better Bootstrap Confidence Intervals", JASA 82, 1987: bias-corrected and accelerated, so
that it leans with the skewness of drops and of rare flips) with the tails moved out for few videos (Hesterberg, "What
Teachers Should Know About the Bootstrap", The American Statistician 69(4), 2015, sec. 5). It was chosen by simulated
coverage among percentile, BCa, bootstrap-t and t intervals: docs/statistics.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from analysis.statistics.estimate import Estimate
from analysis.statistics.videos import DRAWS, how_many, per_video, placed, pooled, resamples

LEVEL = 0.95
_SAME = 1e-9  # relative: values closer than this differ by rounding alone


@dataclass(frozen=True, eq=False)
class Statistic:
    """Numbers that depend on frames only through sums by video: all that is needed of any number of frames.

    Attributes:
        parts: (C, p) what each video adds to each of p sums.
        of: from such sums over some videos, (b, p), to the m numbers, (b, m).
    """

    parts: np.ndarray
    of: Callable[[np.ndarray], np.ndarray]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The numbers (b, m) of weighted videos: (b, C), how often each video is in each of b samples."""
        return self.of(weights @ self.parts)

    @property
    def value(self) -> np.ndarray:
        """The numbers of all videos, (m,)."""
        return np.asarray(self.of(self.parts.sum(axis=0, keepdims=True))[0])

    @property
    def jackknife(self) -> np.ndarray:
        """The numbers without one of the videos each, (C, m)."""
        return self.of(self.parts.sum(axis=0) - self.parts)

    def pooled(self) -> "Statistic":
        """The same of groups of videos where there are many (`videos.pooled`)."""
        return Statistic(pooled(self.parts), self.of)


def bootstrap_means(
    values: np.ndarray, videos: np.ndarray, generator: np.random.Generator, draws: int = DRAWS
) -> np.ndarray:
    """Computes means over frames in resamples of whole videos with replacement: (draws, m).

    All columns share the resamples, so that differences between columns are paired.

    Args:
        values: (n, m), a column for each quantity.
        videos: (n,) the name or number of each frame's video.
        generator: of the resamples.
        draws: how many resamples.
    """
    means = mean_of(values, videos).pooled()
    return means(resamples(len(means.parts), generator, draws))


def mean_of(values: np.ndarray, videos: np.ndarray) -> Statistic:
    """The means over frames of the columns of `values` (n, m), as a statistic of weighted videos."""
    sums, counts = per_video(values, videos)
    return Statistic(np.column_stack([sums, counts]), lambda totals: totals[:, :-1] / totals[:, -1:])


def estimates(
    values: np.ndarray, videos: np.ndarray, generator: np.random.Generator, bounds: tuple[float, float]
) -> list[Estimate]:
    """Estimates the mean of each column with its 95 % interval, over the frames where that column is not NaN.

    Columns that are known on the same frames share their resamples. Without a frame everything is NaN.

    Args:
        values: (n, m), a column for each quantity.
        videos: (n,) the name or number of each frame's video.
        generator: of the resamples of videos.
        bounds: the least and the greatest value possible.
    """
    values, state = values.astype(float), generator.bit_generator.state
    there, found = ~np.isnan(values), [Estimate()] * values.shape[1]
    alike: dict[bytes, list[int]] = {}
    for index in range(values.shape[1]):
        alike.setdefault(there[:, index].tobytes(), []).append(index)
    for columns in alike.values():
        kept = there[:, columns[0]]
        if kept.any():
            generator.bit_generator.state = state
            part = _complete_estimates(values[np.ix_(kept, columns)], videos[kept], generator, bounds)
            for index, estimate in zip(columns, part, strict=True):
                found[index] = estimate
    return found


def _complete_estimates(
    values: np.ndarray, videos: np.ndarray, generator: np.random.Generator, bounds: tuple[float, float]
) -> list[Estimate]:
    limits, count = intervals(values, videos, generator, bounds), how_many(videos)
    means = values.mean(axis=0)
    return [
        Estimate(float(mean), float(low), float(high), len(values), count)
        for mean, (low, high) in zip(means, limits, strict=True)
    ]


def intervals(
    values: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    bounds: tuple[float, float],
    level: float = LEVEL,
    draws: int = DRAWS,
) -> np.ndarray:
    """Computes confidence intervals of the means of columns: (m, 2), NaN with fewer than two videos.

    Where all videos agree exactly (every frame flips, say) the bootstrap has no spread; see `intervals_of`.

    Args:
        values: (n, m) without NaN, a column for each quantity.
        videos: (n,) the name or number of each frame's video.
        generator: of the resamples of videos, which all columns share.
        bounds: the least and the greatest value possible.
        level: of confidence, in (0, 1).
        draws: how many resamples.
    """
    return intervals_of(mean_of(values, videos), placed(videos)[1], generator, bounds, level, draws)


def intervals_of(
    statistic: Statistic,
    counts: np.ndarray,
    generator: np.random.Generator,
    bounds: tuple[float, float],
    level: float = LEVEL,
    draws: int = DRAWS,
) -> np.ndarray:
    """Computes confidence intervals of m smooth statistics of C videos: (m, 2), NaN with fewer than two videos.

    Many videos are resampled in groups (`videos.pooled`). Where no video makes a difference the bootstrap has no
    spread. There the interval is what an exact binomial bound (Clopper and Pearson 1934) on the share of videos that
    would differ allows, with values within `bounds`: 12 of 12 videos at 1.0 give [0.74, 1].

    Args:
        statistic: the m numbers, with a part for each of the C videos.
        counts: (C,) how many frames each video has.
        generator: of the resamples, which all m statistics share.
        bounds: the least and the greatest value possible.
        level: of confidence, in (0, 1).
        draws: how many resamples.
    """
    videos = len(counts)
    value, groups = statistic.value, statistic.pooled()
    if videos < 2:
        return np.full((len(value), 2), np.nan)
    jackknife = groups.jackknife
    drawn = groups(resamples(len(groups.parts), generator, draws))
    limits = _bca(value, drawn, jackknife, expanded_tail(effective_videos(pooled(counts)), level))
    same = np.ptp(jackknife, axis=0) <= _SAME * np.maximum(np.abs(value), _SAME)
    limits[same] = unanimous(value[same], videos, bounds, level)
    return limits


def unanimous(value: np.ndarray, videos: int, bounds: tuple[float, float], level: float = LEVEL) -> np.ndarray:
    """Computes the intervals (m, 2) of values that all videos agree on exactly, by the bound of `intervals_of`.

    Args:
        value: (m,) the values.
        videos: how many videos there are, at least 1.
        bounds: the least and the greatest value possible.
        level: of confidence, in (0, 1).
    """
    unseen = 1 - ((1 - level) / 2) ** (1 / videos)
    low, high = bounds
    return np.stack([value - unseen * (value - low), value + unseen * (high - value)], axis=1)


def effective_videos(counts: np.ndarray) -> float:
    """How many videos with equally many frames give as certain a mean as videos of `counts` (C,) frames (Kish 1965).

    One video with most of the frames makes a mean less certain than the number of videos suggests. At least 2.
    """
    return max(2.0, float(counts.sum() ** 2 / (counts**2).sum()))


def expanded_tail(videos: float, level: float = LEVEL) -> float:
    """The probability to cut off at each end of a bootstrap over `videos` clusters, less than (1 - level) / 2.

    Resampling makes the spread of a mean too small by sqrt((n - 1) / n) and has no t quantile; both are made up
    for (Hesterberg 2015).
    """
    quantile = t.ppf((1 - level) / 2, videos - 1)
    return float(norm.cdf(quantile * np.sqrt(videos / (videos - 1))))


def _bca(value: np.ndarray, drawn: np.ndarray, jackknife: np.ndarray, tail: float) -> np.ndarray:
    """Efron's BCa limits (m, 2) from the statistic (m,), its draws (b, m) and leave-one-out values (C, m).

    Draws equal to the value count half as below it: with few videos many are.
    """
    tie = _SAME * np.maximum(np.abs(value), _SAME)
    below = (np.mean(drawn < value - tie, axis=0) + np.mean(drawn <= value + tie, axis=0)) / 2
    bias = norm.ppf(np.clip(below, 1 / len(drawn), 1 - 1 / len(drawn)))
    pull = jackknife.mean(axis=0) - jackknife
    spread = (pull**2).sum(axis=0)
    acceleration = (pull**3).sum(axis=0) / (6 * np.where(spread > 0, spread, 1.0) ** 1.5)
    reach = bias + np.array([[norm.ppf(tail)], [-norm.ppf(tail)]])
    positions = norm.cdf(bias + reach / np.maximum(1 - acceleration * reach, 1e-3)) * (len(drawn) - 1)
    ordered = np.sort(drawn, axis=0)
    lower = np.floor(positions).astype(int)
    upper = np.minimum(lower + 1, len(drawn) - 1)
    first, second = np.take_along_axis(ordered, lower, axis=0), np.take_along_axis(ordered, upper, axis=0)
    limits: np.ndarray = (first + (positions - lower) * (second - first)).T
    return limits
