"""Files of DeepfakeBench and ISPL, under their codes' keys, give what these codes compute."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import detectors
from common.errors import InputError
from detectors import Conventions
from detectors.timm_network import TimmDetector
from tests.detectors.reference_networks import recipe

DEEPFAKEBENCH_B4 = [[-0.13525019586086273, 0.8716892004013062], [-0.14994539320468903, 0.808671772480011]]
"""Logits of the network as DeepfakeBench builds it of efficientnet_pytorch 0.7.1, at 256 pixels, gain 1.5."""

ISPL_B4 = [[0.29127191829445986], [0.2912610646437102]]
"""Logits of the network as ISPL builds it of efficientnet_pytorch 0.6.3, at 224 pixels, gain 1.2, in float64."""


def shapes(reference: Path, name: str) -> dict[str, list[int]]:
    """The keys and shapes of a published file, without its last layer and prefix."""
    keys = json.loads((reference / f"{name}.json").read_text())["state_dict"]
    return {key.removeprefix("net."): shape for key, shape in keys.items() if "_fc." not in key and "last_" not in key}


def adjusting(channels: int) -> dict[str, list[int]]:
    sizes = {key: [512] for key in ("1.weight", "1.bias", "1.running_mean", "1.running_var")}
    return {"0.weight": [512, channels, 1, 1], "0.bias": [512], **sizes, "1.num_batches_tracked": []}


def deepfakebench_b4(reference: Path) -> dict[str, list[int]]:
    trunk = {f"backbone.efficientnet.{key}": shape for key, shape in shapes(reference, "sbi").items()}
    extra = {f"backbone.adjust_channel.{key}": shape for key, shape in adjusting(1792).items()}
    return {**trunk, "backbone.last_layer.weight": [2, 1792], "backbone.last_layer.bias": [2], **extra}


def ispl_b4(reference: Path) -> dict[str, list[int]]:
    trunk = {f"efficientnet.{key}": shape for key, shape in shapes(reference, "sbi").items()}
    return {**trunk, "classifier.weight": [1, 1792], "classifier.bias": [1]}


def images(reference: Path, size: int) -> Tensor:
    batch: Tensor = recipe(reference).images("wrapped", 2, size)
    batch[1] *= torch.linspace(0, 1, size)
    return batch


def load(path: Path, content: Any, **said: Any) -> TimmDetector:
    torch.save(content, path)
    detector = detectors.load(str(path), optimise=False, conventions=Conventions(**said))
    path.unlink()
    assert isinstance(detector, TimmDetector)
    return detector


def test_deepfakebenchs_efficientnet(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = recipe(reference).state_dict(deepfakebench_b4(reference), 1.5)
    detector = load(tmp_path / "effnb4_best.pth", weights)
    assert (detector.class_names, detector.input_size) == (("Real", "Fake"), 256)
    with torch.no_grad():
        found = detector(images(reference, 256))
    assert torch.allclose(found, torch.tensor(DEEPFAKEBENCH_B4), rtol=1e-4, atol=1e-6)
    message = capsys.readouterr().err
    assert "backbone.adjust_channel.0 (2 tensors), backbone.adjust_channel.1 (5 tensors)" in message
    assert "assumed, as for DeepfakeBench's EfficientNet-B4: classes Real, Fake; normalisation mean 0.5, 0.5" in message


def test_a_folded_copy_pads_alike(reference: Path, tmp_path: Path) -> None:
    torch.save(recipe(reference).state_dict(deepfakebench_b4(reference), 1.5), tmp_path / "x.pth")
    detector = detectors.load(str(tmp_path / "x.pth"))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in detector.modules())
    with torch.no_grad():
        found = detector(images(reference, 256))
    assert torch.allclose(found, torch.tensor(DEEPFAKEBENCH_B4), rtol=1e-4, atol=1e-6)


def test_ispls_efficientnet(reference: Path, tmp_path: Path) -> None:
    weights = recipe(reference).state_dict(ispl_b4(reference), 1.2)
    content = {
        "net": weights,
        "opt": {"state": {}, "param_groups": []},
        "train_loss": 0.1,
        "iteration": 500,
        "epoch": 3,
    }
    detector = load(tmp_path / "bestval.pth", content).double()
    assert (detector.class_names, detector.config.outputs, detector.input_size) == (("Real", "Fake"), 1, 224)
    with torch.no_grad():
        found = detector(images(reference, 224).double())[:, 1:]
    mean, std = detector.config.mean, detector.config.std
    assert (mean, std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert torch.allclose(found, torch.tensor(ISPL_B4, dtype=torch.float64), rtol=1e-7)
    flat = load(tmp_path / "bestval.pth", content, normalise="half").double()
    with torch.no_grad():
        other = flat(images(reference, 224).double())[:, 1:]
    assert not torch.allclose(other, found, rtol=1e-7)  # the tolerance has teeth


@pytest.mark.parametrize(
    ("prefix", "outputs", "normalise", "size"), [("backbone.", 2, "half", 256), ("xception.", 1, "imagenet", 224)]
)
def test_xceptions(reference: Path, tmp_path: Path, prefix: str, outputs: int, normalise: str, size: int) -> None:
    """The same weights as a bare Xception, which is held to the published logits, with the same settings said."""
    bare = {**shapes(reference, "xception"), "last_linear.weight": [outputs, 2048], "last_linear.bias": [outputs]}
    weights = recipe(reference).state_dict(bare, 1.0)
    wrapped = {f"{prefix}{key}": tensor for key, tensor in weights.items()}
    if prefix == "backbone.":
        extra = {f"backbone.adjust_channel.{key}": shape for key, shape in adjusting(2048).items()}
        wrapped |= recipe(reference).state_dict(extra, 1.0)
    detector = load(tmp_path / "x.pth", {"net": wrapped, "opt": {"state": {}}})
    plain = load(tmp_path / "x.pth", weights, classes="Real,Fake", normalise=normalise, input_size=size)
    assert (detector.input_size, detector.class_names) == (size, ("Real", "Fake"))
    with torch.no_grad():
        assert torch.equal(detector(images(reference, size)), plain(images(reference, size)))
    named = {"backbone.": "DeepfakeBench's Xception", "xception.": "ISPL's Xception"}[prefix]
    assert detector.reading is not None
    assert detector.reading.source == named


def test_two_outputs_of_a_bare_xception_are_asked_for(reference: Path, tmp_path: Path) -> None:
    bare = {**shapes(reference, "xception"), "last_linear.weight": [2, 2048], "last_linear.bias": [2]}
    with pytest.raises(InputError, match=r"x\.pth has 2 outputs and does not say which is Real"):
        load(tmp_path / "x.pth", recipe(reference).state_dict(bare, 1.0))


def test_what_is_missing_or_new_is_named(reference: Path, tmp_path: Path) -> None:
    manifest = deepfakebench_b4(reference)
    headless = {key: shape for key, shape in manifest.items() if "last_layer" not in key}
    with pytest.raises(
        InputError, match=r"no classifier \(backbone\.last_layer\.weight, backbone\.last_layer\.bias\)"
    ) as error:
        load(tmp_path / "x.pth", recipe(reference).state_dict(headless, 1.0))
    assert "does not fit DeepfakeBench's EfficientNet-B4" in str(error.value)
    assert "by its shapes timm:tf_efficientnet_b4" in str(error.value)
    attention = {**ispl_b4(reference), "efficientnet.attconv.weight": [1, 56, 1, 1], "efficientnet.attconv.bias": [1]}
    with pytest.raises(
        InputError, match=r"not expected: efficientnet\.attconv\.weight"
    ):  # it takes part in the verdict
        load(tmp_path / "x.pth", recipe(reference).state_dict(attention, 1.0))
