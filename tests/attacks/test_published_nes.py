"""NES with the published evaluation's differences, each against what it does by hand on a linear detector."""

import pytest
import torch
from torch import Tensor

from attacks import NES, AttackResult, Batch, RegionAttack
from attacks.published_nes import PublishedNES
from detectors import Queries
from detectors.base import Detector
from tests.toys import LinearDetector

SIZE, STEPS, STEP = 6, 30, 1 / 255
STD = (0.2, 0.5, 1.0)
EVERYWHERE = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
WEIGHT = torch.full((3, SIZE, SIZE), 0.001)  # darker is more real, and never enough to flip


class Stubborn(LinearDetector):
    """Fake for every image; its log p(Real) rises as the image darkens."""

    def __init__(self) -> None:
        super().__init__(WEIGHT, bias=3.0)


def attacked(attack: RegionAttack, level: float = 0.5, detector: Detector | None = None) -> AttackResult:
    images = torch.full((1, 3, SIZE, SIZE), level)
    return attack(detector or Stubborn(), images, EVERYWHERE, [1])


def nes(**changes: object) -> PublishedNES:
    return PublishedNES(pairs=200, steps=STEPS, step=STEP, epsilon=16 / 255, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("derivatives", ["exact", "finite"])
def test_without_a_difference_it_is_nes(derivatives: str) -> None:
    plain = NES(pairs=5, steps=4, derivatives=derivatives)
    same = PublishedNES(pairs=5, steps=4, derivatives=derivatives)
    assert torch.equal(attacked(plain).images, attacked(same).images)


def test_the_sum_of_the_steps_leaves_the_ball_by_exactly_what_it_is_more() -> None:
    within, beyond = attacked(nes()), attacked(nes(bounded=False))
    change = (0.5 - within.images).abs().amax(dim=(0, 2, 3))
    assert change.tolist() == pytest.approx([16 / 255] * 3, abs=1e-6)
    change = (0.5 - beyond.images).abs().amax(dim=(0, 2, 3))
    assert change.tolist() == pytest.approx([STEPS / 255] * 3, abs=1e-5)  # 14/255 outside the ball


def test_a_step_in_normalised_space_is_the_standard_deviation_of_each_channel() -> None:
    found = attacked(nes(bounded=False, scale=STD)).images
    change = (0.5 - found).abs().amax(dim=(0, 2, 3))
    assert change.tolist() == pytest.approx([STEPS * std / 255 for std in STD], abs=1e-5)


def test_probes_in_normalised_space_weigh_the_channels_gradients() -> None:
    """d log p(Real) along a change of the normalised image: the channels' gradients times their deviations."""
    weight = torch.stack([torch.full((SIZE, SIZE), value) for value in (1.0, -0.5, 0.3)])  # in sum above 0
    detector, images = LinearDetector(weight, bias=0.1), torch.full((1, 3, SIZE, SIZE), 0.5)
    for derivatives in ("exact", "finite"):
        attack = PublishedNES(pairs=4000, sigma=1e-3, scale=STD, derivatives=derivatives)
        gradients = -detector_slope(detector, images) * weight[None]
        batch = Batch(
            images, images, EVERYWHERE[:, None], [torch.Generator().manual_seed(0)], [0], gradients,
            detector(images).detach(),
        )  # fmt: skip
        estimate = attack.gradient(Queries(detector, 64), batch).mean()
        true = -detector_slope(detector, images) * (0.2 * 1.0 - 0.5 * 0.5 + 1.0 * 0.3)
        assert float(estimate) == pytest.approx(float(true), rel=0.2), derivatives


def detector_slope(detector: Detector, images: Tensor) -> Tensor:
    """p(Fake) of a two-class linear detector: by how much log p(Real) falls as its logit rises."""
    return detector(images).detach().softmax(dim=1)[0, 1 - detector.real]


def test_an_image_leaves_the_range_of_pixels_only_without_the_clamp() -> None:
    assert float(attacked(nes(), level=0.01).images.min()) == 0.0
    found = attacked(nes(clamped=False), level=0.01).images
    assert float(found.min()) == pytest.approx(0.01 - 16 / 255, abs=1e-6)


@pytest.mark.parametrize("derivatives", ["exact", "finite"])
def test_the_gradient_of_p_is_that_of_log_p_times_p(derivatives: str) -> None:
    images, detector = torch.full((1, 3, SIZE, SIZE), 0.5), LinearDetector(torch.full((3, SIZE, SIZE), 0.01), 0.4)
    found = []
    for climbs_log in (True, False):
        attack = PublishedNES(pairs=50, derivatives=derivatives, climbs_log=climbs_log)
        gradients = -detector_slope(detector, images) * detector.weight.detach()[None]
        generators = [torch.Generator().manual_seed(3)]
        logits = detector(images).detach()
        batch = Batch(images, images, EVERYWHERE[:, None], generators, [0], gradients, logits)
        found.append(attack.gradient(Queries(detector, 64), batch))
    real = 1 - float(detector_slope(detector, images))
    assert torch.allclose(found[1], real * found[0], rtol=0.02, atol=1e-4)


def test_p_that_is_rounded_to_zero_is_climbed_nowhere() -> None:
    lost = LinearDetector(WEIGHT, bias=150.0)  # p(Real) of e^-150 is 0 in float32, log p(Real) is not
    assert float((attacked(nes(), detector=lost).images - 0.5).abs().max()) > 0.05
    assert torch.equal(attacked(nes(climbs_log=False), detector=lost).images, torch.full((1, 3, SIZE, SIZE), 0.5))


class Misleading(LinearDetector):
    """The more real it says it becomes by its gradient, the more fake it does become."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return (torch.tensor([0.0, 6.5]) - logits).detach() + logits - logits.detach()


def test_the_last_image_counts_where_the_best_is_not_kept() -> None:
    misled = Misleading(WEIGHT, bias=3.0)
    best, last = (attacked(nes(keeps_best=keeps), detector=misled) for keeps in (True, False))
    assert torch.equal(best.images, torch.full((1, 3, SIZE, SIZE), 0.5))  # the frame itself was better
    assert float((last.images - 0.5).abs().max()) == pytest.approx(16 / 255, abs=1e-6)
    assert best.steps.tolist() == last.steps.tolist() == [STEPS]


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0 in every channel"):
        PublishedNES(scale=(0.0, 1.0, 1.0))
