"""How far an attack on a region moves a verdict, on a scale that does not end where the verdict flips."""

import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from common.seeds import derive_seed, generator
from detectors import Detector, Queries
from detectors.answers import in_float32
from detectors.checks.followed_gradients import ADVICE, FollowedGradients
from detectors.gradients import NoGradientError
from detectors.queries import tell
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
        """Logits (N, 2): the log-odds of Real, and `lift`. Those who listen to the detector are told its answers."""
        logits = self.detector(images)
        tell(self.detector, images, in_float32(logits.detach()).cpu())
        odds = -fake_log_odds(logits, self.detector.real)
        return torch.stack([odds, torch.full_like(odds, self.lift)], dim=1)


def fake_log_odds(logits: Tensor, real: int) -> Tensor:
    """log p(any class but Real) - log p(Real) of logits (N, C), (N,)."""
    others = torch.cat([logits[:, :real], logits[:, real + 1 :]], dim=1)
    return others.logsumexp(dim=1) - logits[:, real]


def strength(detector: Detector, image: Tensor, batch_size: int) -> float:
    """The log-odds that the detector gives to an image (3, S, S) being manipulated."""
    return float(fake_log_odds(Queries(detector, batch_size).logits(image[None]), detector.real)[0])


class RegionMoves:
    """How far an attack on regions of one image brings down the log-odds of its being manipulated.

    Some of the gradients that it follows are kept, those beyond the flip among them: `require_gradients` asks for them
    again.

    Args:
        detector: whose verdict is moved.
        image: (3, S, S) float32 in [0, 1].
        attack: what is run on each region; the same for all.
        seed: with the key and the region, of the attack's draws.
        key: of the image.
        batch_size: images in a forward pass.
    """

    def __init__(
        self, detector: Detector, image: Tensor, attack: RegionAttack, seed: int, key: str, batch_size: int
    ) -> None:
        self.detector, self.image, self.attack = detector, image, attack
        self._seed, self._key, self._batch_size = seed, key, batch_size
        self._followed: list[FollowedGradients] = []
        """Of views that are lifted further and further."""

    def __call__(self, regions: np.ndarray) -> np.ndarray:
        """How much lower an attack on each region (N, S, S) bool, True where a pixel may change, brings it, (N,).

        At least 0. Raises InputError as the attack does, in the name of the detector.
        """
        seeds = [derive_seed(self._seed, self._key, "move", digest_of(region)) for region in regions]
        lifts = 0
        while True:
            followed = self._of_view(lifts)
            try:
                with followed.listening():
                    found = self._moves(followed.detector, regions, seeds)
            except NoGradientError as error:
                raise NoGradientError(self.detector, error.reason, ADVICE) from error
            if found is not None:
                return found
            lifts += 1

    def require_gradients(self, what: str) -> None:
        """Raises InputError where gradients that it followed at `what` are others now, or not what moves the detector.

        See `detectors.checks.followed_gradients`.
        """
        for followed in self._followed:
            followed.require(what)

    def _of_view(self, lifts: int) -> FollowedGradients:
        """What is kept of the view that is lifted ten times as far, so many times; it is made where it is new."""
        if lifts == len(self._followed):
            draws = generator(self._seed, self._key, "gradients of moves", lifts)
            view = Unflippable(self.detector, LIFT * 10.0**lifts)
            self._followed.append(FollowedGradients(view, self._batch_size, draws, self.detector))
        return self._followed[lifts]

    def _moves(self, view: Detector, regions: np.ndarray, seeds: list[int]) -> np.ndarray | None:
        """What is found by one view; None where an attack flips it, and has stopped."""
        before = Queries(view, 1).logits(self.image[None])[0, 0]
        found = []
        for start in range(0, len(regions), GROUP):
            group = regions[start : start + GROUP]
            images = self.image.expand(len(group), *self.image.shape)
            result = self.attack(view, images, torch.from_numpy(group), seeds[start : start + GROUP], self._batch_size)
            if result.flipped.any():
                return None
            found.append((result.logits[:, 0] - before).clamp(min=0.0).double().numpy())
        return np.concatenate(found) if found else np.zeros(0)
