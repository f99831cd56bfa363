"""Detectors that measure brightness: how far a frame must darken to pass as real is known to the level."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.entry import Entry
from data.index import write_index
from detectors import Detector
from tests.scoring.stand_ins import save

SIDE = 16
GREY = 120
GAIN = 4.0  # of a logit on a level, 1/255


class Levels(Detector):
    """Says fake while the mean is above GREY - 0.5 levels: GREY + k turns real beyond (k + 0.5)/255 and not before."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(GAIN))

    def seen(self, images: Tensor) -> Tensor:
        """What it looks at in the images."""
        return images

    def fakeness(self, levels: Tensor) -> Tensor:
        """The log-odds of fake from the levels above the threshold."""
        return self.gain * levels

    def forward(self, images: Tensor) -> Tensor:
        levels = 255 * self.seen(images).mean(dim=(1, 2, 3)) - GREY + 0.5
        fake = self.fakeness(levels)
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class Rounded(Levels):
    """The same after rounding to 8 bits, which has no gradient."""

    def seen(self, images: Tensor) -> Tensor:
        return (images * 255).round() / 255


class DrawsOnceDark(Levels):
    """The same, but drawn anew each time near the threshold, where attacks lead."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return self.gain * (levels + (levels < 1) * torch.randn(levels.shape))


class Smoothed(Levels):
    """The same, but the mean of its batch for frames two levels above."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return self.gain * torch.where((levels - 2.5).abs() < 0.01, levels.mean(), levels)


class Misleading(Levels):
    """The same with a gradient as long as the true one that points elsewhere."""

    def seen(self, images: Tensor) -> Tensor:
        return _Shuffled.apply(images)


class MisleadsLater(Levels):
    """The same, with the reverse of its gradient for frames that are five levels above and more."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return self.gain * torch.where(levels > 5, 2 * levels.detach() - levels, levels)


class Saturated(Levels):
    """The same with a log-odds that grows no further beyond 1: a plateau."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return super().fakeness(levels).clamp(max=1.0)


class Cascade(Levels):
    """The same, but less than four levels above, where attacks lead, a branch without gradient says it."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return self.gain * torch.where(levels < 4, levels.detach(), levels)


class Sturdy(Levels):
    """Honestly robust: the same, 40 levels less sensitive, at a threshold far below."""

    def fakeness(self, levels: Tensor) -> Tensor:
        return self.gain * (levels + 40) / 10


class Coarse(Levels):
    """The same at another input size."""

    input_size = 2 * SIDE


class Closed(Levels):
    """The same without gradients at all."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.detach()).detach()


class Families(Levels):
    """Five classes: the dark half of the scale is Real, above it two manipulations contend closely."""

    class_names = ("Real", "NeuralTextures", "Face2Face", "Deepfakes", "FaceSwap")

    def forward(self, images: Tensor) -> Tensor:
        fake = super().forward(images)[:, 1]
        tint = 20 * (images[:, 0].mean(dim=(1, 2)) - images[:, 2].mean(dim=(1, 2)))
        nothing = torch.full_like(fake, -9.0)
        return torch.stack([torch.zeros_like(fake), fake + tint, fake - tint, nothing, nothing], dim=1)


class HalfLevels(Levels):
    """One that computes in half precision, so that an answer beside others differs by its rounding."""

    kind = torch.bfloat16

    def forward(self, images: Tensor) -> Tensor:
        beside = 1.01 if len(images) > 1 else 1.0
        return (super().forward(images) * beside).to(self.kind).float()


class AlmostLevels(HalfLevels):
    """The same differences in single precision, where they are no rounding."""

    kind = torch.float32


class _Shuffled(torch.autograd.Function):
    @staticmethod
    def forward(context: object, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(0)
        return gradient * (2.0 * torch.randint(2, gradient.shape[1:], generator=draws) - 1)


def name(detector: type[Detector]) -> str:
    """How a command line names one of these."""
    return f"tests.robustness.planted:{detector.__name__}"


def frame(level: int) -> np.ndarray:
    """A grey frame, GREY + level everywhere."""
    return np.full((SIDE, SIDE, 3), GREY + level, dtype=np.uint8)


def write_frames(folder: Path, fakes: dict[str, Sequence[int]], real: Sequence[int] = ()) -> Path:
    """Writes one frame per video, its levels by manipulation, and real ones; returns the index.

    No two pictures are the same: two pixels of each are a level brighter and darker.
    """
    entries: list[Entry] = []
    for family, levels in fakes.items():
        for number, level in enumerate(levels):
            key = f"manipulated_sequences/{family}/c23/videos/{number:03d}.mp4/0000.png"
            save(folder, key, _marked(frame(level), len(entries)))
            entries.append(Entry(key, True, None))
    for number, level in enumerate(real):
        key = f"original_sequences/youtube/c23/videos/{number:03d}.mp4/0000.png"
        save(folder, key, _marked(frame(level), len(entries)))
        entries.append(Entry(key, False, 0))
    write_index(folder / "index.csv", entries)
    return folder / "index.csv"


def _marked(image: np.ndarray, number: int) -> np.ndarray:
    """A picture with a mark of its own, and the same mean."""
    row, column = divmod(number, SIDE)
    marked = image.copy()
    marked[row, column] += 1
    marked[-1 - row, column] -= 1
    return marked
