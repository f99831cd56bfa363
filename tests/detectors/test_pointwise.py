"""1x1 convolutions in small batches on one thread: the same numbers, by the faster kernels."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detectors.optimise import optimise
from detectors.pointwise import PointwiseConv2d, use_pointwise
from detectors.timm_network import TimmConfig
from tests.detectors.test_registry import images, tiny


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("count", [1, 2, 4, 15, 16])
def test_small_batches_have_the_same_numbers(count: int) -> None:
    plain = nn.Sequential(nn.Conv2d(6, 40, 1), nn.SiLU(), nn.Conv2d(40, 3, 1, bias=False))
    fast = nn.Sequential(*plain)
    use_pointwise(fast)
    assert [type(layer) for layer in fast] == [PointwiseConv2d, nn.SiLU, PointwiseConv2d]
    assert [type(layer) for layer in plain] == [nn.Conv2d, nn.SiLU, nn.Conv2d]
    given = torch.randn(count, 6, 9, 9, generator=torch.Generator().manual_seed(count)).requires_grad_()
    found = []
    for network in (plain, fast):
        out = network(given)
        found.append((out.detach(), *torch.autograd.grad(out.square().sum(), given)))
    for ours, theirs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_only_small_batches_on_one_thread_take_the_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, object]] = []
    real = nn.functional.conv2d

    def watched(given: Tensor, *rest: Any) -> Tensor:
        asked.append((len(given), rest[4]))
        return real(given, *rest)

    layer = nn.Sequential(nn.Conv2d(3, 3, 1))
    use_pointwise(layer)
    monkeypatch.setattr(nn.functional, "conv2d", watched)
    for count in (1, 2, 15, 16):
        layer(torch.zeros(count, 3, 4, 4))
    assert asked == [(1, (1, 1)), (2, (2, 2)), (15, (2, 2)), (16, (1, 1))]
    torch.set_num_threads(2)
    layer(torch.zeros(4, 3, 4, 4))
    assert asked[-1] == (4, (1, 1))


def test_other_convolutions_stay() -> None:
    kinds = [
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1, padding=1),
    ]
    network = nn.Sequential(*kinds)
    use_pointwise(network)
    assert not any(isinstance(layer, PointwiseConv2d) for layer in network)


def test_optimised_networks_have_them_under_the_same_names() -> None:
    detector = tiny(TimmConfig(input_size=64))
    fast = optimise(detector)
    assert sum(isinstance(module, PointwiseConv2d) for module in fast.modules()) > 50
    assert not any(isinstance(module, PointwiseConv2d) for module in detector.modules())
    assert set(fast.state_dict()) <= set(detector.state_dict()) | {
        name.replace("weight", "bias") for name in detector.state_dict()
    }
    torch.testing.assert_close(fast(images(3, 64)), detector(images(3, 64)), rtol=1e-4, atol=1e-5)
