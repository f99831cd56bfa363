"""What a score's spread is made of: draws of a seed, frames of a video, videos.

A run is repeated with several seeds on the same frames. The score of frame f of video v with seed s is

    y = mean + S_s + V_v + F_f + E_sf

with S shared by all frames of a run, and E the draws of one frame in one run. The variances are estimated by equating
the mean squares of this crossed and nested design with their expectations (Searle, Casella and McCulloch, "Variance
Components", 1992, ch. 4 and 5); videos may have different numbers of frames. A negative estimate is reported as 0.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from analysis.statistics.bootstrap import LEVEL, Statistic, intervals_of
from analysis.statistics.estimate import Estimate
from analysis.statistics.videos import known, placed


@dataclass(frozen=True)
class Components:
    """The variances of a score.

    Attributes:
        seeds, frames, videos: how many the scores are of.
        mean: over all.
        seed: of what all frames of a run share. Its interval is from the F distribution: videos say nothing about it.
        video: between videos.
        frame: between frames of a video.
        noise: of one frame between seeds, beyond `seed`.
        rerun_sd: the standard deviation of the score over frames when only the seed changes.
        sample_sd: the same when only the videos and their frames change.
    """

    seeds: int
    frames: int
    videos: int
    mean: float
    seed: Estimate
    video: Estimate
    frame: Estimate
    noise: Estimate
    rerun_sd: float
    sample_sd: float


def variance_components(values: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> Components:
    """Separates the variance of a score: `values` (seeds, n), one row for each seed on the same n frames.

    Frames that are NaN with one of the seeds do not count. Intervals of video, frame and noise are by a bootstrap over
    videos. Raises ValueError with fewer than two seeds or two videos, or without a video of two frames.
    """
    videos, (turned,) = known(videos, values.T)
    values = turned.T
    design = _Design.of(values, videos)
    seeds, frames, count = len(values), values.shape[1], len(design.counts)
    if seeds < 2 or count < 2 or frames == count:
        raise ValueError(
            f"variance components need at least 2 seeds, 2 videos and a video with 2 frames, "
            f"got {seeds}, {count} and {frames} frames in all"
        )
    components = design.components
    squares = design.mean_squares(design.parts.sum(axis=0, keepdims=True))
    seed, video, frame, noise = np.maximum(components.value, 0.0)
    ceiling = float(np.ptp(values)) ** 2
    limits = intervals_of(components, design.counts, generator, (0.0, ceiling))
    ends = [[max(float(end), 0.0) for end in pair] for pair in limits]
    ends[0] = _seed_interval(float(squares[0, 0]), float(squares[0, 3]), seeds, frames)
    estimates = [
        Estimate(float(value), low, high, frames, count)
        for value, (low, high) in zip((seed, video, frame, noise), ends, strict=True)
    ]
    return Components(
        seeds=seeds,
        frames=frames,
        videos=count,
        mean=float(values.mean()),
        seed=estimates[0],
        video=estimates[1],
        frame=estimates[2],
        noise=estimates[3],
        rerun_sd=float(values.mean(axis=1).std(ddof=1)),
        sample_sd=math.sqrt(video * float((design.counts**2).sum()) / frames**2 + frame / frames),
    )


@dataclass(frozen=True)
class _Design:
    """Sums by video, from which mean squares of any resample of videos follow.

    Attributes:
        counts: frames of each video, (C,).
        sums: of each video's scores by seed, (C, seeds).
        within: the sum of squares of its frames' means about their own mean, (C,).
        squares: the sum of its squared scores, (C,).
        frame_squares: the sum of its frames' squared means, (C,).
    """

    counts: np.ndarray
    sums: np.ndarray
    within: np.ndarray
    squares: np.ndarray
    frame_squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, videos: np.ndarray) -> "_Design":
        values = values - values.mean()  # the variances do not change, the rounding does
        video_index, counts = placed(videos)
        sums = np.stack([np.bincount(video_index, scores) for scores in values], axis=1)
        means = values.mean(axis=0)
        frame_squares = np.bincount(video_index, means**2)
        within = frame_squares - counts * (sums.mean(axis=1) / counts) ** 2
        return cls(counts, sums, within, np.bincount(video_index, (values**2).sum(axis=0)), frame_squares)

    @property
    def parts(self) -> np.ndarray:
        """What each video adds to the sums that the mean squares are made of, (C, 6 + seeds)."""
        seeds = self.sums.shape[1]
        between = self.counts * (self.sums.mean(axis=1) / self.counts) ** 2
        noise = self.squares - seeds * self.frame_squares
        ones = np.ones(len(self.counts))
        return np.column_stack([ones, self.counts, self.counts**2, between, self.within, noise, self.sums])

    def mean_squares(self, totals: np.ndarray) -> np.ndarray:
        """Mean squares of seeds, videos, frames in videos and noise, from sums of `parts` (b, 6 + seeds): (b, 4)."""
        videos, frames, _, between, within, noise = totals[:, :6].T
        seeds, runs = self.sums.shape[1], totals[:, 6:] / frames[:, None]
        mean = runs.mean(axis=1)
        of_seeds = frames * ((runs - mean[:, None]) ** 2).sum(axis=1)
        of_videos = seeds * (between - frames * mean**2)
        of_frames = seeds * within
        of_noise = noise - of_seeds
        degrees = np.maximum(frames - videos, 1.0)  # a resample may have no video of two frames: then of_frames is 0
        return np.stack(
            [
                of_seeds / (seeds - 1),
                of_videos / (videos - 1),
                of_frames / degrees,
                of_noise / ((seeds - 1) * (frames - 1)),
            ],
            axis=1,
        )

    @property
    def components(self) -> Statistic:
        """The variances of seeds, videos, frames and noise, unbiased."""
        return Statistic(self.parts, self.variances)

    def variances(self, totals: np.ndarray) -> np.ndarray:
        """The variances of seeds, videos, frames and noise from sums of `parts` (b, 6 + seeds): (b, 4)."""
        seeds = self.sums.shape[1]
        videos, frames, squared = totals[:, :3].T
        of_seeds, of_videos, of_frames, noise = self.mean_squares(totals).T
        typical = (frames - squared / frames) / (videos - 1)
        return np.stack(
            [
                (of_seeds - noise) / frames,
                (of_videos - of_frames) / (seeds * typical),
                (of_frames - noise) / seeds,
                noise,
            ],
            axis=1,
        )


def _seed_interval(of_seeds: float, noise: float, seeds: int, frames: int) -> list[float]:
    """The interval of the seeds' variance from the ratio of mean squares, for normal S and E (Searle et al. 1992)."""
    if of_seeds == noise == 0:
        return [0.0, 0.0]
    degrees = (seeds - 1, (seeds - 1) * (frames - 1))
    quantiles = [float(f_distribution.ppf(chance, *degrees)) for chance in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)]
    return [max((of_seeds / quantile - noise) / frames, 0.0) for quantile in quantiles]
