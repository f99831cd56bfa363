"""What an attack can do it can do with more room: a larger region, or a larger budget, flips at least as often."""

from functools import cache
from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor

from attacks import RegionAttack, build_attack
from attacks.budgets import with_budget
from detectors.queries import Queries, log_odds
from tests.contracts.cases import SIZE, SmallDetector, photo
from tests.contracts.test_attacks import FILTERS, NAMES, OWN, SMALLER

FRAMES = 20
CHANCE = 0.01  # how often an attack that is as strong as it should be may fail here

QUICKER: dict[str, dict[str, Any]] = {**SMALLER, "torchattacks:Square": {"n_queries": 40}}

NOT_AIMED = frozenset({"torchattacks:VANILA", "torchattacks:GN", "torchattacks:TPGD"})
"""What changes nothing, adds noise, or moves away from its own softmax wherever that leads (docs/methods.md)."""

WEAK_HERE = frozenset({"torchattacks:OnePixel", "torchattacks:Pixle", "torchattacks:JSMA"}) | frozenset(
    {"torchattacks:EADL1", "torchattacks:EADEN"}
)
"""What changes so few pixels, or in so few of the steps that the test gives it, that within the ball nothing turns."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torchattacks")


@cache
def frames() -> Tensor:
    """Pictures (FRAMES, 3, SIZE, SIZE) that the detector calls fake by margins from next to nothing upwards."""
    detector = SmallDetector().requires_grad_(False)
    pictures = []
    for seed in range(FRAMES):
        wanted = -0.02 - 1.2 * seed / FRAMES  # log-odds of Real
        dark, bright = 0.0, 1.0
        for _ in range(16):
            middle = (dark + bright) / 2
            logits = detector(middle * photo(seed)[None])
            best_other = logits[0, [i for i in range(5) if i != detector.real]].max()
            if float(logits[0, detector.real] - best_other) < wanted:
                bright = middle
            else:
                dark = middle
        pictures.append(bright * photo(seed))
    return torch.stack(pictures)


def nested() -> list[Tensor]:
    """Regions (SIZE, SIZE) bool, each within the next; the last is the whole frame."""
    small, middle = (torch.zeros(SIZE, SIZE, dtype=torch.bool) for _ in range(2))
    small[10:18, 12:20] = True
    middle[4:24, 6:26] = True
    return [small, middle, torch.ones(SIZE, SIZE, dtype=torch.bool)]


def flips(attack: RegionAttack, images: Tensor, region: Tensor) -> Tensor:
    detector = SmallDetector()
    flipped: Tensor = attack(detector, images, region.expand(FRAMES, -1, -1), range(FRAMES), 16).flipped
    return flipped


def lost_beyond_chance(less: Tensor, more: Tensor) -> float:
    """How likely so many frames flip with less room and not with more, if either were as likely (sign test)."""
    lost, won = int((less & ~more).sum()), int((more & ~less).sum())
    return float(scipy.stats.binom.sf(lost - 1, lost + won, 0.5)) if lost + won else 1.0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*FILTERS, OWN)])
def test_more_room_never_flips_less(name: str) -> None:
    images, regions = frames(), nested()
    attack = build_attack(name, overrides=QUICKER.get(name, {}))
    by_region = [flips(with_budget(attack, 8 / 255), images, region) for region in regions]
    by_budget = [flips(with_budget(attack, budget / 255), images, regions[1]) for budget in (2, 8, 32)]
    for less, more in (by_region[:2], by_region[1:], by_budget[:2], by_budget[1:]):
        assert lost_beyond_chance(less, more) > CHANCE, (name, less.sum(), more.sum())
    if name not in NOT_AIMED | WEAK_HERE:
        assert by_region[2].any(), name
        assert by_budget[2].any(), name


def test_the_frames_are_fake_by_less_and_more() -> None:
    odds = log_odds(Queries(SmallDetector()).logits(frames()), SmallDetector.real)
    assert (Queries(SmallDetector()).logits(frames()).argmax(1) != SmallDetector.real).all()
    assert odds.max() - odds.min() > 0.8


def test_an_attack_that_overshoots_would_be_noticed() -> None:
    lost = torch.tensor([True] * 8 + [False] * 12)
    assert lost_beyond_chance(lost, torch.zeros(20, dtype=torch.bool)) < CHANCE
    assert lost_beyond_chance(torch.zeros(20, dtype=torch.bool), lost) == 1.0
