"""From a saliency map to ranked segments, and from a ranking to the region of its best."""

import numpy as np

from common.errors import InputError

TOP = 3  # the segments of a ranking that are attacked in every run
_ROUNDING = 1e-12  # of means in float64, relative to the largest: what differs by less is tied


def segment_scores(saliency: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The mean saliency in each segment, (K,) float64.

    `saliency` (H, W), `segments` (H, W) labels 0..K-1. Raises InputError where the shapes differ, a label has no
    pixel, or the saliency is not finite everywhere.
    """
    if saliency.shape != segments.shape:
        raise InputError(f"the saliency map is {saliency.shape} and the segments are {segments.shape}: they must agree")
    if not np.isfinite(saliency).all():
        raise InputError("the saliency map has values that are not finite, so its segments cannot be ranked")
    labels = segments.ravel()
    areas = np.bincount(labels)
    if not areas.all():
        raise InputError(f"segment {int(np.argmin(areas))} has no pixel: labels must be 0..K-1 without gaps")
    return np.bincount(labels, weights=saliency.ravel().astype(np.float64)) / areas


def rank(saliency: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The labels of the segments by their mean saliency, best first, (K,) int64; the lower label first on ties.

    Raises InputError as `segment_scores` does.
    """
    return np.argsort(-segment_scores(saliency, segments), kind="stable")


def top_region(segments: np.ndarray, ranking: np.ndarray, k: int) -> np.ndarray:
    """The pixels of the k best segments, (H, W) bool. Raises InputError unless 1 <= k <= K."""
    if not 1 <= k <= len(ranking):
        raise InputError(f"the top {k} segments were asked for, but the ranking has {len(ranking)}")
    return np.isin(segments, ranking[:k])


def positive_segments(saliency: np.ndarray, segments: np.ndarray) -> int:
    """How many segments speak for the class: those whose mean saliency is above 0."""
    return int((segment_scores(saliency, segments) > 0).sum())


def is_weak(saliency: np.ndarray, segments: np.ndarray) -> bool:
    """Whether a ranking says little: fewer than three segments speak for the class, or its best three are tied.

    A segment speaks for the class where its mean saliency is above zero. Zero is neutral for LIME's weights, SHAP's
    values and Sobol indices; RISE's saliency is a mean score and so above zero everywhere. The best three are tied
    where two of them count alike, or the third and the fourth: which is attacked first, or at all, then follows from
    the segments' labels and not from the explanation. The published code drops an image from LIME's row for fewer than
    three positive segments; here every image is ranked, and the weak rankings are counted.
    """
    scores = np.sort(segment_scores(saliency, segments))[::-1]
    gaps = -np.diff(scores[: TOP + 1])
    return bool((scores > 0).sum() < TOP or (gaps <= _ROUNDING * np.abs(scores).max()).any())
