"""Planted detectors whose gradient is of no use, or that compute in half precision."""

import torch
from torch import Tensor

from tests.scoring.stand_ins import CENTRE, PlantedDetector


class WithoutGradient(PlantedDetector):
    """Its forward runs without gradients."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(images)


class Detached(PlantedDetector):
    """Its input is cut off."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.detach())


class Rounding(PlantedDetector):
    """Its input is rounded to 8 bits, so that its gradient is zero."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward((images * 255).round() / 255)


class NotFinite(PlantedDetector):
    """Its gradient is not a number, and its logits are."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images + 0 * (images * 0).sqrt())


class PartlyDetached(PlantedDetector):
    """What decides is cut off; what is left of the gradient is that of the family."""

    def forward(self, images: Tensor) -> Tensor:
        seen = images.clone()
        seen[:, :, CENTRE, CENTRE] = images[:, :, CENTRE, CENTRE].detach()
        return super().forward(seen)


class Halved(PlantedDetector):
    """Its weights are in half precision, and so is its arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.half()

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.half()).float()


class HalvedWithoutCast(PlantedDetector):
    """Its weights are in half precision, and its forward does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 1)
        self.half()

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.layer(images))


def name(detector: type[PlantedDetector]) -> str:
    """How a command line names one of these."""
    return f"tests.attacks.faulty:{detector.__name__}"
