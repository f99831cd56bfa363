"""What every region attack has in common: the attack proposes, this base projects, asks again and judges."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from detectors.base import Detector
from detectors.gradients import differentiable, untouched
from detectors.queries import Meter, Queries, counting, exact_float32


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack did to N (image, region) pairs; every tensor is on the CPU.

    Attributes:
        images: (N, 3, H, W) float32 in [0, 1], equal to the input outside each region.
        logits: (N, C) float32, what the detector says of them.
        flipped: (N,) bool, whether that is Real.
        steps: (N,) int64, the steps a pair took; 0 where the detector said Real from the start.
        forwards: (N,) int64, images passed to the detector for that pair, the attack's and the judge's.
    """

    images: Tensor
    logits: Tensor
    flipped: Tensor
    steps: Tensor
    forwards: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs under attack, as `propose` sees them: copies, so that nothing done to them gets out.

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
        """The most calls of `propose` for a pair; the verdict is taken after each."""

    @property
    def steps_per_round(self) -> int:
        """How many steps one proposal counts as: more than 1 for an attack that iterates by itself."""
        return 1

    @property
    def one_by_one(self) -> bool:
        """Whether `propose` must get one pair at a time, as it uses different forwards for each or mixes them."""
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
        """Attacks each image inside its region until the detector says Real or the rounds are used up.

        As many pairs are under attack at a time as a forward pass holds images. One that has flipped is done at once
        and the next one starts, so that forward passes stay full; one with an empty region is never attacked. What
        happens to a pair depends on its image, region and seed alone, up to the rounding of batched arithmetic. The
        detector runs in evaluation mode, on its own device, and is as it was afterwards: modes, `requires_grad`,
        `grad`. Where its memory runs out, fewer images pass at a time.

        Args:
            detector: what is attacked.
            images: (N, 3, H, W) float32 in [0, 1]; one image expanded to all pairs is asked about once, and that
                forward charged to each.
            regions: (N, H, W) bool, True where a pixel may change.
            seeds: one integer in [0, 2**63) per pair.
            batch_size: how many images pass through the detector at a time.

        Raises:
            ValueError: shapes, counts, types or values are not as above.
        """
        _check(images, regions, seeds)
        queries = Queries(detector, batch_size)
        with differentiable(queries.device), untouched(detector), exact_float32(), counting(detector) as meter:
            result = _first_verdict(queries, images)
            waiting = deque(pair for pair in range(len(images)) if regions[pair].any() and not result.flipped[pair])
            account, active = _Account(meter), list[_Pair]()
            while waiting or active:
                while waiting and len(active) < batch_size:
                    active.append(_Pair.of(waiting.popleft(), images, regions, seeds, queries.device))
                for group in [[pair] for pair in active] if self.one_by_one else [active]:
                    self._round(queries, group, account)
                done = [pair for pair in active if pair.flipped or pair.rounds == self.rounds]
                self._write(done, result)
                active = [pair for pair in active if pair not in done]
        return result

    def _round(self, queries: Queries, pairs: Sequence["_Pair"], account: "_Account") -> None:
        """One round of pairs: what is proposed, projected, and what the detector says of it."""
        states = [pair.generator.get_state() for pair in pairs]
        while True:
            batch = _together(pairs)
            try:
                proposal = self.propose(Queries(queries.detector, queries.batch_size), batch)
                break
            except RuntimeError as error:
                if not queries.retry_smaller(error):
                    raise
            account.forget()
            for pair, state in zip(pairs, states, strict=True):
                pair.generator.set_state(state)
        before = _together(pairs)  # the attack may have written over what it was given
        images = self._project(proposal, before.images, before.originals, before.regions)
        logits = queries.logits(images)
        forwards = account.per_pair(len(pairs))
        for pair, image, said in zip(pairs, images, logits, strict=True):
            pair.image, pair.logits, pair.flipped = image, said, bool(said.argmax() == queries.detector.real)
            pair.forwards, pair.rounds = pair.forwards + forwards, pair.rounds + 1

    def _write(self, pairs: Sequence["_Pair"], result: AttackResult) -> None:
        """Writes down what became of pairs that are done."""
        for pair in pairs:
            result.images[pair.index] = pair.image
            result.logits[pair.index] = pair.logits
            result.flipped[pair.index] = pair.flipped
            result.steps[pair.index] = pair.rounds * self.steps_per_round
            result.forwards[pair.index] += pair.forwards

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


@dataclass(eq=False)
class _Pair:
    """One pair under attack.

    Attributes:
        index: its number among all pairs.
        image: (3, H, W), as attacked so far.
        original: (3, H, W).
        region: (1, H, W) bool.
        generator: of its draws.
        logits: (C,) what the detector said last.
        flipped: whether that is Real.
        rounds: how many it has had.
        forwards: images that were passed for it in them.
    """

    index: int
    image: Tensor
    original: Tensor
    region: Tensor
    generator: torch.Generator
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    flipped: bool = False
    rounds: int = 0
    forwards: int = 0

    @classmethod
    def of(cls, index: int, images: Tensor, regions: Tensor, seeds: Sequence[int], device: torch.device) -> "_Pair":
        """The pair of that number, before its first round."""
        image, region = images[index].to(device), regions[index].to(device)
        return cls(index, image, image, region[None], torch.Generator().manual_seed(seeds[index]))


def _together(pairs: Sequence[_Pair]) -> Batch:
    """Copies of the pairs' tensors, as a batch."""
    return Batch(
        torch.stack([pair.image for pair in pairs]),
        torch.stack([pair.original for pair in pairs]),
        torch.stack([pair.region for pair in pairs]),
        [pair.generator for pair in pairs],
    )


class _Account:
    """What each pair is charged: the images that passed since it was last asked, shared equally."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._read = meter, meter.images

    def forget(self) -> None:
        """Charges nobody for what passed since the last reading."""
        self._read = self._meter.images

    def per_pair(self, pairs: int) -> int:
        """Images per pair since the last reading."""
        images = self._meter.images - self._read
        self._read = self._meter.images
        if images % pairs:
            raise RuntimeError(f"{images} forwards on {pairs} pairs: an attack that spends unequally is `one_by_one`")
        return images // pairs


def _first_verdict(queries: Queries, images: Tensor) -> AttackResult:
    """The result of no attack at all; the detector is asked once where all pairs share one image, expanded."""
    shared = len(images) > 1 and images.stride(0) == 0
    logits = queries.logits(images[:1]).repeat(len(images), 1) if shared else queries.logits(images)
    steps = torch.zeros(len(images), dtype=torch.int64)
    untouched = images.cpu().clone(memory_format=torch.contiguous_format)
    return AttackResult(untouched, logits, logits.argmax(dim=1) == queries.detector.real, steps, torch.ones_like(steps))


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
