"""How far an attack on a region moves a verdict, on a scale that does not end where the verdict flips."""

import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from common.seeds import derive_seed
from detectors import Detector, Queries
from xai.regions import digest_of

LIFT = 50.0
"""How much log-odds of Real a detector is made to ask for before it says Real: ten times as much where that flips."""
GROUP = 64  # regions in one call of an attack, whose images are all in memory


class Unflippable(Detector):
    """A detector's log-odds of Real against all else, beside so high a logit that an attack does not get there.

    An attack stops where the verdict flips, and how far it would have gone is not known; of this view it goes all its
    steps. Its gradient is that of the detector's log-odds.
    """

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, detector: Detector, lift: float) -> None:
        super().__init__()
        self.detector, self.lift = detector, lift
        self.input_size, self.mean, self.antialias = detector.input_size, detector.mean, detector.antialias

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2): the log-odds of Real, and `lift`."""
        odds = -fake_log_odds(self.detector(images), self.detector.real)
        return torch.stack([odds, torch.full_like(odds, self.lift)], dim=1)


def fake_log_odds(logits: Tensor, real: int) -> Tensor:
    """log p(any class but Real) - log p(Real) of logits (N, C), (N,)."""
    others = torch.cat([logits[:, :real], logits[:, real + 1 :]], dim=1)
    return others.logsumexp(dim=1) - logits[:, real]


def strength(detector: Detector, image: Tensor, batch_size: int) -> float:
    """The log-odds that the detector gives to an image (3, S, S) being manipulated."""
    return float(fake_log_odds(Queries(detector, batch_size).logits(image[None]), detector.real)[0])


def moves(
    detector: Detector,
    image: Tensor,
    regions: np.ndarray,
    attack: RegionAttack,
    seed: int,
    key: str,
    batch_size: int,
) -> np.ndarray:
    """How much lower an attack on each region brings the log-odds of the image being manipulated, (N,), at least 0.

    Args:
        detector: whose verdict is moved.
        image: (3, S, S) float32 in [0, 1].
        regions: (N, S, S) bool, True where a pixel may change.
        attack: what is run on each; the same for all.
        seed: with the key and the region, of the attack's draws.
        key: of the image.
        batch_size: images in a forward pass.

    Raises:
        InputError: as the attack does.
    """
    seeds = [derive_seed(seed, key, "move", digest_of(region)) for region in regions]
    lift = LIFT
    while (found := _moves(Unflippable(detector, lift), image, regions, attack, seeds, batch_size)) is None:
        lift *= 10
    return found


def _moves(
    view: Unflippable, image: Tensor, regions: np.ndarray, attack: RegionAttack, seeds: list[int], batch_size: int
) -> np.ndarray | None:
    """As `moves`, by one view; None where an attack flips it, and has stopped."""
    before = Queries(view, 1).logits(image[None])[0, 0]
    found = []
    for start in range(0, len(regions), GROUP):
        group = regions[start : start + GROUP]
        images = image.expand(len(group), *image.shape)
        result = attack(view, images, torch.from_numpy(group), seeds[start : start + GROUP], batch_size)
        if result.flipped.any():
            return None
        found.append((result.logits[:, 0] - before).clamp(min=0.0).double().numpy())
    return np.concatenate(found) if found else np.zeros(0)
