"""Passes through a detector on any device: how long one takes an image at best, how many there were, what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from benchmarks.common import Clock, peak, reset_peak
from detectors import Detector, Queries
from detectors.gradients import differentiable, untouched
from detectors.memory import ran_out
from detectors.queries import Meter, answer, exact_float32

REPEATS = 4


class Kind(StrEnum):
    """What a pass is."""

    FORWARD = "float32"
    ROUNDED = "bfloat16"
    BOTH = "forward and backward"


@dataclass(frozen=True)
class PassCost:
    """What an image takes in a pass: seconds, and of the whole pass the most memory in MiB where that is known."""

    seconds: float
    memory: float | None


class TwoWayMeter(Meter):
    """Counts images, and apart those of them that passed backward.

    Attributes:
        backwards: of `images`, which counts both ways.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backwards = 0

    @property
    def forwards(self) -> int:
        """Images that passed forward."""
        return self.images - self.backwards

    def count(self, module: nn.Module, inputs: tuple[Tensor, ...], logits: object) -> None:
        """A forward hook."""
        super().count(module, inputs, logits)
        if isinstance(logits, Tensor) and logits.requires_grad:
            images = len(inputs[0])
            logits.register_hook(lambda _gradient: self._passed_back(images))

    def _passed_back(self, images: int) -> None:
        self.backwards += images


def pass_cost(detector: Detector, size: int, kind: Kind, repeats: int = REPEATS) -> PassCost | None:
    """The least of some passes of noise on the detector's own device; None where memory does not hold one.

    Args:
        detector: what is asked; afterwards it is as it was.
        size: images in a pass.
        kind: forward or both ways.
        repeats: how many passes count, after one to warm up.
    """
    device = Queries(detector).device
    noise = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))
    forget_memory(device)
    taken = []
    try:
        images = noise.to(device).repeat(size, 1, 1, 1)
        for _ in range(1 + repeats):
            started = Clock.WALL.read()
            _pass(detector, images, kind)
            taken.append(Clock.WALL.read() - started)
    except RuntimeError as error:
        if not ran_out(error):
            raise
        return None
    return PassCost(min(taken[1:]) / size, most_memory(device))


def best_pass(detector: Detector, sizes: Sequence[int], kind: Kind) -> float:
    """The least seconds an image, over passes of these sizes."""
    costs = [pass_cost(detector, size, kind) for size in sizes]
    return min(cost.seconds for cost in costs if cost is not None)


def _pass(detector: Detector, images: Tensor, kind: Kind) -> None:
    if kind is not Kind.BOTH:
        answer(detector, images, kind)
        return
    with differentiable(images.device), untouched(detector), exact_float32():
        inputs = images.clone(memory_format=torch.channels_last).requires_grad_()
        torch.autograd.grad(detector(inputs).log_softmax(dim=1)[:, detector.real].sum(), inputs)


def forget_memory(device: torch.device) -> None:
    """Forgets the most memory so far: of a GPU, or else of the process."""
    if device.type != "cuda":
        reset_peak()
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)


def most_memory(device: torch.device) -> float | None:
    """The most that tensors took since `forget_memory`, in MiB: on a GPU, or else the process; None if not known."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak()
