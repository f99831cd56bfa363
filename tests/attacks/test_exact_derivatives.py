"""NES by exact derivatives against finite differences: on the demo network, a ReLU network and a transformer."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

from attacks.nes import NES
from detectors import load
from detectors.base import Detector
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries, counting, exact_float32, gradient_batch
from runs.selection import demo_selection
from tests.attacks.nets import SIZE, ConvDetector, some_images, squares


class Rectified(Detector):
    """Convolutions with ReLU: piecewise linear, with kinks."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.body = nn.Sequential(
                nn.Conv2d(3, 12, 4, stride=4), nn.ReLU(), nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(),
                nn.Flatten(), nn.Linear(16 * (SIZE // 4) ** 2, 2),
            )  # fmt: skip
        with torch.no_grad():
            self.body[-1].bias += torch.tensor([-0.3, 0.3])
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body((images - 0.5) / 0.1)
        return logits


class Transformer(Detector):
    """A small vision transformer with random weights."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(2)
            self.body = timm.create_model(
                "vit_tiny_patch16_224", pretrained=False, num_classes=2, img_size=SIZE, patch_size=8, depth=2,
                embed_dim=32, num_heads=2,
            )  # fmt: skip
            self.body.head.weight.data.normal_(std=0.3)
            self.body.head.bias.data = torch.tensor([-2.18, 2.18])
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body((images - 0.5) / 0.2)
        return logits


NETWORKS: dict[str, tuple[Callable[[], Detector], Callable[[], Tensor]]] = {
    "demo": (lambda: load("demo"), lambda: load("demo").prepare(demo_selection(1).frames[0].image)[None]),
    "relu": (Rectified, lambda: some_images(1, seed=5, spread=0.5)),
    "vit": (Transformer, lambda: some_images(1, seed=6, spread=0.5)),
}


def exact(detector: Detector, image: Tensor, directions: Tensor) -> Tensor:
    """(J,) derivatives of log p(Real) along directions (J, H, W) that the channels share."""
    with differentiable(torch.device("cpu")), untouched(detector), exact_float32():
        answer = slope(Queries(detector), image, detector.real, torch.tensor([False]))
    return (answer.gradients.sum(1) * directions).flatten(1).sum(1)


def finite(detector: Detector, image: Tensor, directions: Tensor, sigma: float) -> Tensor:
    """The same by antithetic differences, one direction at a time, in the image's precision."""

    def log_p(picture: Tensor) -> Tensor:
        return detector(picture).log_softmax(1)[0, detector.real]

    with torch.no_grad(), exact_float32():
        rises = [log_p(image + sigma * u) - log_p(image - sigma * u) for u in directions]
    return torch.stack(rises) / (2 * sigma)


@pytest.mark.parametrize("network", NETWORKS)
def test_exact_derivatives_are_the_limit_of_finite_differences(network: str) -> None:
    make, picture = NETWORKS[network]
    detector, image = make(), picture()
    directions = torch.randn(6, *image.shape[2:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    single = exact(detector, image, directions.float())
    detector = detector.double()
    true = exact(detector, image.double(), directions)
    size = true.norm()
    assert size > 0.01  # there is something to compare
    near = 1e-7 if network == "relu" else 1e-5  # its slope jumps at a kink: near enough, no direction crosses one
    assert (finite(detector, image.double(), directions, near) - true).norm() <= 1e-4 * size
    curvature = (finite(detector, image.double(), directions, 1e-3) - true).norm() / size
    rough = 0.1 if network == "relu" else 1e-2
    assert 1e-6 < curvature < rough  # published sigma: what the differences of an attacker leave out
    assert (single.double() - true).norm() <= 1e-5 * size


def test_the_gradient_of_each_image_is_its_own() -> None:
    detector, images = ConvDetector(), some_images(9, spread=0.5)
    queries = Queries(detector, 16)
    last = torch.tensor([False, True] + [False] * 7)
    with differentiable(torch.device("cpu")), untouched(detector), counting(detector) as meter:
        answer = slope(queries, images, detector.real, last)
        assert meter.images == 18
        assert meter.calls == 2 * -(-9 // gradient_batch(16))
    real = answer.logits.argmax(1) == detector.real
    for i, image in enumerate(images):
        alone = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(detector(alone).softmax(1)[0, detector.real].log(), alone)
        wanted = not (last[i] or real[i])
        assert torch.allclose(answer.gradients[i], gradient[0] * wanted, atol=1e-6)
    assert (~real).sum() >= 5


def test_nothing_is_differentiated_that_nobody_wants() -> None:
    detector, images = ConvDetector(), some_images(3)
    with differentiable(torch.device("cpu")), untouched(detector), counting(detector) as meter:
        answer = slope(Queries(detector, 32), images, detector.real, torch.tensor([True] * 3))
    assert meter.images == 3
    assert not answer.gradients.any()


@pytest.mark.parametrize("make", [Rectified, Transformer], ids=["relu", "vit"])
def test_verdicts_agree_at_published_settings(make: Callable[[], Detector]) -> None:
    """40 pairs of image and region: same draws, same steps; what differs is curvature and rounding."""
    detector = make()
    images = some_images(40, seed=8, spread=0.5)
    regions = squares(*[(3 * (i % 5), 4 * (i // 10)) for i in range(40)], side=20)
    by_exact = NES()(detector, images, regions, range(40))
    by_finite = NES(derivatives="finite")(detector, images, regions, range(40))
    after = [Queries(detector).probabilities(result.images)[:, detector.real] for result in (by_exact, by_finite)]
    assert (by_exact.flipped != by_finite.flipped).sum() <= 1
    assert (after[0] - after[1]).abs().mean() < 0.01
    same = by_exact.steps == by_finite.steps
    assert torch.equal(by_exact.queries[same], by_finite.queries[same])
    assert torch.equal(by_finite.queries, by_finite.forwards)
    attacked = by_finite.steps > 0
    assert attacked.sum() >= 35
    assert 5 <= by_finite.flipped[attacked].sum() <= attacked.sum() - 5
    assert by_exact.forwards.sum() < 0.05 * by_finite.forwards.sum()
