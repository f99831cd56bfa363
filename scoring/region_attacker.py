"""Attacks a frame's distinct regions, each once, and says what became of the verdict."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from common.seeds import derive_seed
from detectors import Detector
from detectors.answers import said_class
from detectors.base import to_pictures
from detectors.queries import probabilities

GROUP = 128  # regions in one call of an attack: a fixed number, so that rounding and memory do not depend on how many


@dataclass(frozen=True)
class Verdict:
    """What the detector says of a frame.

    Attributes:
        probabilities: (C,) float32.
        predicted: the index of the most probable class.
        target: the index of the explained class.
        correct: whether `predicted` is the frame's class: 1 or 0, -1 where the detector has no class for it.
    """

    probabilities: Tensor
    predicted: int
    target: int
    correct: int


@dataclass(frozen=True)
class Outcome:
    """What an attack on one region did: p(target) and the class after it, whether it flipped, its size and cost.

    `picture` is the attacked image as a picture, (S, S, 3) uint8, where it flipped and the attacker keeps such;
    `proposals` as in `attacks.base.AttackResult`.
    """

    after: float
    predicted: int
    flipped: bool
    linf: float
    steps: int
    forwards: int
    queries: int
    picture: np.ndarray | None = field(default=None, compare=False, repr=False)
    proposals: tuple[int, int, int] = field(default=(0, 0, 0), compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class RegionAttacker:
    """Attacks regions of one frame.

    Attributes:
        detector: whose verdict is to flip.
        image: (3, S, S) float32 in [0, 1].
        verdict: on it.
        seed, key: with the attack's name and the region they fix every draw.
        batch_size: images in a forward pass.
        keeps_flips: whether the outcome of a flip has its picture.
    """

    detector: Detector
    image: Tensor
    verdict: Verdict
    seed: int
    key: str
    batch_size: int
    keeps_flips: bool = False

    def outcomes(
        self,
        name: str,
        attack: RegionAttack,
        regions: Mapping[str, np.ndarray],
        kept: Collection[str] = (),
    ) -> tuple[dict[str, Outcome], dict[str, Tensor]]:
        """Attacks each region; returns what that did by digest, and the attacked images (3, S, S) of those `kept`.

        Args:
            name: of the attack; the draws depend on it.
            attack: what is run.
            regions: (S, S) bool, True where a pixel may change, by digest (`xai.regions.digest_of`).
            kept: the digests whose attacked images are returned, too.

        Raises:
            ValueError, InputError: as the attack does.
        """
        outcomes: dict[str, Outcome] = {}
        images: dict[str, Tensor] = {}
        digests = list(regions)
        for start in range(0, len(digests), GROUP):
            group = digests[start : start + GROUP]
            group_outcomes, attacked = self._group(name, attack, {digest: regions[digest] for digest in group})
            outcomes |= group_outcomes
            images |= {digest: image.clone() for digest, image in attacked.items() if digest in kept}
        return outcomes, images

    def flips(self, name: str, attack: RegionAttack, regions: Mapping[str, np.ndarray]) -> dict[str, bool]:
        """Whether the attack turns the verdict to Real, by digest of the region."""
        return {digest: outcome.flipped for digest, outcome in self.outcomes(name, attack, regions)[0].items()}

    def _group(
        self, name: str, attack: RegionAttack, regions: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Outcome], dict[str, Tensor]]:
        """One call of the attack, whose own judge says what became of the verdict."""
        verdict = self.verdict
        masks = torch.from_numpy(np.stack(list(regions.values())))
        images = self.image.expand(len(masks), *self.image.shape)
        seeds = [derive_seed(self.seed, self.key, "attack", name, digest) for digest in regions]
        result = attack(self.detector, images, masks, seeds, self.batch_size)
        original = self.image.cpu()
        change = torch.stack([(image - original).abs().max() for image in result.images])
        after = probabilities(result.logits)
        predicted = said_class(result.logits, self.detector.real)
        same = (change == 0) & ~result.flipped  # not the rounding of another batch
        after[same], predicted[same] = verdict.probabilities, verdict.predicted
        flipped = result.flipped if verdict.predicted != self.detector.real else torch.zeros_like(result.flipped)
        proposals = [(int(made), int(broken), int(lost)) for made, broken, lost in result.proposals.tolist()]
        outcomes = {
            digest: Outcome(
                after=float(after[i, verdict.target]),
                predicted=int(predicted[i]),
                flipped=bool(flipped[i]),
                linf=float(change[i]),
                steps=int(result.steps[i]),
                forwards=int(result.forwards[i]),
                queries=int(result.queries[i]),
                picture=to_pictures(result.images[i : i + 1])[0] if self.keeps_flips and flipped[i] else None,
                proposals=proposals[i],
            )
            for i, digest in enumerate(regions)
        }
        return outcomes, dict(zip(regions, result.images, strict=True))
