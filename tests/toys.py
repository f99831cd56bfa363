"""Small detectors whose verdicts are known in closed form."""

import torch
from torch import Tensor, nn

from detectors.base import Detector


class LinearDetector(Detector):
    """Logits [0, w . x + b]: class 1 is "Fake", and the gradient of its log-odds is w everywhere."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.input_size = weight.shape[-1]
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def forward(self, images: Tensor) -> Tensor:
        fake = (images * self.weight).flatten(1).sum(1) + self.bias
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class PatchDetector(Detector):
    """Says "Deepfakes" while one patch is, on average, brighter than a threshold; nothing else matters to it.

    `rows` and `columns` are the patch's slices; `gain` sets how sharp the verdict is.
    """

    class_names = ("Real", "NeuralTextures", "Face2Face", "Deepfakes", "FaceSwap")
    real = 0

    def __init__(self, size: int, rows: slice, columns: slice, threshold: float = 0.5, gain: float = 40.0) -> None:
        super().__init__()
        self.input_size = size
        self.rows, self.columns, self.threshold, self.gain = rows, columns, threshold, gain

    def forward(self, images: Tensor) -> Tensor:
        brightness = images[:, :, self.rows, self.columns].mean(dim=(1, 2, 3))
        logits = images.new_full((len(images), 5), -4.0)
        logits[:, 0] = 0.0
        logits[:, 3] = self.gain * (brightness - self.threshold)
        return logits


class LinearProbability(Detector):
    """p(Fake) = base + weight . x, a plain linear function of the pixels where it lies in (0, 1)."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, weight: Tensor, base: float = 0.05) -> None:
        super().__init__()
        self.input_size = weight.shape[-1]
        self.weight = nn.Parameter(weight.clone())
        self.base = base

    def forward(self, images: Tensor) -> Tensor:
        fake = self.base + (images.double() * self.weight.double()).flatten(1).sum(1)
        return torch.stack([(1 - fake).log(), fake.log()], dim=1).float()
