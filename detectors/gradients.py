"""What gradients of a detector need around them, and that nothing of it is left changed."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor

from common.errors import InputError
from detectors.answers import asking, in_float32, says
from detectors.base import Detector
from detectors.queries import Queries, evaluating, exact_float32, one_of, tell


class NoGradientError(InputError):
    """A detector gives no gradient, or one that is not finite, where an attack needs it.

    Attributes:
        reason: which, in words.
    """

    def __init__(self, detector: Detector, reason: str, advice: str) -> None:
        super().__init__(f"{type(detector).__name__} {reason}, which this attack needs: {advice}")
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Slope:
    """What a detector says of N images, and which way it would say a class more loudly.

    Attributes:
        logits: (N, C) float32, on the CPU.
        gradients: (N, 3, S, S) in the images' type, on their device: d log p(class) / d pixel; zero where not wanted.
    """

    logits: Tensor
    gradients: Tensor


def slope(queries: Queries, images: Tensor, target: int, last: Tensor) -> Slope:
    """Asks a detector about images and differentiates log p(target) in the same pass, some images at a time.

    A part of which no image needs its gradient is not differentiated. To be called with autograd on and the weights
    frozen (`differentiable`, `untouched`); where memory runs out, fewer images pass at a time.

    Args:
        queries: how the detector is called; its batch size counts images that go forward alone.
        images: (N, 3, S, S) in [0, 1], floating.
        target: the index of the class.
        last: (N,) bool, images whose gradient is not wanted; nor is that of one that the detector calls `target`.

    Raises:
        NoGradientError: the detector gives no gradient, or one that is not finite.
    """
    logits, gradients, start = list[Tensor](), list[Tensor](), 0
    while start < len(images):
        stop = start + queries.gradient_batch
        try:
            said, gradient = _slope(queries, images[start:stop], target, last[start:stop])
        except RuntimeError as error:
            if not queries.retry_smaller_gradient(error):
                raise
            continue
        tell(queries.detector, images[start:stop], said)
        tell_followed(queries.detector, images[start:stop], said, target, ~last[start:stop], gradient)
        logits.append(said)
        gradients.append(gradient)
        start = stop
    if not logits:
        return Slope(torch.empty(0, len(queries.detector.class_names)), torch.zeros_like(images))
    return Slope(torch.cat(logits), torch.cat(gradients))


_OTHERWISE = "attack with nes and --set nes.derivatives=finite"


@torch.enable_grad()  # an attack may have switched gradients off, or left the detector in training mode
def _slope(queries: Queries, images: Tensor, target: int, last: Tensor) -> tuple[Tensor, Tensor]:
    detector = queries.detector
    inputs = images.detach().clone(memory_format=detector.memory_format).to(queries.device).requires_grad_()
    with evaluating(detector):
        logits = detector(inputs)
    said = in_float32(logits.detach()).cpu()
    wanted = ~last & ~says(said, target)
    if not wanted.any():
        return said, torch.zeros_like(images)
    if not logits.requires_grad:
        raise NoGradientError(
            detector,
            "gives no gradient",
            f"let its forward run without no_grad or detach, or {_OTHERWISE}",
        )
    (gradient,) = torch.autograd.grad(logits.log_softmax(dim=1)[wanted.to(logits.device), target].sum(), inputs)
    gradient = torch.where(wanted.to(gradient.device)[:, None, None, None], gradient, 0.0)
    if not gradient.isfinite().all():
        raise NoGradientError(detector, "gives a gradient that is not finite", _OTHERWISE)
    return said, gradient.contiguous().to(images.device)


GradientListener = Callable[[Tensor, Tensor | None, Tensor], None]
"""Told images (n, 3, S, S) where an attack takes a gradient, that of log p(class) or None, and log p(class), (n,)."""

_LISTENERS: WeakKeyDictionary[Detector, list[GradientListener]] = WeakKeyDictionary()


def listening_to_gradients(detector: Detector, listener: GradientListener) -> contextlib.AbstractContextManager[None]:
    """Tells a listener every gradient that attacks are given or take while it is open."""
    return one_of(_LISTENERS, detector, listener)


def tell_followed(
    detector: Detector, images: Tensor, logits: Tensor, target: int, wanted: Tensor, gradients: Tensor | None = None
) -> None:
    """Tells those who listen where an attack follows a detector's gradient: not where it already says `target`.

    Args:
        detector: that is attacked.
        images: (N, 3, S, S).
        logits: (N, C), what it says of them, on the CPU.
        target: the index of the class.
        wanted: (N,) bool, the images whose gradient is followed.
        gradients: (N, 3, S, S) of log p(target); None where a library takes that of a loss of its own.
    """
    listeners, wanted = _LISTENERS.get(detector, ()), wanted & ~says(logits, target)
    if not listeners or not wanted.any():
        return
    heights = logits.log_softmax(dim=1)[wanted, target]
    followed = None if gradients is None else gradients[wanted.to(gradients.device)]
    for listener in listeners:
        listener(images[wanted.to(images.device)], followed, heights)


def answer_for_gradient(detector: Detector, images: Tensor) -> Tensor | None:
    """What a detector says of images whose gradient is wanted: logits (N, C) float32, on the CPU.

    As attacks ask it: with autograd on, and weights frozen. None where it cannot be asked so (it leaves torch, or
    memory runs out): `detectors.checks.gradient_check` tells who needs a gradient.

    Args:
        detector: in any mode.
        images: (N, 3, S, S) float32 in [0, 1]; they lie in memory as they are given.

    Raises:
        InputError: what it answers is no logits, or not finite.
    """
    device = Queries(detector).device
    with differentiable(device), untouched(detector), exact_float32():
        try:
            return in_float32(detector(images.detach().clone().to(device).requires_grad_()).detach()).cpu()
        except RuntimeError:
            return None


_GIVE_GRADIENTS: WeakSet[Detector] = WeakSet()
"""The detectors that were seen to give one."""


def require_gradient(detector: Detector, who: str) -> None:
    """Refuses a detector that gives no gradient at all, for what needs one: by one forward pass, charged to no frame.

    Raises InputError that names `who` needs it.
    """
    if detector in _GIVE_GRADIENTS:
        return
    device, side = Queries(detector).device, detector.input_size
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    with differentiable(device), untouched(detector):
        with asking(detector, image):
            logits = detector.forward(image.requires_grad_())  # past the hooks that count
        if not logits.requires_grad:
            raise InputError(
                f"{type(detector).__name__} gives no gradient, which {who} needs: take LIME, SHAP, SOBOL or RISE, or "
                "let its forward run without no_grad and detach"
            )
    _GIVE_GRADIENTS.add(detector)


def graph_nodes(root: Any) -> Iterator[Any]:
    """Every node of autograd's graph from `root` on, a tensor's `grad_fn`, once; none where it is None."""
    known, left = {None, root}, [] if root is None else [root]
    while left:
        node = left.pop()
        yield node
        below = {following for following, _ in node.next_functions} - known
        known |= below
        left += below


@contextlib.contextmanager
def untouched(detector: Detector) -> Iterator[None]:
    """Evaluation mode and frozen weights inside; every mode, `requires_grad` and `grad` as before afterwards."""
    before = [(weight, weight.requires_grad, weight.grad) for weight in detector.parameters()]
    with evaluating(detector):
        try:
            for weight, _, _ in before:
                weight.requires_grad_(False)
            yield
        finally:
            for weight, requires_grad, grad in before:
                weight.requires_grad_(requires_grad)
                weight.grad = grad


@contextlib.contextmanager
def differentiable(device: torch.device) -> Iterator[None]:
    """Autograd on and autocast off inside, whatever the caller set."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
