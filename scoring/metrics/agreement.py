"""How alike two saliency maps are: what stability and randomisation ask."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from scoring.metrics.base import CONSTANT, Case, Undefined
from xai.ranking import rank, top_region


def pearson(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Pearson's correlation of two (N,) sequences; `Undefined` where either is the same throughout."""
    a, b = (np.asarray(values, dtype=np.float64) - np.mean(values) for values in (first, second))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return Undefined("one of two series is the same throughout")
    return float(np.clip((a @ b) / math.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two maps (H, W), ties at their mean rank; `Undefined` where one has one value only."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return Undefined(CONSTANT)
    return pearson(rankdata(first), rankdata(second))


def top_overlap(case: Case, other: np.ndarray, k: int) -> float:
    """Intersection over union of the k best segments of the case's saliency and of another map (H, W), in [0, 1]."""
    count = min(k, int(case.segments.max()) + 1)
    regions = [top_region(case.segments, rank(saliency, case.segments), count) for saliency in (case.saliency, other)]
    return float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum())


def mean_agreement(case: Case, others: list[np.ndarray], k: int) -> dict[str, float]:
    """The mean `correlation` and `overlap` of a case's saliency with other maps of its frame.

    The correlation is `Undefined` where one of the maps is the same everywhere: it then ranks nothing.
    """
    correlations = [rank_correlation(case.saliency, other) for other in others]
    missing = [correlation for correlation in correlations if isinstance(correlation, Undefined)]
    return {
        "correlation": missing[0] if missing else float(np.mean(correlations)),
        "overlap": float(np.mean([top_overlap(case, other, k) for other in others])),
    }
