"""What a detector says of itself is checked when it is loaded: types, ranges and names."""

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.contract import check_contract
from tests.scoring.stand_ins import PlantedDetector, TwoClassPlanted


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("class_names", ("Real", "Fake", "Fake", "Fake", "Fake")),
        ("class_names", ("Real",)),
        ("class_names", 2),
        ("class_names", "Real"),
        ("class_names", ("Real", 1)),
        ("real", "0"),
        ("real", True),
        ("input_size", 48.0),
        ("input_size", 0),
        ("mean", (float("nan"),) * 3),
        ("mean", (127,) * 3),
        ("mean", 0.5),
        ("std", (0.0, 0.5, 0.5)),
    ],
)
def test_an_attribute_that_cannot_be_is_named(attribute: str, value: Any) -> None:
    detector = TwoClassPlanted()
    setattr(detector, attribute, value)
    with pytest.raises(InputError, match=f"detector own: its {attribute} is .*; expected "):
        check_contract(detector, "own")


def test_a_sound_detector_passes() -> None:
    check_contract(PlantedDetector().eval(), "own")


def test_a_call_of_its_own_is_refused() -> None:
    class Calls(PlantedDetector):
        def __call__(self, images: Tensor) -> Tensor:
            return self.forward(images)

    with pytest.raises(InputError, match="a __call__ of its own"):
        check_contract(Calls(), "own")


@pytest.mark.parametrize("hold", [lambda part: [part], lambda part: (None, part), lambda part: {"first": part}])
def test_a_network_that_torch_does_not_see_is_refused(hold: Callable[[nn.Module], object]) -> None:
    class Hides(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.parts = hold(PlantedDetector())

    with pytest.raises(InputError, match="keeps a network in 'parts' where torch does not see it"):
        check_contract(Hides().eval(), "own")


def test_parts_that_are_named_twice_or_have_no_weights_are_not() -> None:
    class Lists(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(3, 3, 1))
            self.parts = [self, self.inner, self.inner[0], nn.ReLU()]

    check_contract(Lists().eval(), "own")


@pytest.mark.parametrize("seed", [torch.manual_seed, np.random.seed, random.seed])
def test_a_detector_that_seeds_a_global_generator_is_refused(seed: Callable[[int], object]) -> None:
    class Seeds(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            seed(0)
            return super().forward(images)

    with pytest.raises(InputError, match="seeds a global generator"):
        check_contract(Seeds().eval(), "own")


def test_one_that_draws_in_vain_is_not() -> None:
    class Draws(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 0 * torch.rand(())

    check_contract(Draws().eval(), "own")


def test_probabilities_in_place_of_logits_are_refused() -> None:
    class Softmaxed(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).softmax(dim=1)

    with pytest.raises(InputError, match="detector own answers probabilities, which add up to 1, and not logits"):
        check_contract(Softmaxed().eval(), "own")


def test_shares_of_a_hundred_are_no_logits_either() -> None:
    class Percent(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return 100 * super().forward(images).softmax(dim=1)

    with pytest.raises(InputError, match="answers probabilities, which add up to 100, and not logits"):
        check_contract(Percent().eval(), "own")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda logits: (logits / 100).sigmoid(), "answers numbers from .* to .* for pictures of noise"),
        (lambda logits: logits * 0 + torch.tensor([3.0, -2.0]), "answers three different pictures of noise alike"),
        (lambda logits: logits * 1e-12 + 3, "answers three different pictures of noise alike"),
        (lambda logits: 1e12 * logits, "answers pictures of noise with logits that are .* and more apart"),
        (lambda logits: (100 * logits).round(), "answers whole numbers from .* to .* for pictures of noise"),
        (lambda logits: 10 * logits.softmax(dim=1), "answers numbers that add up to 10 for every picture of noise"),
        (lambda logits: -logits.softmax(dim=1), "answers numbers that add up to -1 for every picture of noise"),
        (lambda logits: logits - logits.mean(dim=1, keepdim=True), ""),
        (lambda logits: logits, ""),
    ],
)
def test_answers_that_may_be_no_verdicts_are_remarked_on(
    answer: Callable[[Tensor], Tensor], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return answer(super().forward(images))

    check_contract(Odd().eval(), "own")
    told = capsys.readouterr().err
    assert re.search(f"warning: detector own {words}", told) if words else told == ""


@pytest.mark.parametrize("shape", ["whole", "part"])
def test_one_that_writes_over_its_pictures_is_refused(shape: str) -> None:
    class Writes(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                (images if shape == "whole" else images[:, :, -1]).mul_(0.5)
            return super().forward(images)

    with pytest.raises(InputError, match="detector own writes over the pictures that it is given"):
        check_contract(Writes().eval(), "own")


@pytest.mark.parametrize("other", ["real", "REAL", "Real faces", "1_real", "Original", "pristine", "bona fide"])
def test_a_second_class_that_reads_as_real_is_refused(other: str) -> None:
    """A flip to it would count as none, and a frame of it as fake."""
    detector = TwoClassPlanted().eval()
    detector.class_names = ("Real", other)
    with pytest.raises(InputError, match="reads as real, too, and would count as fake"):
        check_contract(detector, "own")
    for name in ("Fake", "Deepfakes", "RealNVP", "Unreal", "Surreal art"):
        detector.class_names = ("Real", name)
        check_contract(detector, "own")
