"""Gradients that vanish, and gradients that are small because nothing changes."""

import math

import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors import Detector
from robustness.gradient_norms import DIRECTIONS, GradientCheck, check_gradients, gradient_norms
from tests.attacks.nets import ConvDetector, some_images
from tests.robustness.planted import GREY, SIDE, Closed, Levels, Misleading, Rounded, Saturated, Sturdy
from tests.toys import LinearDetector

H = 1 / 255


def slope_of(detector: Detector, level: int = 3) -> GradientCheck:
    image = torch.full((1, 3, detector.input_size, detector.input_size), (GREY + level) / 255)
    return check_gradients(detector, image, ["a"], [1], H, 16)[0]


def test_on_a_linear_detector_the_promise_is_the_closed_form_and_is_kept() -> None:
    """d log p(Real) / dx = -p(Fake) w."""
    weight = 0.2 * torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    detector, images = LinearDetector(weight, 1.0), torch.rand(3, 3, SIDE, SIDE)
    p = detector(images).softmax(dim=1)[:, 1]
    expected = (p * weight.norm()).tolist()
    assert gradient_norms(detector, images).tolist() == pytest.approx(expected, rel=1e-4)
    for found, norm in zip(check_gradients(detector, images, "abc", [1, 2, 3], H, 2), expected, strict=True):
        assert found.promised == pytest.approx(H * norm, rel=1e-4)
        assert found.measured == pytest.approx(found.promised, rel=3 / math.sqrt(DIRECTIONS))
        assert not found.vanishing


def test_what_is_measured_is_the_root_mean_square_of_odd_changes() -> None:
    detector, image = ConvDetector(), some_images(1)
    (found,) = check_gradients(detector, image, ["a"], [5], H, 4)
    draws = torch.Generator().manual_seed(5)
    changes = []
    for signs in 2.0 * torch.randint(2, (DIRECTIONS, *image.shape[1:]), generator=draws) - 1:
        above, below = (detector(image + side * H * signs).log_softmax(dim=1)[0, 0] for side in (1, -1))
        changes.append((above - below).item() / 2)
    assert found.measured == pytest.approx(math.sqrt(sum(c * c for c in changes) / DIRECTIONS), rel=1e-3)
    assert not found.vanishing


@pytest.mark.parametrize("detector", [Rounded, Saturated])
def test_a_gradient_of_zero_vanishes(detector: type[Levels]) -> None:
    found = slope_of(detector())
    assert found.promised == 0
    assert found.vanishing


@pytest.mark.parametrize("detector", [Levels, Sturdy, Misleading])
def test_a_gradient_that_is_there_does_not_vanish(detector: type[Levels]) -> None:
    assert not slope_of(detector()).vanishing


def test_a_staircase_hides_almost_all_of_its_gradient() -> None:
    class Staircase(Levels):
        """Flat at every level of 8 bits, and as steep as ever between them."""

        def seen(self, images: Tensor) -> Tensor:
            return images - 0.999 * torch.sin(2 * math.pi * 255 * images) / (2 * math.pi * 255)

    hidden, open_ = slope_of(Staircase()), slope_of(Levels())
    assert hidden.promised == pytest.approx(open_.promised / 1000, rel=0.05)
    assert hidden.measured == pytest.approx(open_.measured, rel=0.05)
    assert hidden.vanishing


def test_changes_below_the_resolution_of_float32_are_no_evidence() -> None:
    assert not GradientCheck("a", promised=1e-9, measured=4e-6, resolution=1e-5).vanishing
    assert GradientCheck("a", promised=1e-9, measured=4e-5, resolution=1e-5).vanishing
    assert not GradientCheck("a", promised=1e-5, measured=4e-5, resolution=1e-5).vanishing
    assert GradientCheck("a", promised=0.0, measured=0.0, resolution=1e-5).vanishing


def test_a_detector_without_gradients_gives_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"Closed gives no gradient.*torchattacks:Square --no-check"):
        gradient_norms(Closed(), torch.zeros(1, 3, SIDE, SIDE))


def test_weights_that_are_not_frozen_are_no_gradient_of_the_image() -> None:
    class Detached(Closed):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.detach()).detach() * self.scale

    with pytest.raises(InputError, match=r"Detached gives no gradient.*torchattacks:Square --no-check"):
        gradient_norms(Detached(), torch.zeros(1, 3, SIDE, SIDE))
