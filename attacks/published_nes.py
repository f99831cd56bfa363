"""NES as the published evaluation runs it, each of its differences from `attacks.nes` a setting of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.base import Batch
from attacks.nes import NES
from detectors.queries import Queries, probabilities


@dataclass(frozen=True)
class PublishedNES(NES):
    """NES without what `RegionAttack` sees to, to measure what that is worth (docs/methods.md).

    The differences are those of the code published with Tsigos et al. (WACVW 2025); without any, this is NES.

    Attributes:
        scale: what steps and probes are multiplied by in each channel: the standard deviations that the detector's
            normalisation divides by, where they are taken in its normalised space.
        bounded: whether the sum of the steps stays within `epsilon`.
        clamped: whether images stay within [0, 1].
        climbs_log: whether log p(Real) is climbed, not p(Real). The gradient differs by the factor p(Real), which no
            sign shows, until it is rounded to 0; finite differences bend differently besides.
        keeps_best: whether the best image that was judged is the result where none is called Real, not the last.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bounded: bool = True
    clamped: bool = True
    climbs_log: bool = True
    keeps_best: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not min(self.scale) > 0:
            raise ValueError(f"scale must be above 0 in every channel, got {self.scale}")

    @property
    def _keeps_last(self) -> bool:
        return not self.keeps_best

    def _in_channels(self, change: Tensor) -> Tensor:
        return change if self.scale == (1.0, 1.0, 1.0) else change * self._scale_of(change)

    def _slopes(self, queries: Queries, batch: Batch) -> Tensor:
        slopes = (batch.gradients * self._scale_of(batch.gradients)).sum(dim=1)
        if self.climbs_log:
            return slopes
        chance = probabilities(batch.logits)[:, queries.detector.real]
        return slopes * chance.to(slopes)[:, None, None]  # d p = p d log p

    def _height(self, queries: Queries, images: Tensor) -> Tensor:
        if self.climbs_log:
            return super()._height(queries, images)
        return queries.probabilities(images)[:, queries.detector.real]

    def _scale_of(self, images: Tensor) -> Tensor:
        return torch.tensor(self.scale).to(images).view(3, 1, 1)

    def _project(self, proposal: Tensor, current: Tensor, originals: Tensor, masks: Tensor) -> Tensor:
        if self.bounded and self.clamped:
            return super()._project(proposal, current, originals, masks)
        proposal = proposal.detach().to(originals)
        images = torch.where(proposal.isfinite(), proposal, current)
        if self.bounded:
            images = torch.minimum(torch.maximum(images, originals - self.epsilon), originals + self.epsilon)
        return torch.where(masks, images.clamp(0.0, 1.0) if self.clamped else images, originals)
