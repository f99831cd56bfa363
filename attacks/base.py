"""What every region attack has in common: the attack proposes, this base projects, asks again and judges."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from detectors.base import Detector
from detectors.queries import Meter, Queries, counting, evaluating, exact_float32


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack did to N (image, region) pairs; every tensor is on the CPU.

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
    """The pairs still under attack, as `propose` sees them: copies, so that nothing done to them gets out.

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

    A subclass defines `propose` and `rounds`. It cannot leave its region, the L-infinity ball or [0, 1], cannot
    declare its own success, and cannot understate its cost: the base projects, asks and counts.

    Attributes:
        epsilon: the L-infinity budget in pixel units, in (0, 1].
    """

    epsilon: float = 16 / 255

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError(f"epsilon is in pixel units and must lie in (0, 1], got {self.epsilon}")

    @property
    @abstractmethod
    def rounds(self) -> int:
        """How often `propose` is asked at most, with the verdict taken after each."""

    @property
    def steps_per_round(self) -> int:
        """How many steps one proposal stands for (an attack that iterates by itself says so)."""
        return 1

    @property
    def one_by_one(self) -> bool:
        """Whether `propose` must get one pair at a time, as it spends different forwards on each or mixes them."""
        return False

    @abstractmethod
    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """New images (n, 3, H, W) for the pairs of `batch`, unprojected; NaN and infinity count as no change.

        It runs with autograd on, autocast off, and the detector frozen in evaluation mode. Every pair of the batch
        must get the same number of forwards, or the attack say that it is `one_by_one`.
        """

    @final
    def __call__(
        self, detector: Detector, images: Tensor, regions: Tensor, seeds: Sequence[int], batch_size: int = 32
    ) -> AttackResult:
        """Attacks each image inside its region until the detector says Real or the rounds are spent.

        A pair that has flipped leaves the batch, and one with an empty region never enters it. What happens to a
        pair depends on its image, region and seed alone, up to the rounding of batched arithmetic. The detector
        runs in evaluation mode, on its own device, and is as it was afterwards: modes, `requires_grad`, `grad`.

        Args:
            detector: what is attacked.
            images: (N, 3, H, W) float32 in [0, 1].
            regions: (N, H, W) bool, True where a pixel may change.
            seeds: one integer in [0, 2**63) per pair.
            batch_size: how many images pass through the detector at a time.

        Raises:
            ValueError: shapes, counts, types or values are not as above.
        """
        _check(images, regions, seeds)
        judge = Queries(detector, batch_size)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        with differentiable(judge.device), untouched(detector), exact_float32(), counting(detector) as meter:
            account = _Account(meter)
            originals, masks = images.to(judge.device).clone(), regions.to(judge.device)[:, None]
            attacked, attackable = originals.clone(), regions.flatten(1).any(dim=1).cpu()
            flipped = _says_real(judge, attacked)
            steps = torch.zeros(len(images), dtype=torch.int64)
            forwards = torch.full_like(steps, account.per_pair(len(images)))
            for _ in range(self.rounds):
                for pairs in self._groups(attackable & ~flipped):
                    batch = Batch(attacked[pairs], originals[pairs], masks[pairs], [generators[i] for i in pairs])
                    proposal = self.propose(Queries(detector, batch_size), batch)
                    attacked[pairs] = self._project(proposal, attacked[pairs], originals[pairs], masks[pairs])
                    flipped[pairs] = _says_real(judge, attacked[pairs])
                    steps[pairs] += self.steps_per_round
                    forwards[pairs] += account.per_pair(len(pairs))
        return AttackResult(attacked.cpu(), flipped, steps, forwards)

    def _groups(self, active: Tensor) -> list[list[int]]:
        """The pairs that are still active, grouped as `propose` takes them."""
        pairs = active.nonzero()[:, 0].tolist()
        if self.one_by_one:
            return [[pair] for pair in pairs]
        return [pairs] if pairs else []

    def _project(self, proposal: Tensor, current: Tensor, originals: Tensor, masks: Tensor) -> Tensor:
        """The proposal inside the region, the L-infinity ball around the original, and [0, 1]."""
        if proposal.shape != originals.shape:
            raise ValueError(
                f"{type(self).__name__}.propose returned {tuple(proposal.shape)}, expected {tuple(originals.shape)}"
            )
        proposal = proposal.detach().to(originals)
        finite = torch.where(proposal.isfinite(), proposal, current)
        near = torch.minimum(torch.maximum(finite, originals - self.epsilon), originals + self.epsilon)
        return torch.where(masks, near.clamp(0.0, 1.0), originals)


class _Account:
    """What each pair is charged: the images that passed since it was last asked, shared equally."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._read = meter, 0

    def per_pair(self, pairs: int) -> int:
        """Images per pair since the last reading."""
        images = self._meter.images - self._read
        self._read = self._meter.images
        if images % max(pairs, 1):
            raise RuntimeError(f"{images} forwards on {pairs} pairs: an attack that spends unequally is `one_by_one`")
        return images // max(pairs, 1)


@contextlib.contextmanager
def untouched(detector: Detector) -> Iterator[None]:
    """Evaluation mode and frozen weights inside; every mode, `requires_grad` and `grad` as before afterwards."""
    before = [(weight, weight.requires_grad, weight.grad) for weight in detector.parameters()]
    with evaluating(detector):
        try:
            for weight, _, _ in before:
                weight.requires_grad_(False)
            yield
        finally:
            for weight, requires_grad, grad in before:
                weight.requires_grad_(requires_grad)
                weight.grad = grad


@contextlib.contextmanager
def differentiable(device: torch.device) -> Iterator[None]:
    """Autograd on and autocast off inside, whatever the caller set."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


def _says_real(queries: Queries, images: Tensor) -> Tensor:
    return queries.logits(images).argmax(dim=1) == queries.detector.real


def _check(images: Tensor, regions: Tensor, seeds: Sequence[int]) -> None:
    if images.ndim != 4 or regions.shape != (len(images), *images.shape[2:]) or len(seeds) != len(images):
        raise ValueError(
            f"expected images (N, 3, H, W), regions (N, H, W) and N seeds; "
            f"got {tuple(images.shape)}, {tuple(regions.shape)} and {len(seeds)}"
        )
    if images.dtype != torch.float32 or regions.dtype != torch.bool:
        raise ValueError(f"expected float32 images and bool regions, got {images.dtype} and {regions.dtype}")
    low, high = (image_range.item() for image_range in images.aminmax()) if images.numel() else (0.0, 1.0)
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must lie in [0, 1], got values from {low:g} to {high:g}")
