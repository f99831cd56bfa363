"""What every region attack has in common: the attack proposes, this base projects, asks again and judges."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from detectors.base import Detector
from detectors.queries import Queries


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack did to N (image, region) pairs.

    Attributes:
        images: (N, 3, H, W) float32 in [0, 1], equal to the input outside each region.
        flipped: (N,) bool, whether the detector now says Real.
        steps: (N,) int64, the steps a pair took; 0 where the detector said Real from the start.
        forwards: (N,) int64, images passed to the detector for that pair, the attack's and the judge's.
    """

    images: Tensor
    flipped: Tensor
    steps: Tensor
    forwards: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """The pairs still under attack, as `propose` sees them.

    Attributes:
        images: (n, 3, H, W) float32, as attacked so far.
        originals: (n, 3, H, W) float32.
        regions: (n, 1, H, W) bool, the pixels that may change.
        generators: one CPU generator per pair; a pair's draws do not depend on its neighbours.
    """

    images: Tensor
    originals: Tensor
    regions: Tensor
    generators: Sequence[torch.Generator]


@dataclass(frozen=True)
class RegionAttack(ABC):
    """Base of every region attack; a subclass's fields are its settings.

    Attributes:
        epsilon: the L-infinity budget in pixel units of [0, 1].
    """

    epsilon: float = 16 / 255

    @property
    @abstractmethod
    def rounds(self) -> int:
        """How often `propose` is asked at most, with the verdict taken after each."""

    @property
    def steps_per_round(self) -> int:
        """How many steps one proposal stands for (an attack that iterates by itself says so)."""
        return 1

    @abstractmethod
    def propose(self, queries: Queries, batch: Batch) -> tuple[Tensor, int]:
        """New images (n, 3, H, W) for the pairs of `batch`, unprojected, and the forwards spent on each pair."""

    @final
    def __call__(
        self, detector: Detector, images: Tensor, regions: Tensor, seeds: Sequence[int], batch_size: int = 32
    ) -> AttackResult:
        """Attacks each image inside its region until the detector says Real or the rounds are spent.

        `images` (N, 3, H, W) float32 in [0, 1], `regions` (N, H, W) bool, `seeds` one integer per pair. A pair
        that has flipped leaves the batch. Raises ValueError where shapes or counts disagree.
        """
        if images.ndim != 4 or regions.shape != (len(images), *images.shape[2:]) or len(seeds) != len(images):
            raise ValueError(
                f"expected images (N, 3, H, W), regions (N, H, W) and N seeds; "
                f"got {tuple(images.shape)}, {tuple(regions.shape)} and {len(seeds)}"
            )
        queries = Queries(detector, batch_size)
        device = queries.device
        originals, masks = images.to(device), regions.to(device)[:, None].bool()
        attacked = originals.clone()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        flipped = self._says_real(queries, attacked)
        steps = torch.zeros(len(images), dtype=torch.int64)
        forwards = torch.ones(len(images), dtype=torch.int64)
        for _ in range(self.rounds):
            active = (~flipped & masks.flatten(1).any(1).cpu()).nonzero()[:, 0]
            if not len(active):
                break
            at = active.to(device)
            batch = Batch(attacked[at], originals[at], masks[at], [generators[i] for i in active.tolist()])
            proposal, spent = self.propose(queries, batch)
            attacked[at] = self._project(proposal.detach(), batch)
            steps[active] += self.steps_per_round
            forwards[active] += spent + 1
            flipped[active] = self._says_real(queries, attacked[at])
        return AttackResult(attacked.cpu(), flipped, steps, forwards)

    def _project(self, proposal: Tensor, batch: Batch) -> Tensor:
        """The proposal inside the region, the L-infinity ball around the original, and [0, 1]."""
        near = torch.minimum(torch.maximum(proposal, batch.originals - self.epsilon), batch.originals + self.epsilon)
        return torch.where(batch.regions, near.clamp(0.0, 1.0), batch.originals)

    @staticmethod
    def _says_real(queries: Queries, images: Tensor) -> Tensor:
        return queries.logits(images).argmax(dim=1) == queries.detector.real
