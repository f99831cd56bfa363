"""What moves a detector, by finite differences of its log-odds, and whether a gradient agrees with them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from common.seeds import derive_seed
from detectors.answers import with_chances
from detectors.queries import Queries, log_odds

SHARED = 8
"""Directions that the three channels share, as those of NES do."""

SEPARATE = 4
"""Directions of which each channel has its own, as steps of PGD have: colours moved for others are seen by these."""

CELLS = 6
SIGMAS = (1e-3, 1e-4, 1e-5)
"""Standard deviations of the probes in pixel units: that of NES, and shorter ones where it disagrees.

Between probes of 1e-3 a trained network is smooth to 0.002; one of random weights has so many kinks (ReLU, max pooling)
that differences are up to 0.7 off its gradient, and come close only as the probes do.
"""

TOLERANCE = 0.3
"""The largest relative difference that is no fault."""

LOOSE = 0.6
"""The largest where rounding leaves nothing of shorter differences."""

_ROUNDING_STEP = 1e-6  # of probes that move a smooth detector by rounding alone
_LEAST_ROUNDING, _MOST_ROUNDING = 2.0**-23, 1e-4  # of the largest logit; beyond, jumps are no rounding of float32
_RESOLUTION = 1e-5  # of the largest logit: what a gradient of zero must not miss
_DEVIATIONS = 4.0  # by how many times its expected size rounding may be off


@dataclass(frozen=True)
class Denial:
    """A gradient that finite differences deny.

    Attributes:
        zero: whether it is zero, and something moves the detector.
        by: their relative difference.
    """

    zero: bool
    by: float = 1.0


@dataclass(frozen=True, eq=False)
class _LogOdds:
    """The log-odds of Real of N images, (N,) float64, and the largest size of a logit that has a chance among them."""

    values: Tensor
    largest: float


def denied(
    queries: Queries, point: Tensor, gradient: Tensor, coarse: bool = False, aside: bool = False
) -> Denial | None:
    """Whether finite differences deny a gradient of the log-odds of Real; None where they agree, or are not finite.

    Compared are derivatives along SHARED and along SEPARATE fixed random directions: the gradient's own, and antithetic
    differences, in float32. Those of either kind may differ by TOLERANCE of the longer vector and, with the longest
    probes of SIGMAS, by what rounding makes of the differences, which is measured by probes too short to do anything
    else. Where they differ by more, shorter differences decide: what curvature and kinks do to them vanishes, what is
    wrong with a gradient stays. Those of which rounding makes more than half say nothing; where no shorter one does,
    the longest may differ by LOOSE.

    Args:
        queries: how the detector is asked: 37 images, and up to 48 more where they disagree.
        point: (3, S, S), on the CPU.
        gradient: (3, S, S) of the log-odds there, on the CPU.
        coarse: whether the pixels of a direction are alike in each of CELLS x CELLS cells. What sums over segments, as
            maps do, hangs on such; of all that moves a detector along fine ones, they may be a hundredth.
        aside: whether the point was set aside from where pixels are alike, or on the grid of bytes: what shorter probes
            do not move has a gradient of zero rightly, as behind the end of a ReLU that the longest ones cross.
    """
    directions = _directions(point, coarse)
    short = _log_odds(queries, torch.cat([point[None], point + _ROUNDING_STEP * directions]))
    here = short.values[0]
    rounding = float((short.values[1:] - here).square().mean().div(2).sqrt())
    rounding = min(max(rounding, _LEAST_ROUNDING * short.largest), _MOST_ROUNDING * short.largest)
    derivatives = _kinds((gradient.double() * directions).flatten(1).sum(dim=1))
    differences, moved = _differences(queries, point, directions, SIGMAS[0], here)
    if not differences.isfinite().all():
        return None  # the logits are to blame
    if not gradient.any():
        least = _RESOLUTION * short.largest
        if aside and moved > least:
            _, moved = _differences(queries, point, directions, SIGMAS[1], here)
            least = _DEVIATIONS * rounding
        return Denial(zero=True) if moved > least else None
    longest = _kinds(differences)
    blurred = [_DEVIATIONS * rounding * math.sqrt(len(each) / 2) for each in longest]
    by = max(
        relative_difference(one, other, blur / SIGMAS[0])
        for one, other, blur in zip(derivatives, longest, blurred, strict=True)
    )
    if by <= TOLERANCE:
        return None
    says_something = False
    for sigma in SIGMAS[1:]:
        closer = _kinds(_differences(queries, point, directions, sigma, here)[0])
        apart = [relative_difference(one, other) for one, other in zip(derivatives, closer, strict=True)]
        if max(apart) <= TOLERANCE:
            return None
        sizes = [max(float(one.norm()), float(other.norm())) for one, other in zip(derivatives, longest, strict=True)]
        says_something |= any(
            each > TOLERANCE and blur / sigma < size / 2 for each, blur, size in zip(apart, blurred, sizes, strict=True)
        )
    return Denial(zero=False, by=by) if says_something or by > LOOSE else None


def relative_difference(one: Tensor, other: Tensor, allowed: float = 0.0) -> float:
    """By how much two vectors differ beyond what is allowed, relative to the longer; 0 where both are 0."""
    longer = max(float(one.norm()), float(other.norm()))
    beyond = float((one - other).norm()) - allowed
    return max(0.0, beyond) / longer if longer > 0 else 0.0


def _kinds(values: Tensor) -> tuple[Tensor, ...]:
    return values.split([SHARED, SEPARATE])


def _directions(image: Tensor, coarse: bool) -> Tensor:
    """Fixed random directions (SHARED + SEPARATE, 3, S, S): one draw for a pixel, or a cell, and for a channel."""
    draws = torch.Generator().manual_seed(derive_seed(0, "gradient check"))
    size = [CELLS] * 2 if coarse else image.shape[1:]
    shared = torch.randn(SHARED, 1, *size, generator=draws).expand(-1, 3, -1, -1)
    drawn = torch.cat([shared, torch.randn(SEPARATE, 3, *size, generator=draws)])
    return functional.interpolate(drawn, image.shape[1:]) if coarse else drawn


def _log_odds(queries: Queries, images: Tensor) -> _LogOdds:
    logits = queries.logits(images).double()
    return _LogOdds(log_odds(logits, queries.detector.real), float(with_chances(logits).abs().max()))


def _differences(
    queries: Queries, image: Tensor, directions: Tensor, sigma: float, here: Tensor
) -> tuple[Tensor, float]:
    """Antithetic differences of the log-odds along directions, over 2 sigma, and how far they moved from `here`."""
    probes = torch.cat([image + sigma * directions, image - sigma * directions])
    values = _log_odds(queries, probes).values
    above, below = values.chunk(2)
    return (above - below) / (2 * sigma), float((values - here).abs().max())
