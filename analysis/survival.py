"""What it takes to flip a verdict: flip thresholds, censored where nothing flipped it.

The smallest L-infinity budget, the queries or the share of the segments that a flip needs is not known for a frame
that never flips, only that it is more than was tried. Such a frame is censored there and never dropped: dropping it
would make a method better the more frames it fails on. Curves are Kaplan and Meier's ("Nonparametric Estimation from
Incomplete Observations", JASA 53, 1958); a method's number is the restricted mean, the mean of what is needed where
more than a limit counts as the limit (Royston and Parmar, BMC Medical Research Methodology 13:152, 2013). Less is
better for an explanation. A frame counts as much as any other, however many searches (trials, draws) it has.
"""

from dataclasses import dataclass

import numpy as np

from analysis.statistics import Estimate, Statistic, intervals_of
from analysis.statistics.videos import known, placed


@dataclass(frozen=True, eq=False)
class Survival:
    """The share of verdicts that still stand after a budget, queries or segments: a step function that starts at 1.

    Attributes:
        needed: where verdicts flipped, increasing, (t,).
        standing: the share that stands from there on, (t,).
        low, high: its interval by a bootstrap over videos, at each step, (t,).
        exposed: how many searches went as far, (t,).
        searches, videos: how many there are; a frame has one for each trial or draw.
        censored: how many of the searches never flipped the verdict.
    """

    needed: np.ndarray
    standing: np.ndarray
    low: np.ndarray
    high: np.ndarray
    exposed: np.ndarray
    searches: int
    videos: int
    censored: int


def survival(
    needed: np.ndarray,
    flipped: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    frames: np.ndarray | None = None,
) -> Survival:
    """Estimates Kaplan and Meier's curve of one method, with its interval by a bootstrap over videos.

    Args:
        needed: (n,) of each search, what the flip took; where the verdict never flipped, how far was tried. NaN where
            a frame was not scored.
        flipped: (n,) bool, or 0 and 1, whether the verdict flipped.
        videos: (n,) the name or number of each search's video.
        generator: of the resamples.
        frames: (n,) the number of each search's frame, so that frames count alike; None where each has one search.
    """
    frames = np.arange(len(needed)) if frames is None else frames
    videos, (needed, flipped, frames) = known(videos, needed, flipped, frames)
    video_indices, counts = placed(videos)
    steps = _Steps.of(needed, flipped, video_indices, frames)
    standing = Statistic(steps.parts, steps.standing)
    limits = intervals_of(standing, counts, generator, (0.0, 1.0))
    return Survival(
        needed=steps.times,
        standing=standing.value,
        low=limits[:, 0],
        high=limits[:, 1],
        exposed=np.array([np.sum(needed >= time) for time in steps.times], dtype=int),
        searches=len(needed),
        videos=len(counts),
        censored=int(np.sum(~flipped.astype(bool))),
    )


def product_limit(needed: np.ndarray, flipped: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates Kaplan and Meier's curve without an interval.

    Returns where verdicts flipped, increasing, (t,), and the share that stands from there on, (t,).

    Arguments as for `survival`, without NaN.
    """
    steps = _Steps.of(needed, flipped, np.zeros(len(needed), dtype=np.int64), frames)
    return steps.times, Statistic(steps.parts, steps.standing).value


def restricted_mean(
    needed: np.ndarray,
    flipped: np.ndarray,
    videos: np.ndarray,
    limit: float,
    generator: np.random.Generator,
    frames: np.ndarray | None = None,
) -> Estimate:
    """Estimates the area under the survival curve up to a limit, with its interval by a bootstrap over videos.

    Where every censored search went up to the limit, it is the mean over the frames of min(needed, limit). Where all
    that are left were given up earlier, the curve goes on level: the mean is then too high, as it is not known when
    they would have flipped.

    Args:
        needed: (n,) as for `survival`.
        flipped: (n,) as for `survival`.
        videos: (n,) as for `survival`.
        limit: above 0, in the units of `needed`; more counts as the limit.
        generator: of the resamples.
        frames: (n,) as for `survival`.

    Raises:
        ValueError: the limit is not above 0, where there is a frame.
    """
    frames = np.arange(len(needed)) if frames is None else frames
    videos, (needed, flipped, frames) = known(videos, needed, flipped, frames)
    if not len(needed):
        return Estimate()
    video_indices, counts = placed(videos)
    area = _Steps.of(needed, flipped, video_indices, frames).area(limit)
    low, high = intervals_of(area, counts, generator, (0.0, limit))[0]
    return Estimate(float(area.value[0]), float(low), float(high), len(np.unique(frames)), len(counts))


@dataclass(frozen=True, eq=False)
class _Steps:
    """Weights by group of searches (a video, or one frame), from which the curve of any weighted groups follows.

    A search weighs what makes frames equal: 1 where all have as many, and more where its frame has fewer than others.

    Attributes:
        times: where verdicts flipped, increasing, (t,).
        flips: the weight of a group's searches that flipped there, (C, t).
        exposed: the weight of those that went as far, (C, t).
    """

    times: np.ndarray
    flips: np.ndarray
    exposed: np.ndarray

    @classmethod
    def of(cls, needed: np.ndarray, flipped: np.ndarray, groups: np.ndarray, frames: np.ndarray) -> "_Steps":
        flipped = flipped.astype(bool)
        _, own, searches = np.unique(frames, return_inverse=True, return_counts=True)
        weights = searches.max(initial=1) / searches[own]
        times = np.unique(needed[flipped])
        count = int(groups.max(initial=-1)) + 1
        at = np.searchsorted(times, needed[flipped])
        flips = _sums(weights[flipped], groups[flipped], at, (count, len(times)))
        tried = np.searchsorted(times, needed, side="right")  # to how many of the times
        last = _sums(weights, groups, tried, (count, len(times) + 1))
        return cls(times, flips, last[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:])

    @property
    def parts(self) -> np.ndarray:
        """What each group adds to the sums that `standing` takes, (C, 2t)."""
        return np.hstack([self.exposed, self.flips])

    def standing(self, totals: np.ndarray) -> np.ndarray:
        """The share that stands after each time, from sums of `parts` (b, 2t): (b, t)."""
        exposed, flips = np.split(totals, 2, axis=1)
        kept: np.ndarray = 1 - flips / np.where(exposed > 0, exposed, 1.0)
        return np.cumprod(kept, axis=1)

    def area(self, limit: float) -> Statistic:
        """The area under the curve from 0 to `limit`, as a statistic of the groups: (b, 1).

        Raises:
            ValueError: the limit is not above 0.
        """
        if not limit > 0:
            raise ValueError(f"the limit of a restricted mean must be above 0, got {limit}")
        widths = np.diff(np.minimum(np.concatenate([[0.0], self.times, [limit]]), limit))

        def of(totals: np.ndarray) -> np.ndarray:
            standing = np.hstack([np.ones((len(totals), 1)), self.standing(totals)])
            return standing @ widths[:, None]

        return Statistic(self.parts, of)


def _sums(weights: np.ndarray, groups: np.ndarray, steps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The weights of each group at each step."""
    return np.bincount(groups * shape[1] + steps, weights, minlength=shape[0] * shape[1]).reshape(shape)
