"""A detector and an attack as a user might write them, named as package.module:Name."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks import Batch, RegionAttack
from detectors import Detector, Queries


class Brightness(Detector):
    """Says "Forged" of bright pictures; its input is small, and "Real" its second class."""

    class_names = ("Forged", "Real")
    real = 1
    input_size = 24

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(8.0))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of images (N, 3, 24, 24) in [0, 1]."""
        brightness = self.gain * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([brightness, -brightness], dim=1)


@dataclass(frozen=True)
class Reckless(RegionAttack):
    """Draws noise far outside the region, the ball and [0, 1], and writes over all that it is given.

    Attributes:
        scale: of the noise, in pixel units.
    """

    scale: float = 3.0

    @property
    def rounds(self) -> int:
        """Three."""
        return 3

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """Noise (n, 3, H, W) about the images, with values that are no numbers; one forward for each pair."""
        queries.logits(batch.images)
        noise = [torch.randn(batch.images.shape[1:], generator=generator) for generator in batch.generators]
        proposal = batch.images + self.scale * torch.stack(noise)
        proposal[:, :, ::5, ::3] = torch.nan
        batch.images.fill_(7.0)
        batch.originals.fill_(-3.0)
        batch.regions.fill_(True)
        return proposal
