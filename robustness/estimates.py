"""Rates with intervals whose sample is the videos."""

from collections.abc import Sequence

import numpy as np

from analysis.statistics import Estimate, intervals
from common.seeds import generator


def rate(values: Sequence[bool], videos: Sequence[str], seed: int) -> Estimate:
    """Estimates the share of True with its 95 % interval, one video per value; NaN without a value."""
    return rates(np.asarray(values, dtype=float)[:, None], videos, seed)[0]


def rates(values: np.ndarray, videos: Sequence[str], seed: int) -> list[Estimate]:
    """Estimates the means of the columns of `values` (n, m) in [0, 1] with their 95 % intervals.

    All columns share the resamples. An interval is NaN with fewer than two videos, the mean too with no frame.
    """
    if not len(values):
        return [Estimate()] * values.shape[1]
    limits = intervals(values, np.asarray(videos), generator(seed, "robustness", "interval"), (0.0, 1.0))
    means, counted = values.mean(axis=0), (len(values), len(set(videos)))
    return [
        Estimate(float(mean), float(low), float(high), *counted)
        for mean, (low, high) in zip(means, limits, strict=True)
    ]
