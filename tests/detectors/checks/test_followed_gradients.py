"""The gradients that attacks follow, asked for again: which are kept, what is seen by them, and what is no fault."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks import Batch, RegionAttack, build_attack
from attacks.nes import NES
from attacks.pgd import PGD
from common.errors import InputError
from detectors import Detector
from detectors.checks.followed_gradients import MOST, FollowedGradients
from detectors.checks.gradient_check import ATTACKS, note_misleading
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries

SIDE = 8
WHAT = "a picture of this test"


class Bright(Detector):
    """Fake by the mean of its picture, 0.5 and more; a subclass says what `evidence` (N,) has for a gradient."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIDE

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        evidence = self.evidence(self.gain * (images.mean(dim=(1, 2, 3)) - 0.5))
        return torch.stack([torch.zeros_like(evidence), evidence], dim=1)

    def evidence(self, evidence: Tensor) -> Tensor:
        return evidence


class Cut(Bright):
    """None below 1."""

    def evidence(self, evidence: Tensor) -> Tensor:
        return torch.where(evidence < 1, evidence.detach(), evidence)


class Doubled(Bright):
    """Twice what it is."""

    def evidence(self, evidence: Tensor) -> Tensor:
        return 2 * evidence - evidence.detach()


class FirstOfThree(Bright):
    """None behind the third picture of a batch."""

    def evidence(self, evidence: Tensor) -> Tensor:
        return torch.where(torch.arange(len(evidence)) >= 3, evidence.detach(), evidence)


class Plateau(Bright):
    """Nothing moves it below 1."""

    def evidence(self, evidence: Tensor) -> Tensor:
        return evidence.clamp(min=1)


def attacked(detector: Detector, attack: RegionAttack, pairs: int = 6) -> FollowedGradients:
    """What was heard of an attack on a grey picture, on regions of as many columns as their number."""
    image = torch.full((3, SIDE, SIDE), 0.535)
    regions = torch.arange(SIDE)[None, None].expand(pairs, SIDE, SIDE) <= torch.arange(pairs)[:, None, None]
    followed = FollowedGradients(detector, 32, np.random.default_rng(0))
    with followed.listening():
        attack(detector, image[None].expand(pairs, -1, -1, -1), regions, list(range(pairs)))
    return followed


RUN = [NES(pairs=40, steps=12, step=2 / 255), PGD(steps=6)]


@pytest.mark.parametrize("attack", RUN)
@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (
            Cut,
            f"Cut: its gradient is zero at {WHAT} \\(it was zero at [0-9]+ of [0-9]+\\): mend its forward, or attack",
        ),
        (Doubled, f"Doubled: its gradient disagrees with finite differences .* at {WHAT}: mend its forward"),
        (FirstOfThree, f"FirstOfThree gives another gradient of {WHAT} when it is asked again, alone: mend"),
    ],
)
def test_a_gradient_that_misleads_an_attack_is_refused(
    detector: type[Bright], words: str, attack: RegionAttack
) -> None:
    followed = attacked(detector(), attack)
    with pytest.raises(InputError, match=words):
        followed.require(WHAT)


def test_a_zero_that_others_of_the_batch_made_is_found_however_rare() -> None:
    """Of 40 steps of 8 pairs, one is zero; alone it would not have been."""

    class LastOfEight(Bright):
        """None for the eighth of a full batch, once."""

        asked = 0

        def evidence(self, evidence: Tensor) -> Tensor:
            self.asked += len(evidence) == 8 and evidence.requires_grad
            last = (torch.arange(len(evidence)) == 7) & (self.asked == 9)
            return torch.where(last, evidence.detach(), evidence)

    followed = attacked(LastOfEight(), NES(pairs=8, steps=40, step=1e-6), pairs=8)
    assert (followed._zero, followed._asked) == (1, 313)
    with pytest.raises(InputError, match=r"LastOfEight gives another gradient of .* when it is asked again, alone"):
        followed.require(WHAT)


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (Cut, "Cut: its gradient is zero at"),
        (Doubled, "Doubled: its gradient disagrees with finite differences"),
        (FirstOfThree, "FirstOfThree: its gradient is another one the second time, beside other pictures"),
    ],
)
def test_where_attacks_of_torchattacks_lead_it_is_compared_with_finite_differences(
    detector: type[Bright], words: str
) -> None:
    followed = attacked(detector(), build_attack("torchattacks:PGD", overrides={"steps": 6}))
    with pytest.raises(InputError, match=words):
        followed.require(WHAT)


@pytest.mark.parametrize("attack", [*RUN, build_attack("torchattacks:PGD"), build_attack("torchattacks:Square")])
@pytest.mark.parametrize("detector", [Bright, Plateau])
def test_a_sound_gradient_is_none_even_where_it_is_zero_rightly(detector: type[Bright], attack: RegionAttack) -> None:
    attacked(detector(), attack).require(WHAT)


def test_one_that_was_warned_of_is_not_refused() -> None:
    detector = Doubled()
    followed = attacked(detector, PGD(steps=6))
    note_misleading(detector, ATTACKS)
    followed.require(WHAT)


def test_an_attack_that_follows_none_is_not_asked_about() -> None:
    detector = Doubled()
    attacked(detector, NES(pairs=8, steps=3, derivatives="finite")).require(WHAT)


def test_what_is_proposed_is_judged_and_heard_before_it_flips() -> None:
    class Darker(RegionAttack):
        """A level darker each round."""

        rounds, uses_gradients = 20, True

        def propose(self, queries: Queries, batch: Batch) -> Tensor:
            return batch.images - 1 / 255

    detector, heard = Cut(), FollowedGradients(Cut(), 32, np.random.default_rng(0))
    heard.detector = detector
    with heard.listening():
        image = torch.full((1, 3, SIDE, SIDE), 0.545)
        assert Darker(epsilon=0.1)(detector, image, torch.ones(1, SIDE, SIDE, dtype=torch.bool), [0]).flipped.all()
    with pytest.raises(InputError, match=r"it was zero at 6 of 12\)"):  # 40 (0.545 - n/255 - 0.5) < 1, n = 6 ... 11
        heard.require(WHAT)


def test_each_gradient_has_the_same_chance_to_be_kept() -> None:
    """60 pictures in batches of 7, 400 times: a chi-square of how often each is kept."""
    detector, counts, rounds, numbers = Bright(), Counter[int](), 400, 60
    pictures = (torch.arange(numbers) / 1000 + 0.6).view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).contiguous()
    for number in range(rounds):
        followed = FollowedGradients(detector, 28, np.random.default_rng(number))
        with followed.listening(), differentiable(torch.device("cpu")), untouched(detector):
            slope(Queries(detector, 28), pictures, 0, torch.zeros(numbers, dtype=torch.bool))
        kept = [round(1000 * (float(each.picture[0, 0, 0]) - 0.6)) for each in followed._kept]
        assert len(set(kept)) == MOST
        counts.update(kept)
    expected, chance = rounds * MOST / numbers, MOST / numbers
    statistic = sum((counts[number] - expected) ** 2 for number in range(numbers)) / (expected * (1 - chance))
    assert abs(statistic - numbers) < 4 * (2 * numbers) ** 0.5
