"""What the tests of the explainers share: a small network, a planted patch, a fill that keeps a record."""

import weakref

import numpy as np
import torch
from torch import Tensor, nn

from detectors.base import Detector
from tests.toys import PatchDetector
from xai.base import Fill

PATCH = (slice(19, 29), slice(35, 45))
DEEPFAKES = 3


class SmallNetwork(Detector):
    """A fixed random convolutional network with three classes, smooth enough to explain."""

    class_names = ("Real", "Face2Face", "Deepfakes")
    real = 0

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.input_size = size
        self.convolution = nn.Conv2d(3, 8, 5, stride=2)
        self.linear = nn.Linear(8 * 16, 3)
        draws = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.6, generator=draws)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.adaptive_avg_pool2d(self.convolution(images - 0.5).relu(), 4)
        return self.linear(features.flatten(1))


def planted() -> tuple[PatchDetector, np.ndarray]:
    """A detector that looks at one patch, and an image (64, 64, 3) uint8 whose bright patch it calls Deepfakes.

    The patch is brighter than its surroundings, lies inside one segment without filling it, and is brighter than
    black, the mean colour and the image's mean: every fill hides it.
    """
    y, x = np.mgrid[:64, :64] / 63
    image = np.stack([100 + 60 * x + 20 * y, 120 + 30 * y, 90 + 70 * x], axis=-1)
    image[PATCH] += 24
    threshold = (image[PATCH].mean() - 10) / 255
    return PatchDetector(64, *PATCH, threshold=threshold, gain=300.0), image.round().astype(np.uint8)


def photo(size: int, seed: int = 0) -> Tensor:
    """A smooth random image (3, size, size) in [0, 1], with shapes for SLIC to find."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)[0]


class RecordingFill:
    """A fill that keeps every mask's values, and knows how many masks were alive at most."""

    def __init__(self, fill: Fill) -> None:
        self.fill = fill
        self.sizes: list[int] = []
        self.most_alive = 0
        self._copies: list[Tensor] = []
        self._alive: list[weakref.ref[Tensor]] = []

    def __call__(self, keep: Tensor) -> Tensor:
        self.sizes.append(len(keep))
        self._copies.append(keep.clone())
        self._alive = [one for one in self._alive if one() is not None] + [weakref.ref(keep)]
        self.most_alive = max(self.most_alive, sum(len(mask) for one in self._alive if (mask := one()) is not None))
        return self.fill(keep)

    @property
    def masks(self) -> Tensor:
        return torch.cat(self._copies)
