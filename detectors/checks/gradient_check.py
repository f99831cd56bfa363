"""Whether a detector's gradient is what finite differences measure: compared once, along a few directions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor

from common.console import warn
from common.errors import InputError, described, words
from detectors.answers import in_float32
from detectors.base import Detector
from detectors.checks.consistency import probes
from detectors.checks.finite_differences import denied, relative_difference
from detectors.gradients import differentiable, untouched
from detectors.half_precision import half_types
from detectors.memory import ran_out
from detectors.queries import Queries, exact_float32, log_odds

EDGE = 8 / 255
"""Pixels are pulled so far into [0, 1] first: a detector that clamps its input has a kink at 0 and 1."""

_SAME = 0.1
"""Of a gradient's length: how far it may be another one beside other pictures, at two that are nearly the same.

What rounds otherwise in another batch switches units on and off: the gradient of an Inception-v3 of random weights is
another by more than 0.01 at one picture in twelve, by 0.04 at most; those of other networks by 0.003.
"""

GRADIENT_TOLERANCE = 0.05
"""Of a gradient's length: what another order of additions may change, where it is asked for again."""

JITTER = 1 / 255
"""The standard deviation of what sets a picture aside, from where pixels are alike exactly."""


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

    They are those of `detectors.checks.finite_differences`, of the log-odds of Real, which are to log p(Real) what a
    straight line is to one that flattens: where p rounds to 0 or 1 they still say something. Where they deny the
    gradient, they must do so at a picture set aside by JITTER, too: where pixels are alike exactly (a black border, a
    still area) max pooling and ReLU have no one gradient, and finite differences show another than is given.

    A detector that rounds its input (to 8 bits, as JPEG) moves in jumps that a gradient does not see, or sees smoothly
    where it is estimated straight through: neither is what an attacker would measure. A detector in which nothing
    moves, a constant or a saturated one, has a gradient of zero rightly.

    Three passes with a gradient, of the image alone, at three places beside two others, and beside two that are nearly
    it, which must all be the same (else the same of one that is nearly it), and 37 images without, up to 135 more where
    they disagree. The detector is afterwards as it was: modes, `requires_grad`, `grad`.

    Args:
        detector: whose gradient is checked.
        image: (3, S, S) float32 in [0, 1], as `detector.prepare` makes it.
        batch_size: images in a forward pass.
        coarse: whether directions are those of cells, see `denied`.

    Raises:
        RuntimeError: the detector fails without gradients, too, or its memory runs out.
    """
    queries = Queries(detector, batch_size)
    point = image.detach().clamp(EDGE, 1 - EDGE).cpu()
    alone = gradients_at(queries, point[None])
    if isinstance(alone, GradientFault):
        return alone
    draws = torch.Generator().manual_seed(0)
    near = (point + 1e-3 * torch.rand(point.shape, generator=draws)).clamp(0, 1)
    beside = _fault_in_batches(queries, point, alone[0], near)
    if beside is not None and _fault_in_batches(queries, near, None, point) is not None:
        return beside
    denial = denied(queries, point, alone[0], coarse)
    if denial is None:
        return None
    aside = point + JITTER * torch.randn(point.shape, generator=draws).clamp(-EDGE / JITTER, EDGE / JITTER)
    there = gradients_at(queries, aside[None])
    if isinstance(there, GradientFault):
        return there
    if denied(queries, aside, there[0], coarse, aside=True) is None:
        return None
    if denial.zero:
        return GradientFault("its gradient is zero")
    told = f"its gradient disagrees with finite differences (relative difference {denial.by:.2f})"
    return GradientFault(told, misleads=True)


def _fault_in_batches(queries: Queries, point: Tensor, gradient: Tensor | None, near: Tensor) -> GradientFault | None:
    """What is wrong with a picture's gradient in a batch: of five, another picture first, or of four that are alike.

    None for batches that memory does not hold: an attack passes fewer, too. `gradient` is that of the picture alone,
    where it is known, and `near` a picture like it.
    """
    alone = gradients_at(queries, point[None]) if gradient is None else gradient[None]
    if isinstance(alone, GradientFault):
        return alone
    other, inverted = point.flip(-1), 1 - point
    for pictures in ([other, point, inverted, point, point], [near, point, near, point]):
        places = [place for place, picture in enumerate(pictures) if picture is point]
        try:
            beside = gradients_at(queries, torch.stack(pictures))
        except RuntimeError as error:
            if not ran_out(error):
                raise
            continue
        if isinstance(beside, GradientFault):
            return beside
        if any(relative_difference(alone[0], beside[place]) > _SAME for place in places):
            return GradientFault("its gradient is another one the second time, beside other pictures", True)
    return None


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
    fault = fault_for_maps(detector, image)
    if fault is not None:
        _TRIED_ON_FRAME.add(detector)
        note_misleading(detector, MAPS)
        _warn_of(fault, where, detector, names)


def remarked_on_training(detector: Detector, names: Sequence[str], images: Iterable[Tensor]) -> bool:
    """Warns that a detector's gradient is not what moves its verdict, at the first of some frames where it is not.

    Nothing is said where that was said of the detector before, as by `remark_on_gradient`, nor is it noted as said of
    its maps.

    Args:
        detector: that something is trained against.
        names: of what is trained by its gradient.
        images: (3, S, S) float32 in [0, 1], frames that it is trained on.

    Returns:
        whether it was warned of.
    """
    for image in images:
        if (fault := fault_for_maps(detector, image)) is not None:
            _warn_of(fault, " on a frame of the training", detector, names)
            return True
    return False


def _warn_of(fault: GradientFault, where: str, detector: Detector, names: Sequence[str]) -> None:
    warn(
        f"{type(detector).__name__}: {fault.reason}{where}; what follows it ({', '.join(names)}) may not show what "
        "moves the verdict"
    )


def fault_for_maps(detector: Detector, image: Tensor) -> GradientFault | None:
    """What is wrong with a detector's gradient at a frame (3, S, S) that maps by gradients explain.

    None where that was said of the detector before, and where it does not compute in float32.
    """
    if MAPS in known_to_mislead(detector) or half_types(detector, image):
        return None
    return gradient_fault(detector, image) or gradient_fault(detector, image, coarse=True)


def misleads_maps(detector: Detector, fault: GradientFault) -> InputError:
    """What is said where maps by gradients are not made for a frame."""
    return InputError(
        f"{type(detector).__name__}: {fault.reason} on this frame, and a map that follows it may not show what moves "
        "the verdict: mend its forward, or take LIME, SHAP, SOBOL or RISE"
    )


def gradients_at(queries: Queries, images: Tensor) -> Tensor | GradientFault:
    """The gradients (N, 3, S, S) of the log-odds of Real at images, asked at once, on the CPU; why there are none."""
    detector = queries.detector
    with differentiable(queries.device), untouched(detector), exact_float32():
        inputs = images.clone(memory_format=detector.memory_format).to(queries.device).requires_grad_()
        try:
            logits = detector(inputs)
            if not logits.requires_grad:
                return GradientFault("it gives no gradient")
            score = log_odds(in_float32(logits), detector.real).sum()
            (gradient,) = torch.autograd.grad(score, inputs, allow_unused=True)
        except RuntimeError as error:
            if ran_out(error):
                raise
            cause = error.__cause__ or error  # a detector's forward says who fails in its own line
            reason = words(cause) or described(cause)
            return GradientFault(f"it cannot be differentiated ({reason})")
    if gradient is None:
        return GradientFault("it gives no gradient")
    if not gradient.isfinite().all():
        return GradientFault("its gradient is not finite")
    result: Tensor = gradient.cpu()
    return result


ATTACKS, MAPS = "attacks", "maps"

_KNOWN_TO_MISLEAD: WeakKeyDictionary[Detector, set[str]] = WeakKeyDictionary()


def note_misleading(detector: Detector, *whom: str) -> None:
    """Notes that a detector's gradient misleads ATTACKS or MAPS, which go on all the same, as was said."""
    _KNOWN_TO_MISLEAD.setdefault(detector, set()).update(whom)


def known_to_mislead(detector: Detector) -> tuple[str, ...]:
    """Whom that was noted of, see `note_misleading`."""
    return tuple(sorted(_KNOWN_TO_MISLEAD.get(detector, ())))
