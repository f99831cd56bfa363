"""Tests that need no distribution: signs of whole videos are flipped; and p-values corrected for many tests."""

import numpy as np

from analysis.statistics.videos import per_video, pooled

EXACT_VIDEOS = 12  # up to here all 2^videos sign patterns are enumerated
PERMUTATIONS = 10_000
_CHUNK = 1000


def sign_flip_p(differences: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> float:
    """Tests whether paired differences (n,) have mean zero by a permutation of whole videos: the two-sided p-value.

    If two methods did not differ, each video's sum of differences would be as likely with the other sign. All
    2^videos sign patterns are enumerated for up to 12 videos; beyond, 10,000 are drawn, and the observed one is
    counted among them (Phipson and Smyth 2010). Many videos flip in groups (`videos.pooled`). NaN with fewer than two.
    """
    return float(sign_flip_ps(differences[:, None], videos, generator)[0])


def sign_flip_ps(differences: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """`sign_flip_p` of each column of `differences` (n, m): (m,). All columns share the signs that are drawn."""
    sums = pooled(per_video(differences, videos)[0])
    if len(sums) < 2:
        return np.full(sums.shape[1], np.nan)
    extreme = np.abs(sums.sum(axis=0)) - 1e-9 * np.maximum(1.0, np.abs(sums).sum(axis=0))  # equal up to rounding
    if len(sums) <= EXACT_VIDEOS:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        signs = 2.0 * bits - 1
        shares: np.ndarray = np.mean(np.abs(signs @ sums) >= extreme, axis=0)
        return shares
    reached = np.zeros(sums.shape[1])
    for _ in range(PERMUTATIONS // _CHUNK):
        signs = generator.choice((-1.0, 1.0), size=(_CHUNK, len(sums)))
        reached += np.sum(np.abs(signs @ sums) >= extreme, axis=0)
    return (1 + reached) / (1 + PERMUTATIONS)


def against_draws_p(method: np.ndarray, draws: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> float:
    """Tests whether a method's scores are those of one more random draw: the two-sided p-value.

    Not the sign-flip test on the method less the mean of the draws: where flips are rare that mean is hardly ever 0,
    nearly all differences have one sign, and no flips at all look like an effect. Here in each video the method is
    exchanged for one of the draws, or not: if it is no better than random, any of the d + 1 is as likely to be it.
    With one draw this is the sign-flip test. The statistic is studentised, so that the test also holds its level for
    the mean where a method varies more between videos than draws do (Janssen, Statistics & Probability Letters 36,
    1997); the p-value is twice the smaller tail's, of 10,000 exchanges and the observed one. NaN with fewer than two
    videos.

    Args:
        method: (n,) the method's scores.
        draws: (n, d) the scores of each random draw on the same frames.
        videos: (n,) the name or number of each frame's video.
        generator: of the exchanges.
    """
    if draws.shape[1] == 1:
        return sign_flip_p(method - draws[:, 0], videos, generator)
    sums = pooled(per_video(np.column_stack([method, draws]), videos)[0])
    count, baselines = sums.shape
    if count < 2:
        return float("nan")
    ahead = sums - (sums.sum(axis=1, keepdims=True) - sums) / (baselines - 1)  # of the mean of the others
    chosen = generator.integers(baselines, size=(PERMUTATIONS, count))
    exchanged = _studentised(ahead[np.arange(count), chosen])
    observed = _studentised(ahead[None, :, 0])[0]
    tails = (np.sum(exchanged >= observed - 1e-9), np.sum(exchanged <= observed + 1e-9))
    return float(min(1.0, 2 * (1 + min(tails)) / (1 + PERMUTATIONS)))


def _studentised(ahead: np.ndarray) -> np.ndarray:
    """Sums of rows (b, C) over the root of their sums of squares: monotone in Student's t; 0 where all are 0."""
    squares = (ahead**2).sum(axis=1)
    return np.asarray(ahead.sum(axis=1) / np.sqrt(np.where(squares > 0, squares, 1.0)))


def smallest_p(videos: int, draws: int = 1) -> float:
    """The smallest p-value that `sign_flip_p` can give with so many videos, or `against_draws_p` with several draws."""
    if draws > 1:
        return max(2 * (draws + 1.0) ** -videos, 2 / (1 + PERMUTATIONS))
    return 2.0 ** (1 - videos) if videos <= EXACT_VIDEOS else 1 / (1 + PERMUTATIONS)


def videos_needed(tests: int, draws: int = 1, level: float = 0.05) -> int:
    """How many videos it takes at least until one of so many corrected tests can reach the level.

    `draws` is how many random draws a method is compared with; 1 for the sign-flip test.
    """
    return next(videos for videos in range(2, 100) if smallest_p(videos, draws) * max(tests, 1) < level)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusts p-values (m,) for testing m at once (Holm 1979); NaN stays NaN and does not count as a test.

    Not statsmodels' `multipletests`: it counts a NaN as one more test, and collects garbage at every call, which takes
    longer than all else here.
    """
    adjusted = np.full(len(p), np.nan)
    order = [int(i) for i in np.argsort(p) if not np.isnan(p[i])]
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(p[i])))
        adjusted[i] = largest
    return adjusted
