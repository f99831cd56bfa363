"""Detectors and pairs that the tests of the attacks share."""

import torch
from torch import Tensor, nn

from detectors.base import Detector

EPSILON = 16 / 255
SIZE = 32


class ConvDetector(Detector):
    """A small convolutional network with random weights, batch norm and dropout, and its own normalisation."""

    class_names = ("Real", "NeuralTextures", "Face2Face", "Deepfakes", "FaceSwap")
    real = 0
    input_size = SIZE

    def __init__(self, seed: int = 0, real_bias: float = -2.0) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.AvgPool2d(4), nn.Dropout(0.5)
            )
            self.head = nn.Linear(8 * (SIZE // 4) ** 2, 5)
        with torch.no_grad():
            self.head.bias[self.real] += real_bias
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features((images - 0.5) / 0.2).flatten(1))


def some_images(count: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    """Random images (count, 3, SIZE, SIZE) around 0.5; at spread 1 they fill [0, 1]."""
    noise = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return 0.5 + spread * (noise - 0.5)


def squares(*corners: tuple[int, int], side: int = 12) -> Tensor:
    """Square regions (N, SIZE, SIZE) bool with the given top-left corners (row, column)."""
    regions = torch.zeros(len(corners), SIZE, SIZE, dtype=torch.bool)
    for region, (row, column) in zip(regions, corners, strict=True):
        region[row : row + side, column : column + side] = True
    return regions


def everywhere(count: int) -> Tensor:
    """Regions that hold every pixel, (count, SIZE, SIZE) bool."""
    return torch.ones(count, SIZE, SIZE, dtype=torch.bool)
