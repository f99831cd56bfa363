"""How far the importance of segments would move with other draws, estimated from the samples of one explanation.

Every estimator gives a covariance (K, K) of the segments' importance over re-runs, from the samples that were drawn.
Samples that were not drawn alone (a subset and its complement, a design of a balanced sequence) are named by groups:
groups are taken to be independent, samples of one group not. Plain draws, the published ones, are groups of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Covariance = np.ndarray | None
"""Of the segments' importance, (K, K) float64: all zero where nothing is drawn, None where it is not known."""

Groups = Sequence[int] | np.ndarray
"""The group of each sample, (N,), numbered from 0."""

_DETERMINED = 1e-9  # a residual's share of its sample's noise below which the sample was fitted, not measured


@dataclass(frozen=True, eq=False)
class SampledMap:
    """A saliency map, and how far other draws would move it.

    Attributes:
        saliency: (H, W), higher is more important.
        covariance: of the segments' mean saliency over re-runs.
    """

    saliency: np.ndarray
    covariance: Covariance


def without_draws(segments: np.ndarray) -> np.ndarray:
    """The covariance (K, K) of an explanation that draws nothing; `segments` is (H, W) with labels 0..K-1."""
    count = int(segments.max()) + 1
    return np.zeros((count, count))


def covariance_of_mean(values: np.ndarray, groups: Groups | None = None) -> Covariance:
    """Of the mean of `values` (N, K), which were drawn in independent groups; None with fewer than two.

    Correlations from few groups are mostly noise, and say of many segments that they move together; so they are shrunk
    towards 0 as Schaefer and Strimmer (2005) do. Variances are not.

    Args:
        values: one line for each sample.
        groups: (N,) the group of each sample, numbered from 0; None where each is one of its own.
    """
    sums = _by_group(values - values.mean(axis=0), groups)
    if len(sums) < 2:
        return None
    covariance = len(sums) / (len(sums) - 1) * sums.T @ sums / len(values) ** 2
    deviations = np.sqrt(np.diag(covariance))
    scale = np.outer(deviations, deviations)
    correlations = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(correlations, 0.0)
    squares = correlations**2
    noise = ((1 - squares) ** 2).sum() - len(squares)  # of the elements off the diagonal, times the groups but one
    kept = 1 - min(1.0, noise / (len(sums) - 1) / squares.sum()) if squares.any() else 0.0
    return scale * (kept * correlations + np.eye(len(scale)))


def covariance_of_jackknife(replicates: np.ndarray) -> Covariance:
    """Of what was computed of all samples, from what is computed without each of some equal parts of them.

    `replicates` is (G, K), a line for each part left out; None with fewer than two.
    """
    return covariance_of_mean((len(replicates) - 1) * replicates)


def covariance_of_ridge(
    design: np.ndarray,
    scores: np.ndarray,
    proximities: np.ndarray,
    alpha: float,
    fixed: int = 1,
    groups: Groups | None = None,
) -> Covariance:
    """Of the weights of a weighted ridge regression with intercept, robust to unequal noise (a sandwich estimator).

    What a linear model leaves of the scores, interactions above all, depends on the subsets that were drawn; that is
    the noise. A sample's residual is smaller than its noise, as the fit follows it: each is divided by the root of the
    share that is left on the mean (MacKinnon and White's HC2, for a ridge); those of a group together, by the matrix
    root (Bell and McCaffrey 2002). None where some sample or group is fitted exactly, or fewer than two groups were
    drawn.

    Args:
        design: (N, K) which segments each sample shows.
        scores: (N,) their scores.
        proximities: (N,) their weights, above 0.
        alpha: the ridge penalty, at least 0.
        fixed: how many samples at the beginning are no draws, but the same in every run.
        groups: (N - fixed,) the group of each sample that was drawn; None where each is one of its own.
    """
    share, roots = proximities / proximities.sum(), np.sqrt(proximities)
    centred = (design - share @ design) * roots[:, None]
    gram = centred.T @ centred
    penalised = gram + alpha * np.eye(len(gram))
    if np.linalg.matrix_rank(penalised, hermitian=True) < len(gram):
        return None
    influence = np.linalg.solve(penalised, centred.T).T
    residuals = (scores - share @ scores) * roots - centred @ (influence.T @ ((scores - share @ scores) * roots))
    leverage = share + (influence * centred).sum(axis=1)
    left = 1 - 2 * leverage + share + (influence @ gram * influence).sum(axis=1)
    if left.min() < _DETERMINED:
        return None
    noise = residuals / np.sqrt(left)
    if groups is not None:
        for members in _members(groups):
            at = members + fixed
            followed = influence[at] @ (2 * centred[at] - influence[at] @ gram).T + np.sqrt(
                np.outer(share[at], share[at])
            )
            values, vectors = np.linalg.eigh(np.eye(len(at)) - followed)
            if values.min() < _DETERMINED:
                return None
            noise[at] = vectors @ (vectors.T @ residuals[at] / np.sqrt(values))
    parts = influence * noise[:, None]
    drawn = parts[fixed:]
    covariance = covariance_of_mean(drawn, groups)
    return None if covariance is None else covariance * len(drawn) ** 2


def covariance_of_total_indices(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Covariance:
    """Of Jansen's total-order Sobol indices (D,), over the designs that they are means of; None with fewer than two.

    The variance in the denominator is drawn as well; its part is taken along to first order.

    Args:
        a: (N,) the values on A.
        b: (N,) on B.
        c: (D, N) on the C_i.
    """
    designs, both = len(a), np.concatenate([a, b])
    variance = both.var(ddof=1) if designs > 1 else 0.0
    if variance == 0:
        return np.zeros((len(c), len(c))) if designs > 1 else None
    halves = (a - c) ** 2 / 2
    indices = halves.mean(axis=1, keepdims=True) / variance
    spread = ((a - both.mean()) ** 2 + (b - both.mean()) ** 2) / 2 * (2 * designs / (2 * designs - 1))
    return covariance_of_mean(((halves - indices * spread) / variance).T)


def covariance_of_masks(
    shown: np.ndarray, scores: np.ndarray, keep: float, centred: bool, groups: Groups | None = None
) -> Covariance:
    """Of RISE's saliency: the mean of the masks, weighted by their scores, over the masks; None with fewer than two.

    Args:
        shown: (N, K) the mean of each mask in each segment.
        scores: (N,) their scores.
        keep: the probability that a pixel is shown.
        centred: whether masks are weighted by the scores' deviations from their mean, which is added back.
        groups: (N,) the group of each mask; None where each is one of its own.
    """
    if not centred:
        return covariance_of_mean(scores[:, None] * shown / keep, groups)
    around, kept = (scores - scores.mean())[:, None], shown - shown.mean(axis=0)
    return covariance_of_mean(around * kept / keep + scores[:, None], groups)


def of_segments(covariance: Covariance, cells: np.ndarray, segments: np.ndarray) -> Covariance:
    """The covariance (K, K) of the means in segments of a map whose pixels have the values of cells.

    Args:
        covariance: (D, D) of the cells' values.
        cells: (H, W) the cell of each pixel, 0..D-1.
        segments: (H, W) labels 0..K-1.
    """
    if covariance is None:
        return None
    shares = np.zeros((segments.max() + 1, len(covariance)))
    np.add.at(shares, (segments.ravel(), cells.ravel()), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares @ covariance @ shares.T


def _members(groups: Groups) -> list[np.ndarray]:
    """The samples of each group, by their indices."""
    labels = np.asarray(groups)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])


def _by_group(values: np.ndarray, groups: Groups | None) -> np.ndarray:
    """The sums (G, K) of the values (N, K) of each group."""
    if groups is None:
        return values
    sums = np.zeros((max(groups) + 1, values.shape[1]))
    np.add.at(sums, np.asarray(groups), values)
    return sums
