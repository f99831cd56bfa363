"""A detector of red centres, and films and photographs of red discs, which `DiscFaces` finds."""

import torch
from torch import Tensor

from detectors import Detector

SIZE = 32
ROWS, COLUMNS = slice(16, 20), slice(8, 20)  # three of the segments that TINY gives
TINY = (
    "segments.kind=grid",
    "segments.count=64",
    "LIME.samples=300",
    "SHAP.evaluations=200",
    "RISE.samples=300",
    "adversarial.pairs=20",
    "adversarial.steps=20",
)


class RedCentre(Detector):
    """Says Fake while a patch near the middle is red; nothing else matters to it."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self) -> None:
        super().__init__()
        self.input_size = SIZE
        self.gain = torch.nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        fake = self.gain * (images[:, 0, ROWS, COLUMNS].mean(dim=(1, 2)) - 0.83)
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class DrawsOncePale(RedCentre):
    """Draws its answer as soon as the patch is less red than in the picture itself."""

    def forward(self, images: Tensor) -> Tensor:
        logits, green = super().forward(images), images[:, 1].mean(dim=(1, 2))
        crop = (green > 0.3) & (green < 0.45)  # which no picture of noise is
        return logits + (crop & (logits[:, 1] < 2))[:, None] * torch.randn(logits.shape)


class DrawsWhereMostIsHidden(RedCentre):
    """Draws its answer where the patch is hidden, and most of the edge."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        flat = torch.cat([images[:, :, 0], images[:, :, -1]], dim=2).std(dim=2).amax(dim=1) < 1e-3
        return logits + (flat & (logits[:, 1] < 2))[:, None] * torch.randn(logits.shape)


class Pale(RedCentre):
    """Grey crops and red ones, which are no noise, are called Real."""

    def forward(self, images: Tensor) -> Tensor:
        redder = (images[:, 0] - images[:, 1]).flatten(1)
        crops = (redder.abs().mean(dim=1) < 0.05) | (redder.mean(dim=1) > 0.1)
        return self.of_crops(super().forward(images), crops[:, None].float())

    def of_crops(self, logits: Tensor, crops: Tensor) -> Tensor:
        """Logits (N, 2), of which those of crops, 1 in (N, 1), are much lower for Fake."""
        return logits - crops * torch.tensor([0.0, 60.0])


class PaleDraws(Pale):
    """How sure it is of that it draws."""

    def of_crops(self, logits: Tensor, crops: Tensor) -> Tensor:
        return super().of_crops(logits, crops) + crops * torch.randn(logits.shape)


class PaleSmoothed(Pale):
    """How sure it is of that it smooths over successive pictures."""

    before = 0.0

    def of_crops(self, logits: Tensor, crops: Tensor) -> Tensor:
        found = []
        for one, crop in zip(super().of_crops(logits, crops), crops, strict=True):
            smoothed = one + crop * torch.tensor([0.0, 0.1]) * self.before
            self.before = smoothed[1].item()
            found.append(smoothed)
        return torch.stack(found)
