"""The optimised detector has the same logits and gradients, and what cannot be folded is left alone."""

import copy

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, ScaledStdConv2d
from torch import Tensor, nn

from detectors.base import Detector
from detectors.optimise import optimise
from detectors.timm_network import TimmConfig
from tests.detectors.test_registry import images, tiny


class Plain(Detector):
    """Any network as a two-class detector."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 16

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).mean((2, 3))


def norms(module: nn.Module) -> int:
    return sum(isinstance(child, nn.BatchNorm2d) for child in module.modules())


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that is not the identity."""
    layer = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(channels)
    for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
        assert tensor is not None
        tensor.copy_(torch.rand(channels, generator=generator) + 0.5)
    return layer


@pytest.mark.parametrize(
    "network", ["test_efficientnet", "resnet10t", "test_byobnet", "mobilenetv3_small_050", "test_vit"]
)
def test_same_logits_and_gradients(network: str) -> None:
    size = 160 if network == "test_vit" else 64
    detector = tiny(TimmConfig(network=network, input_size=size))
    before = copy.deepcopy(detector.state_dict())
    fast = optimise(detector)
    assert norms(fast) == 0
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    results = []
    for each in (detector, fast):
        batch = images(2, size).requires_grad_()
        logits = each(batch)
        (gradient,) = torch.autograd.grad(logits[:, 3].sum(), batch)
        results.append((logits.detach(), gradient))
    (logits, gradient), (fast_logits, fast_gradient) = results
    assert (fast_logits - logits).abs().max() <= 1e-5 * logits.abs().max()
    assert gradient.abs().max() > 0
    assert (fast_gradient - gradient).abs().max() <= 1e-4 * gradient.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())


def test_the_published_network_has_every_batch_norm_folded() -> None:
    detector = tiny(TimmConfig(input_size=64))
    assert norms(detector) > 50
    assert norms(optimise(detector)) == 0


def test_batch_norm_without_its_own_convolution_stays() -> None:
    first = Plain(nn.Sequential(norm(3), nn.Conv2d(3, 2, 3), nn.ReLU(), norm(2)))
    fast = optimise(first)
    assert norms(fast) == 2
    assert torch.allclose(fast(images(2, 16)), first(images(2, 16)), atol=1e-6)


class Shared(nn.Module):
    """One convolution used twice, so its batch norm cannot be folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3, padding=1), norm(3)
        self.last = nn.Conv2d(3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.convolution(self.norm(self.convolution(images))))


class Forked(nn.Module):
    """A convolution whose output is also used as it is: folding would change that."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 2, 3), norm(2)

    def forward(self, images: Tensor) -> Tensor:
        inner = self.convolution(images)
        return inner + self.norm(inner)


@pytest.mark.parametrize("network", [Shared(), Forked()], ids=["shared", "forked"])
def test_networks_that_folding_would_change_keep_their_logits(network: nn.Module) -> None:
    detector = Plain(network)
    fast = optimise(detector)
    assert norms(fast) == 1
    assert torch.allclose(fast(images(2, 16)), detector(images(2, 16)), atol=1e-6)


def test_convolutions_that_make_their_weight_anew_are_left_alone() -> None:
    network = nn.Sequential(ScaledStdConv2d(3, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 2, 1))
    network[1].running_mean.fill_(0.3)
    detector = Plain(network)
    fast = optimise(detector)
    assert norms(fast) == 1
    assert torch.allclose(fast(images(2, 16)), detector(images(2, 16)), atol=1e-6)


def test_training_mode_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = tiny()
    detector.train()
    assert not any(module.training for module in optimise(detector).modules())  # else every query would set each anew


def test_known_networks_are_optimised_on_loading(tmp_path_factory: pytest.TempPathFactory) -> None:
    import detectors
    from detectors.loading.saving import save

    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    save(tiny(), path)
    assert norms(detectors.load(str(path))) == 0
    assert norms(detectors.load(str(path), optimise=False)) > 0


def test_timm_still_names_its_parts_as_assumed() -> None:
    layer = timm.create_model("test_efficientnet").bn1
    assert isinstance(layer, BatchNormAct2d)
    assert isinstance(layer.drop, nn.Identity)
