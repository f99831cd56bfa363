"""What every benchmark needs: a picture, the machine's best time per forward, and the options they share."""

import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.images import decode
from detectors import Detector, Queries

BATCH_SIZES, GPU_BATCH_SIZES = (4, 8, 16, 32), (32, 64, 128, 256)
REPEATS = 3

ImageOption = Annotated[Path | None, typer.Option("--image", help="A picture of a face; by default a demo forgery.")]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images in one forward pass.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


class Clock(StrEnum):
    """What seconds are counted.

    Processor time leaves out what other programs take; with several threads it counts each of them, so it is for one.
    It says nothing of what a GPU takes.
    """

    WALL = "wall"
    PROCESSOR = "processor"

    def read(self) -> float:
        """The seconds on it now, after a GPU has done what it was given."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return time.perf_counter() if self is Clock.WALL else time.process_time()

    def check(self, device: torch.device) -> None:
        """Raises InputError where it does not count what a device takes."""
        if self is Clock.PROCESSOR and device.type != "cpu":
            raise InputError(f"--clock processor does not see what {device.type} takes: give --clock wall")


ClockOption = Annotated[
    Clock, typer.Option("--clock", help="Wall time, or, on one thread of a machine that is not quiet, processor time.")
]


def picture(path: Path | None) -> np.ndarray:
    """The picture in a file, or a demo forgery: (H, W, 3) uint8."""
    return DemoFrames(1, families=("FaceSwap",))[0].image if path is None else decode(path.read_bytes(), str(path))


def best_seconds(
    detector: Detector, clock: Clock = Clock.WALL, sizes: Sequence[int] | None = None
) -> tuple[float, int]:
    """The least time per image that the detector was seen to take, in seconds, and the batch size it took it at.

    The images are on the detector's device before the clock starts.
    """
    device = Queries(detector).device
    sizes = sizes or (BATCH_SIZES if device.type == "cpu" else GPU_BATCH_SIZES)
    images = torch.rand(max(sizes), 3, detector.input_size, detector.input_size).to(device)
    taken = []
    for size in sizes:
        queries = Queries(detector, batch_size=size)
        queries.logits(images[:size])
        for _ in range(REPEATS):
            started = clock.read()
            queries.logits(images[:size])
            taken.append(((clock.read() - started) / size, size))
    return min(taken)


def reset_peak() -> None:
    """Forgets the highest resident memory so far, on Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float | None:
    """The highest resident memory since `reset_peak`, in MiB, where the system reports it (Linux)."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None
