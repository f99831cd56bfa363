"""Whether a detector's gradients vanish or mislead: what they predict against what happens there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import InputError
from detectors import Detector, Queries
from detectors.answers import in_float32
from detectors.checks.gradient_check import gradient_fault
from detectors.gradients import differentiable, untouched
from detectors.half_precision import half_types
from detectors.queries import exact_float32

DIRECTIONS = 8
RATIO = 0.1
RESOLUTION = 1e-5


@dataclass(frozen=True)
class GradientCheck:
    """What the gradient of log p(Real) at a frame predicts, and what random changes of the budget's size do.

    Along a direction u of random signs (one per value), log p changes by h g.u to first order, h being the budget and
    g the gradient; its root mean square over u is h |g| exactly. Measured is the odd part of the change,
    (log p(x + h u) - log p(x - h u)) / 2, in which curvature cancels.

    Attributes:
        key: the frame.
        promised: h |g|, the predicted root mean square.
        measured: the root mean square of the odd part over some directions.
        resolution: changes below this are rounding: 1e-5 of the largest logit, or 1e-5.
        misleads: whether the gradient is there and finite differences deny it (`detectors.checks.gradient_check`): of
            one that is as long as it should be and points elsewhere, nothing else tells.
    """

    key: str
    promised: float
    measured: float
    resolution: float
    misleads: bool = False

    @property
    def vanishing(self) -> bool:
        """Whether the gradient is exactly zero, or a tenth at most of what random directions show.

        A flat detector, whose gradient is small because nothing changes, is not meant: its prediction holds.
        """
        return self.promised == 0 or (self.measured > self.resolution and self.promised < RATIO * self.measured)


def check_gradients(
    detector: Detector, images: Tensor, keys: Sequence[str], seeds: Sequence[int], epsilon: float, batch_size: int
) -> list[GradientCheck]:
    """Checks the gradients at images with random changes of the budget's size.

    The changed images are not clamped to [0, 1].

    Args:
        detector: whose gradients are checked.
        images: (N, 3, S, S) float32 in [0, 1].
        keys: the N frames' names.
        seeds: one integer per image, of its random directions.
        epsilon: L-infinity size of a change, in pixel units, in (0, 1].
        batch_size: images in a forward pass.

    Raises:
        InputError: the detector gives no gradient at all.
    """
    queries = Queries(detector, batch_size)
    norms = torch.cat([gradient_norms(detector, part.to(queries.device)) for part in images.split(batch_size)])
    checks = []
    for key, image, norm, seed in zip(keys, images, norms.tolist(), seeds, strict=True):
        draws = torch.Generator().manual_seed(seed)
        signs = torch.randint(2, (DIRECTIONS, *image.shape), generator=draws).float().mul_(2).sub_(1)
        logits = queries.logits(torch.cat([image + epsilon * signs, image - epsilon * signs]))
        above, below = logits.log_softmax(dim=1)[:, detector.real].double().chunk(2)
        measured = ((above - below) / 2).square().mean().sqrt()
        resolution = RESOLUTION * max(1.0, float(logits.abs().max()))
        fault = None if half_types(detector, image) else gradient_fault(detector, image, batch_size)
        misleads = fault is not None and fault.misleads
        checks.append(GradientCheck(key, epsilon * norm, float(measured), resolution, misleads))
    return checks


def gradient_norms(detector: Detector, images: Tensor) -> Tensor:
    """Computes the Euclidean norms (N,) float64, on the CPU, of d log p(Real) / d image.

    `images` are (N, 3, S, S) in [0, 1], on the detector's device.

    Raises InputError where the detector gives no gradient.
    """
    with differentiable(images.device), untouched(detector), exact_float32():
        logits = in_float32(detector(inputs := images.clone().requires_grad_()))
        if not logits.requires_grad:
            raise InputError(
                f"{type(detector).__name__} gives no gradient, which fgsm, pgd and the check need: let its forward run "
                f"without no_grad or detach, or give --attack torchattacks:Square --no-check"
            )
        (gradient,) = torch.autograd.grad(logits.log_softmax(dim=1)[:, detector.real].sum(), inputs)
    return gradient.double().flatten(1).norm(dim=1).cpu()
