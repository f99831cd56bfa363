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


class NotFiniteAtBlack(PlantedDetector):
    """Its gradient is not a number where a pixel is 0: a curve that was meant for others, behind `torch.where`."""

    def forward(self, images: Tensor) -> Tensor:
        curve = torch.where(images <= 0.003, 0.0, 1e-6 * images ** (1 / 2.4))
        return super().forward(images + curve)


class NotFiniteOnceUnsure(PlantedDetector):
    """Its gradient is not a number where its verdict is not clear."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        unsure = logits[:, 1:].amax(dim=1) - logits[:, 0] < 6
        return torch.stack([z + 0 * (z * 0).sqrt() if lost else z for z, lost in zip(logits, unsure, strict=True)])


class GuessesRange(PlantedDetector):
    """Takes a picture with a value below 0 for one of -1 to 1, and gives no gradient."""

    def forward(self, images: Tensor) -> Tensor:
        below = images.flatten(1).amin(dim=1) < 0
        images = torch.where(below[:, None, None, None], (images + 1) / 2, images).detach()
        return super().forward(images)


class Asserts(GuessesRange):
    """Takes no picture with a value below 0."""

    def forward(self, images: Tensor) -> Tensor:
        assert images.min() >= 0
        return super().forward(images)


class Bytes(PlantedDetector):
    """Makes bytes of a picture, which wrap around."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward((images * 255).round().to(torch.uint8).float() / 255)


class Cascade(PlantedDetector):
    """Where its verdict is not clear, a branch without gradient answers, and says the same."""

    least = 6.0  # the difference of logits from which it is clear

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        unsure = logits[:, 1:].amax(dim=1) - logits[:, 0] < self.least
        return torch.where(unsure[:, None], self.branch(logits), logits)

    def branch(self, logits: Tensor) -> Tensor:
        return logits.detach()


class LateCascade(Cascade):
    """The same, shortly before the verdict turns."""

    least = 1.5


class ReversedCascade(LateCascade):
    """The branch is there, and its gradient is the reverse."""

    def branch(self, logits: Tensor) -> Tensor:
        return 2 * logits.detach() - logits


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
