"""Whether a detector answers a picture the same whenever and beside whatever it is asked: tried once, at the start."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from common.seeds import derive_seed
from detectors.answers import has_chance, with_chances
from detectors.base import Detector
from detectors.gradients import answer_for_gradient
from detectors.half_precision import half_types
from detectors.queries import Queries

TOLERANCE = 1e-3
"""Of the largest logit, what all logits share taken away as the softmax does: what another batch's order of additions
may change in float32, with room to spare."""

HALF_TOLERANCE = 5e-2
"""The same where the detector computes in half precision."""

PRECISION_TOLERANCE = 0.25
"""The same between float32 and half precision: seven networks of timm with random weights differ by up to 0.05."""

ROUNDING = 2e-6
"""Of 1 and the largest logit: what float32 itself rounds, in every case."""


def require_consistent(detector: Detector, images: Tensor) -> None:
    """Refuses a detector whose answer for a picture depends on more than the picture.

    Asked are the first picture alone, all together, all once more, and all in the opposite order. Answers that differ
    beyond rounding say which promise is broken: the same twice (dropout that is left on, a state that is kept between
    calls), the same at every place of a batch, the same beside others (statistics of the batch). Then the first is
    asked about as attacks and libraries do, where it can be: with its gradient, and contiguous in memory. Six passes.

    Args:
        detector: in any mode; it is asked as everywhere, in evaluation mode.
        images: (N, 3, S, S) float32 in [0, 1], all different, N at least 2.

    Raises:
        InputError: naming the difference; also for answers of another shape or type, or not finite
            (`detectors.answers`).
    """
    name, queries = type(detector).__name__, Queries(detector, batch_size=len(images))
    alone, together, again = (queries.logits(asked) for asked in (images[:1], images, images))
    turned = queries.logits(images.flip(0)).flip(0)
    otherwise = answer_for_gradient(detector, images[:1].contiguous())
    half = bool(half_types(detector, images[0]))
    for one, other, broken in (
        (
            together,
            again,
            "answers the same picture differently the second time: dropout is on, or a state is kept",
        ),
        (together, turned, "answers a picture differently at another place of a batch"),
        (alone, together[:1], "answers a picture differently beside others: statistics of the batch are in its answer"),
        (
            alone,
            alone if otherwise is None else otherwise,
            "answers a picture differently where its gradient is wanted, or where it lies in memory as NCHW",
        ),
    ):
        if difference := differs(one, other, half):
            raise InputError(f"detector {name} {broken} (a logit differs by {difference:.2g}); mend its forward")


def require_same_beside(detector: Detector, images: Tensor, count: int) -> None:
    """Refuses a detector whose answers are others in a batch of `count`, as a run asks them, than in one of a few.

    Args:
        detector: in any mode.
        images: (N, 3, S, S) float32 in [0, 1], N at least 2; drawn again and again they fill the batch, and one of
            about two thirds of it, as the last of several is.
        count: images in a batch; nothing is asked where it is at most N.

    Raises:
        InputError: the answers differ beyond rounding.
    """
    if count <= len(images):
        return
    few = Queries(detector, len(images)).logits(images)
    draws = torch.Generator().manual_seed(derive_seed(0, "batch"))
    for size in (count, 2 * count // 3 + 1):
        which = torch.randint(len(images), (size,), generator=draws)  # in turns, a wrong order may be the right one
        many = Queries(detector, size).logits(images[which])
        if difference := differs(few[which.to(few.device)], many, bool(half_types(detector, images[0]))):
            raise InputError(
                f"detector {type(detector).__name__} answers a picture differently in a batch of {size} than in one of "
                f"{len(images)} (a logit differs by {difference:.2g}); mend its forward, or take a smaller --batch-size"
            )


def require_same_in(precision: str, detector: Detector, images: Tensor) -> None:
    """Refuses a detector whose answers in the precision of a run's explanations are others than in float32.

    Args:
        precision: "float32", in which nothing is asked, or "bfloat16".
        detector: in any mode.
        images: (N, 3, S, S) float32 in [0, 1].

    Raises:
        InputError: the answers differ beyond what half precision rounds.
    """
    if precision == "float32":
        return
    exact, rounded = (Queries(detector, len(images), asked).logits(images) for asked in ("float32", precision))
    if difference := apart(exact, rounded, PRECISION_TOLERANCE):
        raise InputError(
            f"detector {type(detector).__name__} answers differently in {precision} (a logit differs by "
            f"{difference:.2g}), so that explanations would be of another detector: leave out --precision"
        )


def weights_seen(detector: Detector) -> tuple[tuple[str, ...], ...]:
    """Three sums of every weight and buffer: what changes where something writes to one, or puts it in another order.

    In hexadecimal, as a buffer may hold a NaN, which as a number would equal nothing.
    """
    kept = [_plain(value.detach()) for value in detector.state_dict().values() if isinstance(value, Tensor)]
    exact = ((value.cpu() if value.device.type == "mps" else value).double() for value in kept)  # MPS has no float64
    return tuple(tuple(float(number).hex() for number in _sums(value)) for value in exact)


def _plain(weight: Tensor) -> Tensor:
    """A weight as real numbers that are all there; none of one without data."""
    if weight.is_meta:
        return torch.zeros(0)
    dense = weight.to_dense() if weight.layout is not torch.strided else weight
    return torch.view_as_real(dense) if dense.is_complex() else dense


def _sums(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of a weight's sizes, and those of its rows' and columns' sums, each times its place."""
    table = weight.flatten(1) if weight.ndim > 1 else weight.reshape(-1, 1)
    rows, columns = (
        (sums * torch.arange(1, len(sums) + 1).to(sums)).sum() for sums in (table.sum(dim=1), table.sum(dim=0))
    )
    return table.abs().sum(), rows, columns


def hooks_of(module: nn.Module) -> int:
    """How many hooks it and its parts have, of every kind."""
    kept = (value for part in module.modules() for name, value in vars(part).items() if name.endswith("_hooks"))
    return sum(len(hooks) for hooks in kept if isinstance(hooks, dict))


def differs(one: Tensor, other: Tensor, half: bool) -> float:
    """By how much two answers (N, C) float32 to the same images differ beyond rounding; 0.0 where they do not.

    What all logits of an image share is taken away first, for the softmax does not see it, and neither how far below
    all chance a class lies (`detectors.answers.with_chances`).

    Args:
        one: logits.
        other: likewise.
        half: whether the detector computes in half precision.
    """
    return apart(one, other, HALF_TOLERANCE if half else TOLERANCE)


def require_same_answers(
    detector: Detector, image: Tensor, before: Tensor, now: Tensor, what: str, precision: str = "float32"
) -> None:
    """Raises InputError where a detector's answers now differ beyond rounding from those before.

    Args:
        detector: that answered.
        image: (3, S, S) float32 in [0, 1], one that it can be asked about.
        before: (N, C) logits, or (1, C) that are the same for all.
        now: (N, C) logits.
        what: that it answers, in words.
        precision: of both.
    """
    if difference := answers_differ(detector, image, before.expand(len(now), -1), now, precision):
        raise InputError(
            f"detector {type(detector).__name__} answers {what} (a logit differs by {difference:.2g}): it draws, keeps "
            "a state, or looks at the whole batch, in other frames maybe unseen; mend its forward"
        )


def answers_differ(detector: Detector, image: Tensor, before: Tensor, now: Tensor, precision: str = "float32") -> float:
    """By how much two answers differ beyond rounding, in whatever precision the detector computes."""
    if precision != "float32":
        return differs(before, now, half=True)
    difference = differs(before, now, half=False)
    return difference and differs(before, now, bool(half_types(detector, image)))


def apart(one: Tensor, other: Tensor, tolerance: float) -> float:
    """The same with any tolerance, a share of the largest logit; classes that have no chance in either are no scale."""
    one, other = with_chances(one), with_chances(other)
    counted = has_chance(one) | has_chance(other)
    first, second = (
        (logits - logits.where(counted, 0.0).sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True)) * counted
        for logits in (one, other)
    )
    largest = max(float(logits.abs().max()) for logits in (first, second))
    rounded = ROUNDING * (1 + torch.maximum(one.abs(), other.abs()).amax(dim=1))  # of each picture, what it rounds
    differences = (first - second).abs().amax(dim=1)
    beyond = not bool((differences <= tolerance * largest + rounded).all())  # also where one is NaN
    return float(differences.max()) if beyond else 0.0


def probes(detector: Detector) -> Tensor:
    """Three fixed pictures of noise (3, 3, S, S), on the CPU, of which each has another brightness and grain."""
    generator = torch.Generator().manual_seed(derive_seed(0, "consistency"))
    size = detector.input_size
    coarse = torch.rand(3, 3, 8, 8, generator=generator)
    smooth = functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
    fine = torch.rand(3, 3, size, size, generator=generator)
    return torch.stack([0.75 * smooth[0] + 0.25 * fine[0], 0.5 * smooth[1], 0.25 * fine[2] + 0.5 * smooth[2] + 0.25])
