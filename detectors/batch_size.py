"""How many images go through a detector at a time, where nobody says: a fixed number, or the measured best."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch

from common.errors import InputError
from detectors.base import Detector
from detectors.memory import ran_out
from detectors.queries import answer

AUTO: Literal["auto"] = "auto"
BatchSize = int | Literal["auto"]
"""A number of images, or "auto": whatever is measured to be fastest."""

ON_CPU = 16  # fixed, so that the same command gives the same bytes; see docs/methods.md
TRIED_ON_CPU = (4, 8, 16, 32)
TRIED = (32, 64, 128, 256, 512, 1024)
GAIN = 0.03  # a larger batch must save this share of the time: it takes more memory, and measurements are rough
REPEATS = 3


def read_batch_size(text: str | None) -> BatchSize | None:
    """A batch size as on a command line: a number from 1, auto, or nothing. Raises InputError for anything else."""
    if text is None:
        return None
    if text == AUTO:
        return AUTO
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--batch-size {text!r}: write a number of images, at least 1, or {AUTO}")
    return int(text)


def usual(device: torch.device) -> BatchSize:
    """What a batch is where nothing is asked for: a fixed number on a CPU, measured elsewhere."""
    return ON_CPU if device.type == "cpu" else AUTO


def fastest(detector: Detector, device: torch.device, precision: str = "float32") -> int:
    """The batch size that takes a detector least time per image on a device; at equal speed the smallest.

    It is found by forward passes on noise, of a few seconds together. Sizes that memory does not hold are left out;
    where it does not hold the first, half of that is tried.
    """
    images = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))

    def seconds(size: int) -> float:
        batch = images.expand(size, -1, -1, -1).to(device)
        return min(_timed(lambda: answer(detector, batch, precision).cpu()) for _ in range(1 + REPEATS)) / size

    return choose(seconds, TRIED_ON_CPU if device.type == "cpu" else TRIED)


def choose(seconds: Callable[[int], float], sizes: Sequence[int]) -> int:
    """The smallest of increasing sizes whose `seconds` per image are within GAIN of the least.

    It ends at the first size that memory does not hold; where that is the first, half of it is next.
    """
    taken: dict[int, float] = {}
    for size in sizes:
        try:
            taken[size] = seconds(size)
        except RuntimeError as error:
            if not ran_out(error) or (not taken and size == 1):
                raise
            break
    if not taken:
        return choose(seconds, (sizes[0] // 2,))
    least = min(taken.values())
    return next(size for size, duration in taken.items() if duration * (1 - GAIN) <= least)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
