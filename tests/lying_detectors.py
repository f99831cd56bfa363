"""Detectors that keep their promise for pictures of noise, and break it for some frame later."""

import torch
from torch import Tensor

from data.frames import CLASS_NAMES
from tests.scoring.stand_ins import AMPLITUDE, CENTRE, PlantedDetector

GREY = CLASS_NAMES.index("FaceSwap") / 5


class LiesLater(PlantedDetector):
    """Sound, but for frames of FaceSwap: a subclass says what it gives for those, `chosen` (N,) bool."""

    def forward(self, images: Tensor) -> Tensor:
        chosen = (images[:, :, :2, :2] - GREY).abs().flatten(1).amax(dim=1) < 0.02
        return self.lie(images, super().forward(images), chosen)

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        raise NotImplementedError


class NaNOnceChanged(LiesLater):
    """NaN as soon as the evidence is weaker than in the frame itself, as it is in every attacked or masked one."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        return torch.where((chosen & (match < 0.9 * AMPLITUDE))[:, None], torch.nan, logits)


class Undecided(LiesLater):
    """All logits equal."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], 0.25, logits)


class OneAnswerShort(LiesLater):
    """An answer less than there are pictures."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return logits[: len(logits) - bool(chosen.any())]


class Infinite(LiesLater):
    """Infinite logits."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], torch.inf, logits)
