"""Two methods on the frames that both were scored on: do their drops and their flips differ, and by how much?

Random regions are several draws, which `compare_with_draws` takes one by one. Between two methods the p-values that
are reported flip the signs of whole videos (`sign_flip_p`). On flips that is McNemar's test for clustered pairs in its
exact form: what it flips is each video's excess of frames that only the first method flips, the numerator of Obuchowski
(1998) and of Durkalski et al. ("Analysis of Clustered Matched-Pair Data", Statistics in Medicine 22, 2003), and with
one frame per video it is McNemar's exact test. McNemar's own p-value, which takes frames as independent, stands beside
it for comparison with other work; with several frames per video it is too small.
"""

from dataclasses import dataclass

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from analysis.statistics.bootstrap import Statistic, estimates, intervals_of
from analysis.statistics.estimate import Estimate
from analysis.statistics.paired_comparison import PairedComparison
from analysis.statistics.permutation import against_draws_p, sign_flip_p
from analysis.statistics.videos import how_many, known, per_video

ROUNDING = 1e-6
"""Of a drop: the same picture in another batch moves it by less. Drops that are closer are equal."""


@dataclass(frozen=True, kw_only=True)
class DropPair(PairedComparison):
    """The first method's drops less the second's, frame by frame.

    Attributes:
        frames, videos: which both methods were scored on.
        cohen_d: the mean over its standard deviation, both over the videos' means (Cohen's d_z); NaN where all agree.
        superiority: the share of frames where the first method's drop is higher, ties counting half; 0.5 is no effect.
    """

    frames: int
    videos: int
    cohen_d: float
    superiority: Estimate


@dataclass(frozen=True, kw_only=True)
class FlipPair(PairedComparison):
    """The first method's flips against the second's, frame by frame.

    Attributes:
        frames, videos: which both methods were scored on.
        both, only_first, only_second, neither: on how many of them who flipped the verdict.
        odds_ratio: only_first to only_second, half a frame added to each (Haldane 1956); 1 is no effect.
        p_mcnemar: McNemar's exact test, as if frames were independent.
    """

    frames: int
    videos: int
    both: int
    only_first: int
    only_second: int
    neither: int
    odds_ratio: Estimate
    p_mcnemar: float


def compare_drops(
    first: np.ndarray, second: np.ndarray, videos: np.ndarray, generator: np.random.Generator
) -> DropPair:
    """Compares two methods' drops frame by frame; a frame that is NaN for one of them does not count.

    Args:
        first: (n,) the first method's drops, or another score in [-1, 1].
        second: (n,) the second method's, on the same frames.
        videos: (n,) the name or number of each frame's video.
        generator: of permutations and resamples.
    """
    videos, (first, second) = known(videos, first, second)
    difference = first - _equal_to(first, second)
    wins = (np.sign(difference) + 1) / 2
    return _pair(difference, wins, videos, sign_flip_p(difference, videos, generator), generator)


def _pair(
    difference: np.ndarray, wins: np.ndarray, videos: np.ndarray, p: float, generator: np.random.Generator
) -> DropPair:
    return DropPair(
        frames=len(videos),
        videos=how_many(videos),
        difference=estimates(difference[:, None], videos, generator, (-2.0, 2.0))[0],
        p=p,
        p_holm=p,
        cohen_d=cohen_d(difference, videos),
        superiority=estimates(wins[:, None], videos, generator, (0.0, 1.0))[0],
    )


def _equal_to(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The others, where they differ from the values by rounding alone the values themselves."""
    return np.where(np.abs(others - values) <= ROUNDING, values, others)


def compare_with_draws(
    method: np.ndarray, draws: np.ndarray, videos: np.ndarray, generator: np.random.Generator
) -> DropPair:
    """Compares a method's drops or flips with several draws of random regions, frame by frame.

    The difference is to the mean of the draws, superiority is over frames and draws, and p is `against_draws_p`. A
    frame that is NaN for the method or for a draw does not count.

    Args:
        method: (n,) the method's scores.
        draws: (n, d) the scores of each draw on the same frames.
        videos: (n,) the name or number of each frame's video.
        generator: of exchanges and resamples.
    """
    videos, (method, draws) = known(videos, method, draws)
    draws = _equal_to(method[:, None], draws)
    difference = method - draws.mean(axis=1)
    wins = ((np.sign(method[:, None] - draws) + 1) / 2).mean(axis=1)
    return _pair(difference, wins, videos, against_draws_p(method, draws, videos, generator), generator)


def compare_flips(
    first: np.ndarray, second: np.ndarray, videos: np.ndarray, generator: np.random.Generator
) -> FlipPair:
    """Compares two methods' flips frame by frame; a frame that is NaN for one of them does not count.

    Args:
        first: (n,) whether the first method flipped each verdict, 0 or 1.
        second: (n,) the same of the second method.
        videos: (n,) the name or number of each frame's video.
        generator: of permutations and resamples.

    Raises:
        ValueError: a flip is neither 0 nor 1; rates over draws or depths are for `compare_drops`.
    """
    videos, (first, second) = known(videos, first, second)
    if not np.isin(np.concatenate([first, second]), (0, 1)).all():
        raise ValueError("flips must be 0 or 1; compare rates by compare_drops")
    first, second = first.astype(bool), second.astype(bool)
    counts = np.array(
        [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    )
    difference = first.astype(float) - second.astype(float)
    p = sign_flip_p(difference, videos, generator)
    return FlipPair(
        frames=len(videos),
        videos=how_many(videos),
        both=int(counts[0, 0]),
        only_first=int(counts[0, 1]),
        only_second=int(counts[1, 0]),
        neither=int(counts[1, 1]),
        difference=estimates(difference[:, None], videos, generator, (-1.0, 1.0))[0],
        odds_ratio=_odds_ratio(first & ~second, second & ~first, videos, generator),
        p=p,
        p_holm=p,
        p_mcnemar=float(mcnemar(counts, exact=True).pvalue),
    )


def cohen_d(differences: np.ndarray, videos: np.ndarray) -> float:
    """Cohen's d_z with videos as the sample: mean over standard deviation of the videos' mean differences (n,).

    NaN with fewer than two videos, and where all agree exactly.
    """
    sums, counts = per_video(differences[:, None], videos)
    means = sums[:, 0] / counts
    if len(means) < 2 or np.ptp(means) <= 1e-12 * np.abs(means).max():
        return float("nan")
    return float(means.mean() / means.std(ddof=1))


def _odds_ratio(
    only_first: np.ndarray, only_second: np.ndarray, videos: np.ndarray, generator: np.random.Generator
) -> Estimate:
    frames = len(videos)
    if not frames:
        return Estimate()
    sums, counts = per_video(np.stack([only_first, only_second], axis=1).astype(float), videos)

    def log_odds(totals: np.ndarray) -> np.ndarray:
        shares = frames * totals[:, :2] / totals[:, 2:]  # in so many frames as there are
        return np.log((shares[:, :1] + 0.5) / (shares[:, 1:] + 0.5))

    extreme = float(np.log(2 * frames + 1))  # only one method ever flips
    ratio = Statistic(np.column_stack([sums, counts]), log_odds)
    value = float(np.exp(ratio.value[0]))
    low, high = np.exp(intervals_of(ratio, counts, generator, (-extreme, extreme))[0])
    return Estimate(value, float(low), float(high), frames, len(counts))
