"""Statistics for frames that come from videos: frames of one video are not independent, so videos are the unit.

Everything here takes values per frame and the video of each frame, and treats the videos as the sample.
"""

from itertools import product

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
DRAWS = 10_000
EXACT_VIDEOS = 12  # up to here all 2^videos sign patterns are enumerated
_CHUNK = 1000


def bootstrap_means(
    values: np.ndarray, videos: np.ndarray, generator: np.random.Generator, draws: int = DRAWS
) -> np.ndarray:
    """Means over frames in `draws` resamples of whole videos with replacement: (draws, m).

    `values` is (n, m), one column per quantity, `videos` (n,) names each frame's video. All columns share the
    resamples, so that differences between columns are paired.
    """
    sums, counts = _per_video(values, videos)
    chance = np.full(len(counts), 1 / len(counts))
    means = []
    for start in range(0, draws, _CHUNK):
        weights = generator.multinomial(len(counts), chance, size=min(_CHUNK, draws - start)).astype(float)
        means.append(weights @ sums / (weights @ counts)[:, None])
    return np.concatenate(means)


def intervals(
    values: np.ndarray,
    videos: np.ndarray,
    generator: np.random.Generator,
    bounds: tuple[float, float],
    level: float = LEVEL,
    draws: int = DRAWS,
) -> np.ndarray:
    """Confidence intervals of the means of the columns of `values` (n, m): (m, 2), NaN with fewer than two videos.

    Percentile bootstrap over videos, with percentiles moved out so that few videos do not make it too narrow
    (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69(4), 2015, sec. 5).

    Where all videos agree exactly (every frame flips, say) the bootstrap has no spread. There the interval is
    what an exact binomial bound (Clopper and Pearson 1934) on the share of videos that would differ allows,
    with values inside `bounds`: 12 of 12 videos at 1.0 give [0.74, 1].
    """
    count = len(np.unique(videos))
    if count < 2:
        return np.full((values.shape[1], 2), np.nan)
    tail = expanded_tail(count, level)
    means = bootstrap_means(values, videos, generator, draws)
    found = np.quantile(means, [tail, 1 - tail], axis=0).T
    same = np.ptp(values, axis=0) == 0
    value, unseen = values[0, same], 1 - ((1 - level) / 2) ** (1 / count)
    low, high = bounds
    found[same] = np.stack([value - unseen * (value - low), value + unseen * (high - value)], axis=1)
    return found


def expanded_tail(videos: int, level: float = LEVEL) -> float:
    """The probability to cut off at each end of a bootstrap over `videos` clusters, less than (1 - level) / 2.

    Resampling makes the spread of a mean too small by sqrt((n - 1) / n) and has no t quantile; both are made up
    for (Hesterberg 2015).
    """
    quantile = t.ppf((1 - level) / 2, videos - 1)
    return float(norm.cdf(quantile * np.sqrt(videos / (videos - 1))))


def sign_flip_p(differences: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> float:
    """The two-sided p-value that paired differences (n,) have mean zero: a permutation test over whole videos.

    If two methods did not differ, each video's sum of differences would be as likely with the other sign. All
    2^videos sign patterns are enumerated for up to 12 videos; beyond, 10,000 are drawn, and the observed one is
    counted among them (Phipson and Smyth 2010). NaN with fewer than two videos.
    """
    sums = _per_video(differences[:, None], videos)[0][:, 0]
    if len(sums) < 2:
        return float("nan")
    extreme = abs(sums.sum()) - 1e-9 * max(1.0, np.abs(sums).sum())  # equal up to rounding is equal
    if len(sums) <= EXACT_VIDEOS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(sums))))
        return float(np.mean(np.abs(signs @ sums) >= extreme))
    reached = 0
    for _ in range(DRAWS // _CHUNK):
        signs = generator.choice((-1.0, 1.0), size=(_CHUNK, len(sums)))
        reached += int(np.sum(np.abs(signs @ sums) >= extreme))
    return (1 + reached) / (1 + DRAWS)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values (m,) adjusted for testing m at once (Holm 1979); NaN stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    order = [int(i) for i in np.argsort(p) if not np.isnan(p[i])]
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * float(p[i])))
        adjusted[i] = largest
    return adjusted


def smallest_p(videos: int) -> float:
    """The smallest p-value that `sign_flip_p` can give with so many videos."""
    return 2.0 ** (1 - videos) if videos <= EXACT_VIDEOS else 1 / (1 + DRAWS)


def _per_video(values: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the columns of `values` in each video (C, m), and its number of frames (C,)."""
    _, place = np.unique(videos, return_inverse=True)
    counts = np.bincount(place).astype(float)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, place, values)
    return sums, counts
