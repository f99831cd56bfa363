"""The headline score of a method: how far it is from random regions, on the way to the best that there is.

    (method - random area) / (oracle - random area)

is a ratio of two means over the same frames. Its interval is Fieller's ("Some Problems in Interval Estimation", JRSS B
16, 1954) with the covariance of the two means from a bootstrap over videos: all scores s for which the mean of
(method - random area) - s (oracle - random area) cannot be told from zero. Percentiles and BCa of the ratio itself
cover too little where the denominator is small (docs/statistics.md).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from analysis.statistics.bootstrap import LEVEL, effective_videos, mean_of, unanimous
from analysis.statistics.estimate import Estimate
from analysis.statistics.videos import DRAWS, how_many, known, placed, pooled, resamples

NO_FRAME = "no frame has the method, the oracle and random regions"
FEW_VIDEOS = "fewer than two videos: no interval can be given"
COINCIDE = "the oracle and random regions coincide on every frame"
NO_ROOM = "the oracle is not shown to be better than random regions"
_SAME = 1e-9


@dataclass(frozen=True)
class RatioScore:
    """A method's headline score on one quantity: 0 is as good as random regions of its area, 1 as good as the oracle.

    Attributes:
        score: with its interval; NaN where it is undefined.
        room: oracle - random area, with its t interval: where that reaches 0, the score is undefined.
        coincide: on how many frames oracle and random area are equal.
        undefined: why there is no score; empty where there is one.
    """

    score: Estimate
    room: Estimate
    coincide: int
    undefined: str


def ratio_scores(
    methods: np.ndarray,
    random_area: np.ndarray,
    oracle: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    draws: int = DRAWS,
) -> list[RatioScore]:
    """Computes the headline score of each method from drops or flips by frame.

    A frame where the method, the oracle or random regions are NaN does not count for that method. Methods share the
    resamples where they share the frames.

    Args:
        methods: (n, m), a column for each method.
        random_area: (n,) what random regions do, or (n, m) where every method has random regions of its own area.
        oracle: (n,) what the oracle does.
        videos: (n,) the name or number of each frame's video.
        generator: of the resamples.
        draws: how many resamples.
    """
    random_area = np.broadcast_to(random_area if random_area.ndim == 2 else random_area[:, None], methods.shape)
    seed = generator.integers(2**63)
    return [
        _headline(method, chance, oracle, videos, np.random.default_rng(seed), draws)
        for method, chance in zip(methods.T, random_area.T, strict=True)
    ]


def ratio_intervals(
    numerators: np.ndarray,
    denominators: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> np.ndarray:
    """Computes Fieller's intervals of mean numerator / mean denominator of each column: (m, 2).

    NaN with fewer than two videos, and where the mean denominator is not above 0 at this level: there every number,
    or every number but a few, is in Fieller's set. Where all videos give exactly the same ratio, the interval is what
    an exact binomial bound on the share of videos that would differ allows, with ratios in [0, 1].

    Args:
        numerators: (n, m) without NaN.
        denominators: (n, m) without NaN.
        videos: (n,) the name or number of each frame's video.
        generator: of the resamples, which all columns share.
        level: of confidence, in (0, 1).
        draws: how many resamples.
    """
    count = how_many(videos)
    if count < 2:
        return np.full((numerators.shape[1], 2), np.nan)
    return _fieller(_moments(numerators, denominators, videos, generator, draws), level)


@dataclass(frozen=True)
class _Moments:
    """What Fieller's interval needs: means, and their variances over resamples.

    Attributes:
        videos: how many there are.
        effective: how many with equally many frames give as certain a mean.
        top, bottom: means of the numerators and of the denominators, (m,).
        top_variance, covariance, bottom_variance: of these means, (m,).
    """

    videos: int
    effective: float
    top: np.ndarray
    bottom: np.ndarray
    top_variance: np.ndarray
    covariance: np.ndarray
    bottom_variance: np.ndarray


def _moments(
    numerators: np.ndarray, denominators: np.ndarray, videos: np.ndarray, generator: np.random.Generator, draws: int
) -> _Moments:
    counts = placed(videos)[1]
    effective = effective_videos(pooled(counts))
    mean = mean_of(np.hstack([numerators, denominators]), videos)
    top, bottom = np.split(mean.value, 2)
    groups = mean.pooled()
    drawn = groups(resamples(len(groups.parts), generator, draws))
    drawn = (drawn - drawn.mean(axis=0)) * np.sqrt(effective / (effective - 1))  # resampling divides by n, not n - 1
    above, below = np.split(drawn, 2, axis=1)
    return _Moments(
        videos=len(counts),
        effective=effective,
        top=top,
        bottom=bottom,
        top_variance=np.mean(above**2, axis=0),
        covariance=np.mean(above * below, axis=0),
        bottom_variance=np.mean(below**2, axis=0),
    )


def _fieller(moments: _Moments, level: float) -> np.ndarray:
    """The roots s of (top - s bottom)^2 = t^2 Var(top - s bottom), where they enclose the ratio: (m, 2), else NaN."""
    square = t.ppf((1 + level) / 2, moments.effective - 1) ** 2
    a = moments.bottom**2 - square * moments.bottom_variance
    b = moments.top * moments.bottom - square * moments.covariance
    c = moments.top**2 - square * moments.top_variance
    defined = (a > 0) & (moments.bottom > 0)
    safe = np.where(defined, a, 1.0)
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
    limits = np.where(defined, np.stack([b - root, b + root]) / safe, np.nan).T
    score = moments.top / np.where(defined, moments.bottom, 1.0)
    variance = moments.top_variance - 2 * score * moments.covariance + score**2 * moments.bottom_variance
    same = defined & (variance <= _SAME * (moments.top_variance + score**2 * moments.bottom_variance))
    agreed = unanimous(score[same], moments.videos, (0.0, 1.0), level)
    limits[same, 0] = np.minimum(agreed[:, 0], score[same])
    limits[same, 1] = np.maximum(agreed[:, 1], score[same])
    return limits


def _headline(
    method: np.ndarray,
    chance: np.ndarray,
    oracle: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    draws: int,
) -> RatioScore:
    videos, (method, chance, oracle) = known(videos, method, chance, oracle)
    frames, count = len(videos), how_many(videos)
    if not frames:
        return RatioScore(Estimate(), Estimate(), 0, NO_FRAME)
    gain, room = (method - chance)[:, None], (oracle - chance)[:, None]
    coincide = int(np.sum(np.abs(room) <= _SAME))
    none = Estimate(frames=frames, videos=count)
    if count < 2:
        return RatioScore(none, Estimate(float(room.mean()), frames=frames, videos=count), coincide, FEW_VIDEOS)
    moments = _moments(gain, room, videos, generator, draws)
    reach = float(t.ppf((1 + LEVEL) / 2, moments.effective - 1) * np.sqrt(moments.bottom_variance[0]))
    room_estimate = Estimate(float(room.mean()), float(room.mean()) - reach, float(room.mean()) + reach, frames, count)
    low, high = _fieller(moments, LEVEL)[0]
    if coincide == frames or math.isnan(low):
        return RatioScore(none, room_estimate, coincide, COINCIDE if coincide == frames else NO_ROOM)
    score = Estimate(float(gain.mean() / room.mean()), float(low), float(high), frames, count)
    return RatioScore(score, room_estimate, coincide, "")
