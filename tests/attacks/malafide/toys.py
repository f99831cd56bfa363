"""Detectors and frames that the tests of 2D-Malafide share."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from attacks.malafide.filter_dataset import FilterDataset
from data.entry import Entry
from data.frames import REAL, Frame
from detectors.base import Detector

SIZE = 16


class ChannelDetector(Detector):
    """Says "Fake" as far as red is, on average, brighter than blue: logits [0, gain (mean red - mean blue) + bias].

    Everything about a filter against it is known: the verdict follows the sums of the filter's coefficients.
    """

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def __init__(self, gain: float = 40.0, bias: float = 0.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, images: Tensor) -> Tensor:
        red, _, blue = images.mean(dim=(2, 3)).unbind(1)
        fake = self.gain * (red - blue) + self.bias
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class Frames(Sequence[Frame]):
    """Frames by entry, each a picture of noise around a colour that depends on whether it is fake, drawn by its key."""

    def __init__(self, entries: Sequence[Entry], size: int = SIZE) -> None:
        self.entries, self.size = entries, size

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, position: int) -> Frame:  # type: ignore[override]
        entry = self.entries[position]
        noise = np.random.default_rng(position).normal(0.0, 12.0, (self.size, self.size, 3))
        colour = np.array([150.0, 120.0, 110.0] if entry.fake else [110.0, 120.0, 150.0])
        image = np.clip(noise + colour, 0, 255).astype(np.uint8)
        return Frame(entry.key, image, entry.label, entry.family, entry.video)


def entries(people: int = 6, frames: int = 5, families: Sequence[str] = ("Deepfakes", "FaceSwap")) -> list[Entry]:
    """Real and fake videos of some people, as FaceForensics++ names them."""
    found = []
    for person in range(people):
        for family in (REAL, *families):
            video = f"{person:03d}" if family == REAL else f"{person:03d}_{(person + 1) % people:03d}"
            root = "original_sequences/youtube" if family == REAL else f"manipulated_sequences/{family}"
            for moment in range(frames):
                key = f"{root}/c23/videos/{video}.mp4/{10 * moment:05d}_0.png"
                found.append(Entry(key, family != REAL, 0 if family == REAL else None))
    return found


def dataset(people: int = 6, frames: int = 5, families: Sequence[str] = ("Deepfakes", "FaceSwap")) -> FilterDataset:
    """Those entries with pictures."""
    known = entries(people, frames, families)
    return FilterDataset(Frames(known), tuple(known))


def some_images(count: int = 3, size: int = SIZE, seed: int = 0) -> Tensor:
    """Random images (count, 3, size, size) in [0.1, 0.9]."""
    return 0.1 + 0.8 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def some_weight(size: int, seed: int = 1, spread: float = 0.05) -> Tensor:
    """Random coefficients (3, 3, size, size) about the identity."""
    noise = spread * torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(seed))
    noise[range(3), range(3), size // 2, size // 2] += 1.0
    return noise
