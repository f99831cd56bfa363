"""Tests that need no distribution: signs of whole videos are flipped; and what many tests at once cost."""

from itertools import product

import numpy as np
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from scoring.statistics.videos import per_video

EXACT_VIDEOS = 12  # up to here all 2^videos sign patterns are enumerated
PERMUTATIONS = 10_000
_CHUNK = 1000


def sign_flip_p(differences: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> float:
    """The two-sided p-value that paired differences (n,) have mean zero: a permutation test over whole videos.

    If two methods did not differ, each video's sum of differences would be as likely with the other sign. All
    2^videos sign patterns are enumerated for up to 12 videos; beyond, 10,000 are drawn, and the observed one is
    counted among them (Phipson and Smyth 2010). NaN with fewer than two videos.
    """
    return float(sign_flip_ps(differences[:, None], videos, generator)[0])


def sign_flip_ps(differences: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """`sign_flip_p` of each column of `differences` (n, m): (m,). All columns share the signs that are drawn."""
    sums = per_video(differences, videos)[0]
    if len(sums) < 2:
        return np.full(sums.shape[1], np.nan)
    extreme = np.abs(sums.sum(axis=0)) - 1e-9 * np.maximum(1.0, np.abs(sums).sum(axis=0))  # equal up to rounding
    if len(sums) <= EXACT_VIDEOS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(sums))))
        shares: np.ndarray = np.mean(np.abs(signs @ sums) >= extreme, axis=0)
        return shares
    reached = np.zeros(sums.shape[1])
    for _ in range(PERMUTATIONS // _CHUNK):
        signs = generator.choice((-1.0, 1.0), size=(_CHUNK, len(sums)))
        reached += np.sum(np.abs(signs @ sums) >= extreme, axis=0)
    return (1 + reached) / (1 + PERMUTATIONS)


def smallest_p(videos: int) -> float:
    """The smallest p-value that `sign_flip_p` can give with so many videos."""
    return 2.0 ** (1 - videos) if videos <= EXACT_VIDEOS else 1 / (1 + PERMUTATIONS)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values (m,) adjusted for testing m at once (Holm 1979); NaN stays NaN and does not count as a test.

    statsmodels counts a NaN as one more test, so it is given the others only.
    """
    adjusted, given = np.full(len(p), np.nan), ~np.isnan(p)
    if given.any():
        adjusted[given] = multipletests(p[given], method="holm")[1]
    return adjusted
