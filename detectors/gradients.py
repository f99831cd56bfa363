"""What gradients of a detector need around them, and that nothing of it is left changed."""

import contextlib
from collections.abc import Iterator

import torch

from detectors.base import Detector
from detectors.queries import evaluating


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
