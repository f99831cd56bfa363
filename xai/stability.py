"""How probable it is that another run of a sampled explanation would point at the same segments."""

import numpy as np

from xai.sampling_error import Covariance

BEST = 3
CERTAIN = 0.95
"""The probability from which on something is called certain."""

_RE_RUNS = 2000  # simulated: a probability is found to within about 0.01
_STEPS = 100  # of the maximum likelihood
_ROUNDING = 1e-6  # a share of the largest importance: what differs by less is not told apart in float32


def same_best(importance: np.ndarray, covariance: Covariance) -> np.ndarray:
    """The probability that a re-run has the same k best segments, in whatever order, for each k from 1 to K; (K,).

    It is 0 where nothing is known: without a covariance, or where all segments are alike. Else it is 1 where nothing is
    drawn, and for all segments together.

    Args:
        importance: (K,) of the segments, higher is more important; finite.
        covariance: (K, K) of it over re-runs; all zero where nothing is drawn, None where it is not known.
    """
    again = re_run_orders(importance, covariance)
    if again is None:
        return np.zeros(len(importance))
    seen = np.argsort(_order(importance))  # the rank of each segment, from 0
    lowest = np.maximum.accumulate(seen[again], axis=1)  # the lowest rank seen of the first k of a re-run
    return np.asarray((lowest == np.arange(len(importance))).mean(axis=0))


def same_rank(importance: np.ndarray, covariance: Covariance, ranks: int = BEST) -> np.ndarray:
    """The probability that a re-run gives each of the best segments the same rank, best first; (min(ranks, K),).

    Args:
        importance: (K,) as for `same_best`, as are what it means and what is 0 or 1.
        covariance: of it over re-runs.
        ranks: how many of the best segments.
    """
    again = re_run_orders(importance, covariance)
    if again is None:
        return np.zeros(min(ranks, len(importance)))
    return np.asarray((again[:, :ranks] == _order(importance)[:ranks]).mean(axis=0))


def is_flat(importance: np.ndarray) -> bool:
    """Whether all segments' importance (K,) is alike, up to rounding: nothing is ranked then."""
    return bool(np.ptp(importance) <= _ROUNDING * np.abs(importance).max())


def re_run_orders(importance: np.ndarray, covariance: Covariance) -> np.ndarray | None:
    """The orders of the segments in simulated re-runs, (runs, K), best first; None where nothing is known.

    The importance seen is the true one and the draws' error; a re-run's is the true one and a new error. The segments
    that a run puts first are on the mean ahead by luck, too. So the true importance is drawn from what is probable of
    it given the one seen (`_kept_shares`), and a new error is added; all errors are as correlated as the covariance
    says.
    """
    if covariance is None or is_flat(importance):
        return None
    if not covariance.any():
        return _order(importance)[None]
    error = covariance - covariance.mean(axis=0)  # what all segments share moves no rank
    error = error - error.mean(axis=1, keepdims=True)
    draws = np.random.default_rng(0)
    around = importance - np.median(importance)
    kept = _kept_shares(around, np.diag(error), draws)
    old, new = draws.standard_normal((2, _RE_RUNS, len(importance))) @ _root(error).T
    return _order(kept * around + np.sqrt(kept) * old + new)


def _kept_shares(around: np.ndarray, variances: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Draws of the share of each segment's importance that is no luck, (runs, K) in [0, 1).

    Adaptive shrinkage (Stephens 2017): the true values are taken to be normal about the common value, with a variance
    that is itself one of several; how common each is among the segments is found by maximum likelihood. So where most
    segments are alike but for noise, these are drawn together, and one that stands out is left where it is.

    Args:
        around: (K,) the importance less the common value.
        variances: (K,) of its error, at least 0.
        draws: of the runs.
    """
    floor = max(float(variances.max()), float((around**2).max())) * 1e-12
    errors = variances.clip(min=floor)
    prior = np.concatenate([[0.0], errors.mean() * 2.0 ** np.arange(-4, 1 + np.log2((around**2 / errors).max() + 1))])
    total = prior + errors[:, None]
    likelihood = np.exp(-0.5 * (around[:, None] ** 2 / total - (around**2 / total.max(axis=1))[:, None])) / np.sqrt(
        total
    )
    weights = np.full(len(prior), 1 / len(prior))
    for _ in range(_STEPS):
        probable = weights * likelihood
        probable /= probable.sum(axis=1, keepdims=True)
        weights = probable.mean(axis=0)
    steps = probable.cumsum(axis=1)[None] < draws.random((_RE_RUNS, len(around)))[:, :, None]
    return np.asarray((prior / total)[np.arange(len(around)), steps.sum(axis=2).clip(max=len(prior) - 1)])


def _order(importance: np.ndarray) -> np.ndarray:
    """The segments, best first, the lower label first on ties, as `xai.ranking.rank` has them; along the last axis."""
    return np.argsort(-importance, axis=-1, kind="stable")


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R (K, K) with R R' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(values.clip(min=0.0))


def same_at_end(importance: np.ndarray, covariance: Covariance, share: float, depths: tuple[int, ...]) -> float:
    """The probability that the samples still to come leave the same best segments, of every depth together.

    The importance at the end is the mean of that of the samples seen and that of the others, which are as many as there
    are and know the true importance no better. It is 0 where nothing is known, as for `same_best`.

    Args:
        importance: (K,) of the segments by the samples seen, higher is more important; finite.
        covariance: (K, K) of it; all zero where nothing is drawn, None where it is not known.
        share: of all samples, those seen; in (0, 1].
        depths: of how many best segments the sets stay the same.
    """
    if covariance is None or is_flat(importance):
        return 0.0
    if not covariance.any() or share == 1:
        return 1.0
    draws = np.random.default_rng(0)
    error = covariance - covariance.mean(axis=0)
    error = error - error.mean(axis=1, keepdims=True)
    around = importance - np.median(importance)
    kept = _kept_shares(around, np.diag(error), draws)
    old, new = draws.standard_normal((2, _RE_RUNS, len(importance))) @ _root(error).T
    others = kept * around + np.sqrt(kept) * old + np.sqrt(share / (1 - share)) * new
    again, seen = _order(share * around + (1 - share) * others), _order(importance)
    return float(np.all([np.isin(again[:, :k], seen[:k]).all(axis=1) for k in depths], axis=0).mean())
