"""timm's EfficientNets under efficientnet_pytorch's names: every key, and TensorFlow's padding at every size."""

import json
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.loading.published_keys import efficientnet_pytorch, renamed_modules


@pytest.mark.parametrize(
    ("name", "prefix", "network"),
    [("sbi", "net.", "tf_efficientnet_b4"), ("caddm", "base_model.", "tf_efficientnet_b3")],
)
def test_every_published_key_is_named_once_with_its_shape(
    reference: Path, name: str, prefix: str, network: str
) -> None:
    shapes = json.loads((reference / f"{name}.json").read_text())["state_dict"]
    theirs = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
    with torch.device("meta"):
        module = timm.create_model(network, num_classes=theirs["_fc.bias"][0])
    names = efficientnet_pytorch(module)
    assert {names[key]: list(tensor.shape) for key, tensor in module.state_dict().items()} == theirs
    assert len(set(names.values())) == len(names)


def test_renamed_modules_are_whole_modules() -> None:
    network = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    assert renamed_modules(network, {"fc": "last"}) == {
        "fc.weight": "last.weight",
        "fc.bias": "last.bias",
        "fc2.weight": "fc2.weight",
        "fc2.bias": "fc2.bias",
    }


def same_padded(layer: nn.Conv2d, features: Tensor) -> Tensor:
    """TensorFlow's "SAME": ceil(size / stride) outputs, what is lacking split in two, the odd pixel at the end."""
    around = []
    for size, kernel, stride in zip(features.shape[2:], layer.kernel_size, layer.stride, strict=True):
        lacking = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        around.append((lacking // 2, lacking - lacking // 2))
    padded = functional.pad(features, (*around[1], *around[0]))
    return functional.conv2d(padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)


@pytest.mark.parametrize("size", [32, 33, 47, 60, 75])
def test_convolutions_pad_as_tensorflows_at_every_size(size: int) -> None:
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_b0", num_classes=2).eval()
    seen = set()

    def compare(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        expected = same_padded(layer, inputs[0])
        assert output.shape == expected.shape
        assert torch.allclose(output, expected, rtol=1e-4, atol=1e-5)
        seen.add((layer.stride[0], layer.kernel_size[0], inputs[0].shape[-1] % 2))

    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.kernel_size[0] > 1]
    for layer in layers:
        layer.register_forward_hook(compare)
    with torch.no_grad():
        network(torch.rand(1, 3, size, size))
    assert len(layers) == 17
    assert {(1, 3), (1, 5), (2, 3), (2, 5)} == {(stride, kernel) for stride, kernel, _ in seen}
    assert size % 2 == 0 or any(stride == 2 and odd for stride, _, odd in seen)


@pytest.mark.parametrize(("network", "nominal"), [("tf_efficientnet_b3", 300), ("tf_efficientnet_b4", 380)])
def test_at_224_pixels_padding_for_300_or_380_is_the_same(network: str, nominal: int) -> None:
    """CADDM's authors pad every convolution for its network's nominal size, whatever its input."""
    sides: list[tuple[int, int]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        sides.append((inputs[0].shape[-1], layer.kernel_size[0]))

    with torch.device("meta"):
        module = timm.create_model(network, num_classes=0).eval()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2:
                layer.register_forward_hook(note)
        module(torch.zeros(1, 3, 224, 224))

    def lacking(size: int, kernel: int) -> int:
        return max((-(-size // 2) - 1) * 2 + kernel - size, 0)

    assert [side for side, _ in sides] == [224, 112, 56, 28, 14]
    assert all(lacking(side, kernel) == lacking(nominal, kernel) for side, kernel in sides)
