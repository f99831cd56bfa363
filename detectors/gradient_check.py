"""Whether a detector's gradient is what finite differences measure: compared once, along a few directions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakSet

import torch
from torch import Tensor
from torch.nn import functional

from common.console import warn
from common.errors import words
from common.seeds import derive_seed
from detectors.answers import in_float32, with_chances
from detectors.base import Detector
from detectors.consistency import probes
from detectors.gradients import differentiable, untouched
from detectors.half_precision import half_types
from detectors.memory import ran_out
from detectors.queries import Queries, exact_float32, log_odds

DIRECTIONS = 8
CELLS = 6
SIGMAS = (1e-3, 1e-4, 1e-5)
"""Standard deviations of the probes in pixel units: that of NES, and shorter ones where it disagrees.

Between probes of 1e-3 a trained network is smooth to 0.002; one of random weights has so many kinks (ReLU, max pooling)
that differences are up to 0.7 off its gradient, and come close only as the probes do.
"""

TOLERANCE = 0.3
"""The largest relative difference that is no fault."""

EDGE = 8 / 255
"""Pixels are pulled so far into [0, 1] first: a detector that clamps its input has a kink at 0 and 1."""

_ROUNDING_STEP = 1e-6  # of probes that move a smooth detector by rounding alone
_LEAST_ROUNDING, _MOST_ROUNDING = 2.0**-23, 1e-4  # of the largest logit; beyond, jumps are no rounding of float32
_RESOLUTION = 1e-5  # of the largest logit: what a gradient of zero must not miss
_SAME = 0.1
"""Of a gradient's length: how far it may be another one beside other pictures, at two that are nearly the same.

What rounds otherwise in another batch turns ties (of max pooling) and kinks: an Inception-v3 of random weights moves by
more than 0.01 at one picture in twelve, by 0.04 at most; other networks by 0.003.
"""

GRADIENT_TOLERANCE = 0.05
"""Of a gradient's length: what another order of additions may change, where it is asked for again."""

_DEVIATIONS = 4.0  # by how many times its expected size rounding may be off


@dataclass(frozen=True)
class GradientFault:
    """What is wrong with a detector's gradient.

    Attributes:
        reason: in words, as "its gradient is zero".
        misleads: whether it is there and differs from what finite differences measure, as that of a straight-through
            estimator does; else there is none to follow.
    """

    reason: str
    misleads: bool = False


def gradient_fault(
    detector: Detector, image: Tensor, batch_size: int = 32, coarse: bool = False
) -> GradientFault | None:
    """What is wrong with a detector's gradient at an image; None where finite differences agree with it.

    Compared are derivatives of the log-odds of Real along DIRECTIONS fixed random directions, which the channels
    share as those of NES do: the gradient's own, and antithetic differences of sigma 0.001, in float32. The log-odds
    are to log p(Real) what a straight line is to one that flattens: where p rounds to 0 or 1 they still say something.
    The vectors of both may differ by TOLERANCE of the longer one and by what rounding makes of the differences, which
    is measured by probes too short to do anything else. Where they differ by more, shorter differences decide: what
    curvature and kinks do to them vanishes, what is wrong with a gradient stays.

    A detector that rounds its input (to 8 bits, as JPEG) moves in jumps that a gradient does not see, or sees smoothly
    where it is estimated straight through: neither is what an attacker would measure. A detector in which nothing
    moves, a constant or a saturated one, has a gradient of zero rightly.

    Three passes with a gradient, of the image alone, at three places beside two others, and beside two that are nearly
    it, which must all be the same (else the same of one that is nearly it), and 25 images without, up to 32 more where
    they disagree. The detector is afterwards
    as it was: modes, `requires_grad`, `grad`.

    Args:
        detector: whose gradient is checked.
        image: (3, S, S) float32 in [0, 1], as `detector.prepare` makes it.
        batch_size: images in a forward pass.
        coarse: whether the pixels of a direction are alike in each of CELLS x CELLS cells. What sums over segments, as
            maps do, hangs on such; of all that moves a detector along fine ones, they may be a hundredth.

    Raises:
        RuntimeError: the detector fails without gradients, too, or its memory runs out.
    """
    queries = Queries(detector, batch_size)
    point = image.detach().clamp(EDGE, 1 - EDGE).cpu()
    directions = _directions(point, coarse)
    short = _log_odds(queries, torch.cat([point[None], point + _ROUNDING_STEP * directions]))
    here = short.values[0]
    alone = gradients_at(queries, point[None])
    if isinstance(alone, GradientFault):
        return alone
    gradient = alone[0]
    near = (point + 1e-3 * torch.rand(point.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    if _differs_in_batches(queries, point, gradient, near) and _differs_in_batches(queries, near, None, point):
        return GradientFault("its gradient is another one the second time, beside other pictures", True)
    derivatives = (gradient.double() * directions).flatten(1).sum(dim=1)
    differences, moved = _differences(queries, point, directions, SIGMAS[0], here)
    if not differences.isfinite().all():
        return None  # the logits are to blame
    if not gradient.any():
        return GradientFault("its gradient is zero") if moved > _RESOLUTION * short.largest else None
    rounding = float((short.values[1:] - here).square().mean().div(2).sqrt())
    rounding = min(max(rounding, _LEAST_ROUNDING * short.largest), _MOST_ROUNDING * short.largest)
    blurred = _DEVIATIONS * rounding * math.sqrt(DIRECTIONS / 2) / SIGMAS[0]
    if relative_difference(derivatives, differences, blurred) <= TOLERANCE:
        return None
    for sigma in SIGMAS[1:]:
        closer, _ = _differences(queries, point, directions, sigma, here)
        if relative_difference(derivatives, closer) <= TOLERANCE:
            return None
    by = relative_difference(derivatives, differences)
    return GradientFault(f"its gradient disagrees with finite differences (relative difference {by:.2f})", True)


def _differs_in_batches(queries: Queries, point: Tensor, gradient: Tensor | None, near: Tensor) -> bool:
    """Whether a picture's gradient is another in a batch: of five, another picture first, or of four that are alike.

    False for batches that memory does not hold: an attack passes fewer, too. `gradient` is that of the picture alone,
    where it is known, and `near` a picture like it.
    """
    alone = gradients_at(queries, point[None]) if gradient is None else gradient[None]
    if isinstance(alone, GradientFault):
        return True
    other, inverted = point.flip(-1), 1 - point
    for pictures in ([other, point, inverted, point, point], [near, point, near, point]):
        places = [place for place, picture in enumerate(pictures) if picture is point]
        try:
            beside = gradients_at(queries, torch.stack(pictures))
        except RuntimeError as error:
            if not ran_out(error):
                raise
            continue
        if isinstance(beside, GradientFault) or any(
            relative_difference(alone[0], beside[place]) > _SAME for place in places
        ):
            return True
    return False


_TRIED: WeakSet[Detector] = WeakSet()
"""The detectors whose gradient was tried for maps, at noise."""

_TRIED_ON_FRAME: WeakSet[Detector] = WeakSet()
"""The same at a frame, or which were warned of before."""


def remark_on_gradient(detector: Detector, names: Sequence[str], image: Tensor | None = None) -> None:
    """Warns, once for a detector, that its gradient is not what moves its verdict, which maps by gradients then miss.

    It is tried at a picture of noise, and at the first frame that is given, as a detector may treat faces otherwise;
    along fine directions and coarse ones, where it computes in float32. What that takes is in no cost.

    Args:
        detector: that is explained.
        names: of the methods that follow its gradient; nothing is tried where there are none.
        image: (3, S, S) float32 in [0, 1], a frame; None to try noise alone.
    """
    if not names:
        return
    if detector not in _TRIED:
        _TRIED.add(detector)
        _remark_at(probes(detector)[1], "", detector, names)
    if image is not None and detector not in _TRIED_ON_FRAME:
        _TRIED_ON_FRAME.add(detector)
        _remark_at(image, " on the first frame", detector, names)


def _remark_at(image: Tensor, where: str, detector: Detector, names: Sequence[str]) -> None:
    if half_types(detector, image):
        return
    fault = gradient_fault(detector, image) or gradient_fault(detector, image, coarse=True)
    if fault is not None:
        _TRIED_ON_FRAME.add(detector)
        what = ", ".join(names)
        warn(
            f"{type(detector).__name__}: {fault.reason}{where}; {what} follow it, and may not show what moves the "
            "verdict"
        )


@dataclass(frozen=True, eq=False)
class _LogOdds:
    """The log-odds of Real of N images, (N,) float64, and the largest size of a logit that has a chance among them."""

    values: Tensor
    largest: float


def _directions(image: Tensor, coarse: bool) -> Tensor:
    """Fixed random directions (DIRECTIONS, 1, S, S), one draw for the three channels of a pixel, or for a cell."""
    draws = torch.Generator().manual_seed(derive_seed(0, "gradient check"))
    drawn = torch.randn(DIRECTIONS, 1, *([CELLS] * 2 if coarse else image.shape[1:]), generator=draws)
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


def gradients_at(queries: Queries, images: Tensor) -> Tensor | GradientFault:
    """The gradients (N, 3, S, S) of the log-odds of Real at images, asked at once, on the CPU; why there are none."""
    detector = queries.detector
    with differentiable(queries.device), untouched(detector), exact_float32():
        inputs = images.clone(memory_format=torch.channels_last).to(queries.device).requires_grad_()
        try:
            logits = detector(inputs)
            if not logits.requires_grad:
                return GradientFault("it gives no gradient")
            score = log_odds(in_float32(logits), detector.real).sum()
            (gradient,) = torch.autograd.grad(score, inputs, allow_unused=True)
        except RuntimeError as error:
            if ran_out(error):
                raise
            reason = words(error.__cause__ or error)  # a detector's forward says who fails in its own line
            return GradientFault(f"it cannot be differentiated ({reason})")
    if gradient is None:
        return GradientFault("it gives no gradient")
    if not gradient.isfinite().all():
        return GradientFault("its gradient is not finite")
    result: Tensor = gradient.cpu()
    return result


_KNOWN_TO_MISLEAD: WeakSet[Detector] = WeakSet()


def note_misleading(detector: Detector) -> None:
    """Notes that attacks follow a detector's gradient although it misleads, as was said."""
    _KNOWN_TO_MISLEAD.add(detector)


def known_to_mislead(detector: Detector) -> bool:
    """Whether that was noted, see `note_misleading`."""
    return detector in _KNOWN_TO_MISLEAD


def relative_difference(one: Tensor, other: Tensor, allowed: float = 0.0) -> float:
    """By how much two vectors differ beyond what is allowed, relative to the longer; 0 where both are 0."""
    longer = max(float(one.norm()), float(other.norm()))
    beyond = float((one - other).norm()) - allowed
    return max(0.0, beyond) / longer if longer > 0 else 0.0
