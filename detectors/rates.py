"""How well a score tells fakes from real frames: area under the ROC curve, equal error rate, rates at a threshold."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

ROUNDING = 1e-6
"""Of log-odds: by how much those of one and the same probability may differ, as logits are float32."""


@dataclass(frozen=True)
class EqualErrorRate:
    """Where as large a part of the real frames is called fake as of the fakes is called real.

    Attributes:
        rate: that part, in [0, 1]; 0.5 is chance.
        threshold: the score from which a frame is called fake.
    """

    rate: float
    threshold: float


@dataclass(frozen=True)
class ErrorRates:
    """The two errors at one threshold, parts in [0, 1].

    Attributes:
        false_positive: of the real frames, the part called fake.
        false_negative: of the fakes, the part called real.
    """

    false_positive: float
    false_negative: float


def tied(log_odds: ArrayLike) -> np.ndarray:
    """Log-odds (N,) as float64, of which those that rounding alone parts are equal.

    Of one class against several, the sum over these rounds otherwise in another order, however a frame was judged. No
    two that are further apart than ROUNDING become equal, however many lie between.
    """
    distinct, places = np.unique(np.asarray(log_odds, dtype=np.float64), return_inverse=True)
    end = 0
    for start in np.flatnonzero(np.diff(distinct) <= ROUNDING).tolist():  # as a rule none or few
        if start >= end:
            end = int(np.searchsorted(distinct, distinct[start] + ROUNDING, side="right"))
            distinct[start:end] = distinct[start]
    return distinct[places]


def auc(scores: ArrayLike, fake: ArrayLike) -> float | None:
    """The area under the ROC curve: the probability that a fake scores above a real frame, a tie counting half.

    `scores` (N,), higher meaning more fake; `fake` (N,), which frames are. None where one of the two is absent.
    Raises ValueError for another shape and for a score that is not a number.
    """
    values, truth = _checked(scores, fake)
    if truth.all() or not truth.any():
        return None
    return float(roc_auc_score(truth, values))


def auc_interval(value: float, real: int, fake: int, level: float = 0.95) -> tuple[float, float]:
    """A confidence interval of an area under the ROC curve, from independent real and fake samples.

    It is the range of areas that `value` does not contradict: a score interval with the variance of Hanley and McNeil
    (Radiology 1982) at the mean of both sample sizes (Newcombe, Statistics in Medicine 2006, method 5), which holds for
    few samples and near 0 and 1, too.

    Args:
        value: the area that was found, in [0, 1].
        real: how many real samples, at least 1.
        fake: how many fake ones, at least 1.
        level: how often such intervals hold the true area, between 0 and 1.

    Returns:
        Its ends, in [0, 1].
    """
    z, samples = float(norm.ppf((1 + level) / 2)), (real + fake) / 2

    def beyond(area: float) -> float:
        """How far the found area is from `area`, less than which is within the interval; negative inside."""
        spread = 1 + (samples - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        return abs(value - area) - z * math.sqrt(area * (1 - area) * spread / (real * fake))

    nearly = 1e-12  # at 0 and 1 themselves the spread is zero
    low = 0.0 if value == 0 else float(brentq(beyond, 0, min(value, 1 - nearly)))
    high = 1.0 if value == 1 else float(brentq(beyond, max(value, nearly), 1))
    return low, high


def equal_error_rate(scores: ArrayLike, fake: ArrayLike) -> EqualErrorRate | None:
    """The point of the ROC curve where false-positive and false-negative rate are equal, and its threshold.

    Arguments and errors as for `auc`. Frames of equal score are called fake together, and the curve is linear
    between neighbouring points. The threshold is the middle of those that give the rate; where none does, it is
    linear between the two neighbouring scores too.
    """
    values, truth = _checked(scores, fake)
    if truth.all() or not truth.any():
        return None
    false_positive, true_positive, thresholds = roc_curve(truth, values, drop_intermediate=False)
    thresholds[0] = thresholds[1]  # scikit-learn's is infinite: nothing is called fake
    fakes, reals = int(truth.sum()), int((~truth).sum())
    counts = np.rint(false_positive * reals) * fakes + np.rint(true_positive * fakes) * reals
    excess = counts - fakes * reals  # FPR - FNR in whole numbers: rises from point to point, from below zero to above
    after = int(np.searchsorted(excess, 0))
    if excess[after] == 0:
        return EqualErrorRate(float(false_positive[after]), float(thresholds[after : after + 2].mean()))
    share = excess[after - 1] / (excess[after - 1] - excess[after])

    def between(values: np.ndarray) -> float:
        return float(values[after - 1] + share * (values[after] - values[after - 1]))

    return EqualErrorRate(between(false_positive), between(thresholds))


def error_rates(scores: ArrayLike, fake: ArrayLike, threshold: float) -> ErrorRates | None:
    """The errors of calling fake what scores at least `threshold`; arguments, None and errors as for `auc`."""
    values, truth = _checked(scores, fake)
    if truth.all() or not truth.any():
        return None
    called = values >= threshold
    return ErrorRates(float(called[~truth].mean()), float((~called[truth]).mean()))


def _checked(scores: ArrayLike, fake: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(fake, dtype=bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"expected N scores and N labels, got {values.shape} and {truth.shape}")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} of {len(values)} scores are not a number")
    return values, truth
