"""Any explainer as a sampled one: its map, checked, and how far other draws would move the segments' importance.

What an explainer says of its draws, in the order in which it is believed:

- `sampled` (`xai.base.SampledExplainer`): it estimates the error from its own samples;
- `deterministic`, true: it draws nothing, so that another run gives the same map;
- `repeats`, a number: it is run so many times with draws of their own. Its map is the mean of theirs, and their spread
  is the error of the mean. Each run takes as many samples as one always does;
- none of these: the error is not known, and nothing is called certain.
"""

import numpy as np
from torch import Tensor

from common.errors import InputError
from xai.base import Explainer, Fill, SampledExplainer, Score
from xai.kept_order import kept_order
from xai.ranking import segment_scores
from xai.sampling_error import Covariance, SampledMap, covariance_of_mean, without_draws

ROUNDING = 1e-6
"""Of the largest entry: how far a covariance may be from one for its arithmetic, in float32."""


def sampled_map(
    explainer: Explainer,
    score: Score,
    image: Tensor,
    segments: np.ndarray,
    fill: Fill,
    generator: np.random.Generator,
    name: str,
) -> SampledMap:
    """The map of an explainer with its sampling error; arguments as for `xai.base.Explainer`, and what to call it.

    Raises InputError where the explainer does, where its map is not finite and of the image's size, and where what it
    says of its draws cannot be.
    """
    if isinstance(explainer, SampledExplainer):
        made = explainer.sampled(score, image, segments, fill, generator)
        if not isinstance(made, SampledMap):
            raise InputError(f"method {name!r}: `sampled` returned {type(made).__name__} instead of a SampledMap")
        covariance = _checked_covariance(made.covariance, int(segments.max()) + 1, name)
        return SampledMap(checked_saliency(made.saliency, segments.shape, name), covariance)
    repeats = _repeats(explainer, name)
    maps = [
        checked_saliency(explainer(score, image, segments, fill, draws), segments.shape, name)
        for draws in ([generator] if repeats is None else generator.spawn(repeats))
    ]
    if repeats is not None and all(np.array_equal(maps[0], each) for each in maps[1:]):
        return SampledMap(maps[0], None)  # it draws nothing, or by a seed of its own, and then nothing is known
    if repeats is not None:
        spread = covariance_of_mean(np.stack([segment_scores(saliency, segments) for saliency in maps]))
        return SampledMap(np.mean(maps, axis=0, dtype=np.float64).astype(maps[0].dtype), spread)
    return SampledMap(maps[0], without_draws(segments) if getattr(explainer, "deterministic", False) else None)


def checked_saliency(saliency: object, shape: tuple[int, ...], name: str) -> np.ndarray:
    """What an explainer returned as a map (H, W) that keeps its order, a copy. Raises InputError where it is none."""
    if not isinstance(saliency, np.ndarray) or saliency.shape != shape:
        got = f"{type(saliency).__name__} {getattr(saliency, 'shape', '')}".strip()
        raise InputError(f"method {name!r} returned {got} instead of a saliency map, a numpy array of shape {shape}")
    if type(saliency) is not np.ndarray:
        raise InputError(f"method {name!r} returned a {type(saliency).__name__}: expected a plain numpy array")
    if saliency.dtype.kind not in "fiub":
        raise InputError(f"method {name!r} returned a map of {saliency.dtype} instead of real numbers")
    return kept_order(saliency, f"the saliency map that method {name!r} returned").copy()


def _repeats(explainer: Explainer, name: str) -> int | None:
    """How many times an explainer asks to be run; None where it does not ask."""
    repeats = getattr(explainer, "repeats", None)
    if repeats is None:
        return None
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 2:
        raise InputError(f"method {name!r}: repeats must be a whole number of at least 2, got {repeats!r}")
    return repeats


def _checked_covariance(covariance: Covariance, segments: int, name: str) -> Covariance:
    if covariance is None:
        return None
    if not isinstance(covariance, np.ndarray) or covariance.shape != (segments, segments):
        got = getattr(covariance, "shape", type(covariance).__name__)
        raise InputError(f"method {name!r} gave a covariance of {got}, expected ({segments}, {segments}) or None")
    if covariance.dtype.kind not in "fiu":
        raise InputError(f"method {name!r} gave a covariance of {covariance.dtype} instead of real numbers")
    problem = _covariance_problem(covariance.astype(np.float64))
    if problem is not None:
        raise InputError(f"method {name!r} gave a covariance that {problem}")
    return covariance.astype(np.float64)


def _covariance_problem(covariance: np.ndarray) -> str | None:
    """Why a matrix (K, K) cannot be a covariance, beyond rounding; None where it can."""
    variances = np.diag(covariance)
    if not np.isfinite(covariance).all() or (variances < 0).any():
        return "is not finite, or has variances below 0"
    rounding = ROUNDING * float(np.abs(covariance).max(initial=0.0))
    if np.abs(covariance - covariance.T).max(initial=0.0) > rounding:
        return "is not symmetric"
    bounds = np.sqrt(np.outer(variances, variances))
    if (np.abs(covariance) > bounds + rounding).any():
        return "has correlations beyond 1: no draws vary so"
    return None
