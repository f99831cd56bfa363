"""NES against closed forms: its estimate, its steps, its cost, its precision."""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor

from attacks import NES, Batch
from attacks.nes import DERIVATIVES
from common.errors import InputError
from common.settings import override
from detectors.base import Detector
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector


class Opposed(Detector):
    """Logits [-z, z] with z = gap / 2 + w . (x - x0): far apart, and known in closed form."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, weight: Tensor, start: Tensor, gap: float) -> None:
        super().__init__()
        self.input_size = weight.shape[-1]
        self.weight, self.start, self.gap = weight, start, gap

    def forward(self, images: Tensor) -> Tensor:
        z = self.gap / 2 + ((images - self.start) * self.weight).flatten(1).sum(1)
        return torch.stack([-z, z], dim=1)


def estimate(attack: NES, detector: Detector, images: Tensor, regions: Tensor, seeds: list[int]) -> Tensor:
    queries, generators = Queries(detector, 64), [torch.Generator().manual_seed(seed) for seed in seeds]
    gradients = torch.empty(0)
    if attack.uses_gradients:
        with differentiable(torch.device("cpu")), untouched(detector):
            gradients = slope(queries, images, detector.real, torch.zeros(len(images), dtype=torch.bool)).gradients
    return attack.gradient(queries, Batch(images, images, regions[:, None], generators, [0] * len(images), gradients))


def weights(size: int, seed: int = 3) -> Tensor:
    return torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("derivatives", DERIVATIVES)
def test_the_estimate_is_unbiased_with_the_variance_of_theory(derivatives: str) -> None:
    size, pairs = 6, 4000
    weight, images = weights(size), torch.full((1, 3, size, size), 0.5)
    region = torch.zeros(1, size, size, dtype=torch.bool)
    region[0, 1:5, 2:6] = True
    detector = LinearDetector(weight, bias=0.7)
    fake = torch.sigmoid((images * weight).sum() + 0.7)
    true = -fake * weight.sum(0) * region[0]  # d log p(Real) / d a change that the three channels share
    found = estimate(NES(pairs=pairs, derivatives=derivatives), detector, images, region, [5])[0, 0]
    assert torch.equal(found[~region[0]], torch.zeros(size * size - 16))
    deviation = ((true.square().sum() + true.square()) / pairs).sqrt()
    z = ((found - true) / deviation)[region[0]]
    assert z.abs().max() < 4
    assert 0.3 < z.square().mean() < 2.2


@pytest.mark.parametrize("derivatives", DERIVATIVES)
def test_steps_move_along_the_true_sign_as_often_as_theory_says(derivatives: str) -> None:
    size, pairs, seeds = 8, 40, list(range(60))
    sign = torch.randn(size, size, generator=torch.Generator().manual_seed(1)).sign()
    detector = LinearDetector(sign.expand(3, size, size) * 0.1, bias=2.0)
    images = torch.full((len(seeds), 3, size, size), 0.5)
    regions = torch.ones(len(seeds), size, size, dtype=torch.bool)
    attack = NES(pairs=pairs, steps=1, derivatives=derivatives)
    result = attack(detector, images, regions, seeds)
    change = result.images - images
    assert torch.allclose(change.abs(), torch.full_like(change, attack.step), atol=1e-7)
    assert torch.equal(change[:, 0], change[:, 2])
    agreement = (change[:, 0].sign() == -sign).float().mean().item()
    # K pixels with gradients of equal size: P(agree | S) = Phi(sqrt(S / (K - 1))) with S ~ chi2(pairs)
    pixels = size * size
    expected = scipy.stats.chi2(pairs).expect(lambda s: scipy.stats.norm.cdf(math.sqrt(s / (pixels - 1))))
    assert abs(agreement - expected) < 4 * math.sqrt(0.25 / (pixels * len(seeds)))
    assert 0.75 < expected < 0.80


@pytest.mark.parametrize("derivatives", DERIVATIVES)
def test_antithetic_pairs_cancel_what_is_even_exactly(derivatives: str) -> None:
    class Even(Detector):
        """log-odds |x|^2: around black, its odd part is zero."""

        class_names, real, input_size = ("Real", "Fake"), 0, 8

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(images)), 1 + 1e4 * images.square().flatten(1).sum(1)], dim=1)

    black = torch.zeros(1, 3, 8, 8)
    found = estimate(NES(derivatives=derivatives), Even(), black, everywhere(1)[:, :8, :8], [0])
    assert torch.equal(found, torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("derivatives", DERIVATIVES)
def test_a_linear_detector_gives_each_draw_back_its_own_slope(derivatives: str) -> None:
    """With one pair the estimate is (g . u) u exactly, without the constant part of the logits."""
    weight, images = weights(8), torch.full((1, 3, 8, 8), 0.5)
    draw = torch.randn(64, generator=torch.Generator().manual_seed(9))
    bias = 6.0 - float((images * weight).sum())
    slope = -torch.sigmoid(torch.tensor(6.0)) * weight.sum(0).flatten() @ draw
    found = estimate(
        NES(pairs=1, derivatives=derivatives), LinearDetector(weight, bias), images, everywhere(1)[:, :8, :8], [9]
    )
    assert torch.allclose(found.flatten(), slope * draw, rtol=2e-2, atol=1e-2)


def test_noise_lies_in_the_region_and_is_shared_by_the_channels() -> None:
    seen: list[Tensor] = []

    class Watching(LinearDetector):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.clone())
            return super().forward(images)

    images, region = some_images(1, spread=0.2), squares((5, 9))
    estimate(NES(pairs=7, derivatives="finite"), Watching(weights(SIZE)), images, region, [4])
    probes = torch.cat(seen) - images
    assert len(probes) == 14
    assert torch.equal(probes[:, :, ~region[0]], torch.zeros(14, 3, SIZE * SIZE - 144))
    assert torch.allclose(probes[:, 0], probes[:, 1], atol=2e-7)
    assert torch.allclose(probes[:7], -probes[7:], atol=2e-7)
    assert probes[:, :, region[0]].std().item() == pytest.approx(0.001, rel=0.1)


@pytest.mark.parametrize(("derivatives", "each", "last"), [("finite", 81, 81), ("exact", 2, 1)])
def test_it_stops_at_the_flip_and_counts_what_it_took(derivatives: str, each: int, last: int) -> None:
    """One pixel: the estimate's sign is always the true one, so every step of 1/255 counts in full."""
    weight = torch.zeros(3, 8, 8)
    weight[:, 4, 4] = -1.0
    region = torch.zeros(1, 8, 8, dtype=torch.bool)
    region[0, 4, 4] = True
    images = torch.full((1, 3, 8, 8), 0.5)
    first = each - last + 1  # the verdict on the input, with its gradient where that is used
    for wanted in (1, 7, 16):  # log-odds 3 (wanted - 1/2) / 255: that many steps, each worth 3 / 255
        detector = LinearDetector(weight, bias=1.5 + 3 * (wanted - 0.5) / 255)
        result = NES(derivatives=derivatives)(detector, images, region, [0])
        assert result.flipped.tolist() == [True]
        assert result.steps.tolist() == [wanted]
        assert result.forwards.tolist() == [first + (wanted - 1) * each + last]
        assert result.queries.tolist() == [1 + wanted * 81]
    out_of_reach = NES(derivatives=derivatives)(LinearDetector(weight, bias=1.5 + 3 * 16.5 / 255), images, region, [0])
    assert out_of_reach.flipped.tolist() == [False]
    assert out_of_reach.steps.tolist() == [50]
    assert out_of_reach.forwards.tolist() == [first + 49 * each + last]
    assert out_of_reach.queries.tolist() == [1 + 50 * 81]


def test_published_the_sum_of_steps_is_bounded_not_each_step() -> None:
    """The published code clips each step of 1/255 to 16/255, so 50 steps may add up to 50/255."""
    weight = torch.zeros(3, 8, 8)
    weight[:, 4, 4] = -1.0
    region = torch.zeros(1, 8, 8, dtype=torch.bool)
    region[0, 4, 4] = True
    images = torch.full((1, 3, 8, 8), 0.5)
    result = NES()(LinearDetector(weight, bias=50.0), images, region, [0])
    assert result.steps.tolist() == [50]
    assert (result.images - images).abs().max().item() == pytest.approx(16 / 255, abs=1e-6)


def test_published_a_step_is_taken_in_pixel_space() -> None:
    """A detector that divides by 0.2 inside sees steps of 5/255; in pixels they are 1/255 all the same."""
    images = some_images(1, spread=0.5)
    change = NES(steps=1)(ConvDetector(real_bias=-50.0), images, everywhere(1), [0]).images - images
    assert torch.allclose(change.abs(), torch.full_like(change, 1 / 255), atol=1e-6)


def test_published_the_attacked_image_keeps_the_range_of_pixels() -> None:
    images = (some_images(1) > 0.5).float()  # black and white only
    weight = images[0] * -2 + 1  # Real wants black darker and white brighter
    result = NES(pairs=4, steps=20)(LinearDetector(weight, bias=3e3), images, everywhere(1), [0])
    assert result.steps.tolist() == [20]
    assert result.images.min() == 0
    assert result.images.max() == 1


def test_the_budget_holds_over_fifty_steps_on_a_network() -> None:
    detector, images, regions = ConvDetector(real_bias=-50.0), some_images(2), squares((0, 0), (20, 20))
    for steps in (1, 17, 50):
        result = NES(pairs=2, steps=steps)(detector, images, regions, [0, 1])
        change = (result.images - images).abs()
        assert not result.flipped.any()
        assert change.max() <= EPSILON + 1e-6
        assert torch.equal(change[~regions[:, None].expand_as(change)].max(), torch.tensor(0.0))
        assert result.images.min() >= 0
        assert result.images.max() <= 1


def test_it_raises_the_probability_of_real_on_a_network() -> None:
    detector, images, regions = ConvDetector(), some_images(4), squares((0, 0), (4, 9), (15, 15), (20, 2))
    before = Queries(detector).log_probability(images, 0)
    result = NES(steps=10)(detector, images, regions, [0, 1, 2, 3])
    assert (Queries(detector).log_probability(result.images, 0) > before + 0.01).all()


def float64_twin(attack: NES, detector: Opposed, images: Tensor, seed: int) -> Tensor:
    """The estimate with the same draws in float64, one direction at a time."""
    generator = torch.Generator().manual_seed(seed)
    start, weight, x = detector.start.double(), detector.weight.double(), images[0].double()

    def log_p(image: Tensor) -> Tensor:
        z = detector.gap / 2 + ((image - start) * weight).sum()
        return torch.stack([-z, z]).log_softmax(0)[0]

    total = torch.zeros(x[0].numel(), dtype=torch.float64)
    for _ in range(attack.pairs):
        draw = torch.randn(x[0].numel(), generator=generator).double()
        shift = attack.sigma * draw.view(x.shape[1:])
        total += (log_p(x + shift) - log_p(x - shift)) * draw
    return total / (2 * attack.sigma * attack.pairs)


@pytest.mark.parametrize("derivatives", DERIVATIVES)
@pytest.mark.parametrize("gap", [80.0, 300.0])
def test_saturated_logits_do_not_drown_the_derivatives(gap: float, derivatives: str) -> None:
    size = 16
    images = some_images(1, spread=0.5)[:, :, :size, :size].contiguous()
    detector = Opposed(weights(size) * 0.02, images[0], gap)
    slope = (2 * detector.weight.sum(0)).norm()
    assert 0.5 < slope < 2  # what 1e-3 of the image's range changes in log p: about 2e-3
    found = (
        estimate(NES(derivatives=derivatives), detector, images, everywhere(1)[:, :size, :size], [8]).flatten().double()
    )
    twin = float64_twin(NES(), detector, images, 8)
    assert torch.corrcoef(torch.stack([found, twin]))[0, 1] > 0.9999
    assert (found.sign() == twin.sign()).float().mean() > 0.99
    if gap == 300.0:  # where p itself has underflowed, and a climb of p stands still
        assert torch.equal(Queries(detector).probabilities(images)[:, 0], torch.zeros(1))


@pytest.mark.parametrize("derivatives", DERIVATIVES)
def test_a_small_slope_survives_saturated_logits(derivatives: str) -> None:
    """Slope 0.03 at logits +-40: ten times the size at which the docstring says rounding takes over."""
    size = 16
    images = some_images(1, spread=0.5)[:, :, :size, :size].contiguous()
    detector = Opposed(weights(size) * 0.0006, images[0], 80.0)
    assert 0.01 < (2 * detector.weight.sum(0)).norm() < 0.05
    found = (
        estimate(NES(derivatives=derivatives), detector, images, everywhere(1)[:, :size, :size], [8]).flatten().double()
    )
    assert torch.corrcoef(torch.stack([found, float64_twin(NES(), detector, images, 8)]))[0, 1] > 0.95


def test_probes_are_in_ieee_float32_and_the_settings_come_back() -> None:
    convolution, product = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    seen = []

    class Watching(LinearDetector):
        def forward(self, images: Tensor) -> Tensor:
            seen.append((convolution.fp32_precision, product.fp32_precision, images.dtype))
            return super().forward(images)

    before = (convolution.fp32_precision, product.fp32_precision)
    with torch.autocast("cpu", torch.bfloat16):
        estimate(NES(pairs=2, derivatives="finite"), Watching(weights(SIZE)), some_images(1), everywhere(1), [0])
    assert set(seen) == {("ieee", "ieee", torch.float32)}
    assert (convolution.fp32_precision, product.fp32_precision) == before


def test_memory_does_not_grow_with_pairs() -> None:
    largest = []

    class Watching(LinearDetector):
        def forward(self, images: Tensor) -> Tensor:
            largest.append(len(images))
            return super().forward(images)

    attack = NES(pairs=50, steps=1, derivatives="finite")
    attack(Watching(weights(SIZE), 500.0), some_images(3), everywhere(3), [0, 1, 2], batch_size=16)
    assert max(largest) == 16
    assert sum(largest) == 3 * (1 + 100 + 1)
    assert len(largest) == 1 + math.ceil(300 / 16) + 1  # directions of all pairs share the forward passes


@pytest.mark.parametrize("setting", ["pairs", "sigma", "step", "steps"])
def test_settings_must_be_above_zero(setting: str) -> None:
    with pytest.raises(InputError, match=f"nes: {setting} must be above 0"):
        override(NES(), {setting: "0"}, "nes")


def test_derivatives_are_exact_or_finite() -> None:
    with pytest.raises(InputError, match="nes: derivatives must be exact or finite, got 'approximate'"):
        override(NES(), {"derivatives": "approximate"}, "nes")
