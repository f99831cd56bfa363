"""The pairs of image and region that are under attack together: where each stands, and what it was charged."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from detectors.answers import says
from detectors.queries import Meter, Queries

UNKNOWN = -1  # queries of an attack that cannot do without gradients


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs under attack, as `propose` sees them: copies, so that nothing done to them gets out.

    Attributes:
        images: (n, 3, H, W) float32, as attacked so far.
        originals: (n, 3, H, W) float32.
        regions: (n, 1, H, W) bool, the pixels that may change.
        generators: one CPU generator per pair; a pair's draws do not depend on its neighbours.
        rounds: how many rounds each pair has had.
        gradients: (n, 3, H, W), d log p(Real) / d pixel where the attack `uses_gradients`, at the last judged image for
            which it wanted it; zero before. Else empty.
        logits: (n, C) float32 on the CPU, what the detector says of `images`.
    """

    images: Tensor
    originals: Tensor
    regions: Tensor
    generators: Sequence[torch.Generator]
    rounds: Sequence[int] = ()
    gradients: Tensor = field(default_factory=lambda: torch.empty(0))
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True, eq=False)
class Proposal:
    """Images that an attack proposes, and what each cost, where the pairs of a batch cost differently.

    Attributes:
        images: (n, 3, H, W), unprojected.
        forwards: of each pair, images that were passed for it, forward and backward, as if it had been alone.
    """

    images: Tensor
    forwards: Sequence[int]


@dataclass(frozen=True, eq=False)
class Judged:
    """What the detector says of images: logits (n, C) on the CPU, and gradients (n, 3, H, W) or, not wanted, none."""

    logits: Tensor
    gradients: Tensor

    def shared_by(self, count: int) -> "Judged":
        """What it says of one image, for all of so many."""
        gradients = self.gradients.expand(count, *self.gradients.shape[1:]) if len(self.gradients) else self.gradients
        return Judged(self.logits.repeat(count, 1), gradients)

    def of(self, index: int, with_gradient: bool) -> "Judged":
        """What it says of one of them: logits (C,), gradient (3, H, W) or empty."""
        wanted = with_gradient and len(self.gradients) > 0
        return Judged(self.logits[index], self.gradients[index] if wanted else torch.empty(0))


@dataclass(frozen=True, eq=False)
class _Best:
    """The best image (3, H, W) so far, its logits (C,), and log p(Real) by them."""

    image: Tensor
    logits: Tensor
    height: float


@dataclass(eq=False)
class Pair:
    """One pair under attack.

    Attributes:
        index: its number among all pairs.
        image: (3, H, W), as attacked so far.
        original: (3, H, W).
        region: (1, H, W) bool.
        generator: of its draws.
        logits: (C,), what the detector says of `image`.
        best: of the images that were judged.
        gradient: (3, H, W), of log p(Real) where the attack last wanted it.
        flipped: whether the detector calls the best image Real.
        rounds: how many it has had.
        forwards, queries: as in AttackResult, so far.
        broken, lost: in how many of its proposals a value inside the region was NaN or infinite, and all of them.
    """

    index: int
    image: Tensor
    original: Tensor
    region: Tensor
    generator: torch.Generator
    logits: Tensor
    best: _Best
    gradient: Tensor
    flipped: bool = False
    rounds: int = 0
    forwards: int = 1
    queries: int = 1
    broken: int = 0
    lost: int = 0

    @classmethod
    def of(
        cls, index: int, images: Tensor, regions: Tensor, seeds: Sequence[int], first: Judged, queries: Queries
    ) -> "Pair":
        """The pair of that number, before its first round; `first` is what the detector says of all inputs."""
        image, region = images[index].to(queries.device), regions[index].to(queries.device)
        judged, generator = first.of(index, True), torch.Generator().manual_seed(seeds[index])
        best = _Best(image, judged.logits, _height(judged.logits, queries.detector.real))
        wanted = len(judged.gradients) > 0
        gradient = judged.gradients.to(queries.device) if wanted else torch.zeros_like(image)
        return cls(index, image, image, region[None], generator, judged.logits, best, gradient, forwards=1 + wanted)

    def take(self, image: Tensor, judged: Judged, real: int, keeps_last: bool = False) -> None:
        """Goes on from an image, and keeps it where it is the best so far, or always."""
        self.image, self.logits = image, judged.logits
        self.gradient = judged.gradients if len(judged.gradients) else self.gradient
        self.flipped = bool(says(judged.logits, real))
        height = _height(judged.logits, real)
        if keeps_last or self.flipped or height > self.best.height:
            self.best = _Best(image.clone(), judged.logits, height)  # a view would keep its whole batch


def _height(logits: Tensor, real: int) -> float:
    """log p(Real) of logits (C,)."""
    return float(logits.double().log_softmax(dim=0)[real])


def together(pairs: Sequence[Pair], with_gradients: bool) -> Batch:
    """Copies of the pairs' tensors, as a batch."""
    return Batch(
        torch.stack([pair.image for pair in pairs]),
        torch.stack([pair.original for pair in pairs]),
        torch.stack([pair.region for pair in pairs]),
        [pair.generator for pair in pairs],
        [pair.rounds for pair in pairs],
        torch.stack([pair.gradient for pair in pairs]) if with_gradients else torch.empty(0),
        torch.stack([pair.logits for pair in pairs]),
    )


class Account:
    """What each pair is charged: the images that passed since it was last asked."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.forget()

    def forget(self) -> None:
        """Charges nobody for what passed since the last reading."""
        self._read, self._read_backward = self._meter.images, self._meter.backward

    @property
    def went_back(self) -> bool:
        """Whether anything passed backward since the last reading: what no attacker without gradients can do."""
        return self._meter.backward > self._read_backward

    def charges(self, proposal: Tensor | Proposal, pairs: int) -> Sequence[int]:
        """Images of each pair since the last reading: as the proposal says, within what passed; else shared equally."""
        images = self._meter.images - self._read
        self.forget()
        if isinstance(proposal, Proposal):
            claimed = sum(proposal.forwards)
            if len(proposal.forwards) != pairs or claimed > images or (pairs == 1 and claimed != images):
                raise RuntimeError(f"{images} forwards on {pairs} pairs, and the attack says {proposal.forwards}")
            return proposal.forwards
        if images % pairs:
            raise RuntimeError(f"{images} forwards on {pairs} pairs: an attack that spends unequally is `one_by_one`")
        return [images // pairs] * pairs
