"""A frame's own pictures, asked about again: which are kept, and what is seen by them."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors import Detector, Queries
from detectors.checks.spot_checks import DARKER, MOST, SpotChecks
from detectors.gradients import differentiable, slope, untouched

SIDE = 4


class Numbered(Detector):
    """Says of a picture what its first pixel holds; remembers what it was asked about."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIDE

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.asked: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked += (images[:, 0, 0, 0].detach() * 1000).round().int().tolist()
        first = self.layer(images[:, 0, 0, 0])
        return torch.stack([torch.zeros_like(first), first], dim=1)


def numbered(numbers: range) -> Tensor:
    """Pictures that hold a number each, (N, 3, 4, 4)."""
    return (torch.tensor(list(numbers)) / 1000).view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).contiguous()


def spot_checks(detector: Detector, key: str = "") -> SpotChecks:
    return SpotChecks(detector, 8, "a picture", 0, key)


def asked_again(checks: SpotChecks, detector: Numbered) -> list[int]:
    """The numbers that it asks about, but for the other face."""
    other = round(detector.asked[0] * DARKER) if detector.asked else None
    detector.asked.clear()
    checks.require_answers()
    return [number for number in detector.asked if number != other]


def test_each_stage_has_its_share_and_each_picture_its_chance() -> None:
    """Of 40 pictures in one stage and 600 in another, asked in batches: the shares, and a chi-square of the chances."""
    counts, frames = Counter[int](), 300
    for frame in range(frames):
        detector = Numbered()
        checks = spot_checks(detector, str(frame))
        with checks.listening():
            Queries(detector).logits(numbered(range(1000, 1700, 100)))  # before any stage begins
            for stage, numbers in (("few", range(10, 50)), ("many", range(100, 700))):
                checks.begin(stage)
                Queries(detector, 7).logits(numbered(numbers))
        again = asked_again(checks, detector)
        assert sum(number >= 1000 for number in again) == 7
        assert sum(number < 50 for number in again) == MOST // 3
        assert sum(100 <= number < 700 for number in again) == MOST // 3
        counts.update(again)
    for numbers in (range(10, 50), range(100, 700)):
        expected = frames * (MOST // 3) / len(numbers)
        chance = expected / frames
        statistic = sum((counts[number] - expected) ** 2 for number in numbers) / (expected * (1 - chance))
        assert abs(statistic - len(numbers)) < 4 * (2 * len(numbers)) ** 0.5


def test_a_hundred_stages_keep_two_each() -> None:
    detector = Numbered()
    checks = spot_checks(detector)
    with checks.listening():
        for stage in range(100):
            checks.begin(str(stage))
            Queries(detector).logits(numbered(range(10 + 9 * stage, 19 + 9 * stage)))
    again = Counter((number - 10) // 9 for number in asked_again(checks, detector))
    assert set(again.values()) == {2}
    assert len(again) == 100


def test_gradients_are_heard_and_what_a_library_asks_by_itself_is_not() -> None:
    detector = Numbered()
    checks = spot_checks(detector)
    with checks.listening():
        with differentiable(torch.device("cpu")), untouched(detector):
            slope(Queries(detector), numbered(range(10, 13)), 0, torch.zeros(3, dtype=torch.bool))
        detector(numbered(range(20, 23)))
        handle = detector.layer.register_forward_hook(lambda module, inputs, output: output + 1)
        Queries(detector).logits(numbered(range(30, 33)))
        handle.remove()
    Queries(detector).logits(numbered(range(40, 43)))
    assert sorted(asked_again(checks, detector)) == [10, 11, 12]


def test_nothing_was_asked() -> None:
    detector = Numbered()
    assert asked_again(spot_checks(detector), detector) == []


class Rounds(Numbered):
    """As its precision rounds it, so that batches of another size round otherwise."""

    def forward(self, images: Tensor) -> Tensor:
        said = super().forward(images)
        return said + 3e-3 * len(images) if torch.is_autocast_enabled("cpu") else said


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_answers_are_compared_in_the_precision_that_they_were_given_in(precision: str) -> None:
    detector = Rounds()
    checks = spot_checks(detector)
    with checks.listening():
        Queries(detector, 4, precision).logits(numbered(range(100, 900, 100)))
    assert len(asked_again(checks, detector)) == 8


class OfTheBatch(Numbered):
    """Otherwise beside others, from a number on."""

    def forward(self, images: Tensor) -> Tensor:
        said = super().forward(images)
        chosen = images[:, 0, 0, :1] > 0.9
        return said + 0.1 * chosen * said.mean() * torch.tensor([0.0, 1.0])


def test_an_answer_that_was_of_its_batch_is_told() -> None:
    detector = OfTheBatch()
    for numbers, broken in ((range(100, 850, 5), False), (range(850, 1000), True)):
        checks = spot_checks(detector)
        with checks.listening():
            checks.begin("LIME")
            Queries(detector, 50).logits(numbered(numbers))
        if broken:
            with pytest.raises(InputError, match=r"^detector OfTheBatch answers a picture differently when"):
                checks.require()
        else:
            checks.require()
