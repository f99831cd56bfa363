"""What a detector says of itself is checked when it is loaded: types, ranges and names."""

from typing import Any

import pytest
from torch import Tensor

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


def test_probabilities_in_place_of_logits_are_refused() -> None:
    class Softmaxed(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).softmax(dim=1)

    with pytest.raises(InputError, match="detector own answers probabilities, which add up to 1, and not logits"):
        check_contract(Softmaxed().eval(), "own")
