"""CADDM on any backbone: its parts against naive twins, its published names, its own files."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet34

import detectors
from common.errors import InputError
from detectors.caddm import CaddmConfig, CaddmDetector, _published_config, published_names, recognises
from detectors.caddm_network import CaddmNetwork
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.saving import METADATA_KEY, save
from detectors.optimise import optimise
from detectors.timm_network import TimmConfig, TimmDetector

SMALL = CaddmConfig("test_efficientnet")


def small(config: CaddmConfig = SMALL) -> CaddmDetector:
    """A small CADDM with batch norms that are not the identity."""
    torch.manual_seed(0)
    detector = CaddmDetector(config)
    for name, buffer in detector.network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return detector.eval()


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def test_outputs_are_the_papers_by_hand() -> None:
    detector = small()
    network, batch = detector.network, images()
    weights = network.state_dict()

    def convolved(features: Tensor, name: str, padding: int = 0) -> Tensor:
        return functional.conv2d(features, weights[f"{name}.weight"], weights.get(f"{name}.bias"), padding=padding)

    def normalised(features: Tensor, name: str) -> Tensor:
        scale = weights[f"{name}.weight"] / (weights[f"{name}.running_var"] + 1e-5).sqrt()
        shift = weights[f"{name}.bias"] - weights[f"{name}.running_mean"] * scale
        return features * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)

    with torch.no_grad():
        found = detector.outputs(batch)
        first = network.backbone.forward_features(batch[:, [2, 1, 0]] * 255.0)
        maps = [first]
        for place in range(3):
            name, features = f"artifacts.{place}", maps[-1]
            inner = normalised(convolved(features, f"{name}.conv1"), f"{name}.bn1").clamp(min=0)
            inner = normalised(convolved(inner, f"{name}.conv2", padding=1), f"{name}.bn2")
            beside = normalised(convolved(features, f"{name}.downsample.0"), f"{name}.downsample.1")
            maps.append((inner + beside).clamp(min=0))
        inner = convolved(convolved(maps[-1], "artifacts.3.conv1").clamp(min=0), "artifacts.3.conv2")
        maps.append((inner + convolved(maps[-1], "artifacts.3.downsample")).clamp(min=0))
        assert [each.shape[-1] for each in maps] == [7, 7, 5, 3, 1]
        pooled = first.flatten(2).mean(2) + maps[-1][:, :, 0, 0]
        verdict = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
    assert torch.allclose(found.logits, verdict, rtol=1e-4, atol=1e-4)
    assert torch.equal(detector(batch), found.logits)
    position = 0
    for scale, features in enumerate(maps[1:]):
        padding = 1 if scale < 3 else 0
        offsets = convolved(features, f"offsets.{scale}", padding)
        confidences = convolved(features, f"confidences.{scale}", padding)
        for row in range(features.shape[2]):
            for column in range(features.shape[3]):
                for anchor in range(2):
                    expected = offsets[:, 4 * anchor : 4 * anchor + 4, row, column]
                    assert torch.allclose(found.offsets[:, position], expected, rtol=1e-3, atol=1e-3)
                    expected = confidences[:, 2 * anchor : 2 * anchor + 2, row, column]
                    assert torch.allclose(found.confidences[:, position], expected, rtol=1e-3, atol=1e-3)
                    position += 1
    assert position == 168
    assert (found.offsets.shape, found.confidences.shape) == ((2, 168, 4), (2, 168, 2))


def test_the_gradient_reaches_the_image_and_every_weight() -> None:
    detector = small().train()
    batch = images().requires_grad_()
    found = detector.outputs(batch)
    (found.logits.sum() + found.offsets.square().sum() + found.confidences.square().sum()).backward()
    assert batch.grad is not None
    assert batch.grad.abs().amax((1, 2, 3)).min() > 0
    silent = [name for name, each in detector.named_parameters() if each.grad is None or not each.grad.abs().max() > 0]
    assert not silent


def test_optimised_it_says_the_same() -> None:
    detector = small()
    fast = optimise(detector)
    assert isinstance(fast, CaddmDetector)
    assert fast is not detector
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    with torch.no_grad():
        before, after = detector.outputs(images()), fast.outputs(images())
    assert torch.allclose(after.logits, before.logits, rtol=1e-4, atol=1e-4)
    assert torch.allclose(after.offsets, before.offsets, rtol=1e-2, atol=1e-3 * float(before.offsets.abs().max()))


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
@pytest.mark.parametrize("name", ["caddm", None])
def test_own_files_load_by_themselves(tmp_path: Path, half: bool, name: str | None) -> None:
    detector = small(CaddmConfig("test_resnet", 200))
    file = tmp_path / "x.safetensors"
    save(detector, file, half=half)
    loaded = detectors.load(str(file) if name is None else name, None if name is None else file, optimise=False)
    assert isinstance(loaded, CaddmDetector)
    assert loaded.config == detector.config
    assert loaded.input_size == 200
    for key, tensor in detector.network.state_dict().items():
        found = loaded.network.state_dict()[key]
        assert found.dtype == tensor.dtype
        assert torch.allclose(found, tensor, atol=1e-3 if half else 0, rtol=1e-3 if half else 0)


def test_lightning_files_of_our_own_load_by_themselves(tmp_path: Path) -> None:
    detector = small()
    weights = {f"detector.network.{key}": value for key, value in detector.network.state_dict().items()}
    described = {METADATA_KEY: detector.config.as_metadata()}
    torch.save({"state_dict": weights, "hyper_parameters": described}, tmp_path / "last.ckpt")
    loaded = detectors.load(str(tmp_path / "last.ckpt"), optimise=False)
    assert torch.equal(loaded(images()), detector(images()))


def test_named_caddm_reads_only_caddm(tmp_path: Path) -> None:
    save(TimmDetector(TimmConfig("test_efficientnet", input_size=64)), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"x\.safetensors holds timm settings, not caddm's"):
        detectors.load("caddm", tmp_path / "x.safetensors")


def test_own_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    save(small(), tmp_path / "x.safetensors")
    for name in ("sbi", "xception", "ff_attribution", "timm:resnet18"):
        with pytest.raises(InputError, match=r"x\.safetensors holds caddm settings, not timm's"):
            detectors.load(name, tmp_path / "x.safetensors")


def published_like(backbone: str) -> Checkpoint:
    """A file with the published names and shapes of CADDM on `backbone`, without values."""
    with torch.device("meta"):
        network = CaddmNetwork(backbone, 224)
        whole = timm.create_model(backbone)
    names = published_names(network)
    tensors = {names[key]: tensor for key, tensor in network.state_dict().items()}
    head = "base_model.fc" if backbone.startswith("resnet") else "base_model._fc"
    tensors |= {f"{head}.{key}": tensor for key, tensor in whole.get_classifier().state_dict().items()}
    return Checkpoint(Path("file.pkl"), tensors, {}, "")


@pytest.mark.parametrize("backbone", ["tf_efficientnet_b3", "tf_efficientnet_b4", "resnet34"])
def test_published_backbones_are_told_apart_by_their_shapes(backbone: str) -> None:
    file = published_like(backbone)
    assert _published_config(file) == CaddmConfig(backbone)
    assert recognises(file)
    del file.state_dict["fc.bias"]
    assert not recognises(file)


def test_published_resnet_names_are_torchvisions() -> None:
    """The authors' ResNet-34 is torchvision's, whose names timm shares; its last layer is left over."""
    theirs = resnet34().state_dict()
    file = published_like("resnet34").state_dict
    backbone = {key.removeprefix("base_model.") for key in file if key.startswith("base_model.")}
    assert backbone == theirs.keys()
    assert all(file[f"base_model.{key}"].shape == theirs[key].shape for key in theirs)


def test_a_published_resnet_file_gives_the_networks_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CaddmNetwork("resnet34", 224).eval()
    names = published_names(network)
    tensors = {names[key]: tensor for key, tensor in network.state_dict().items()}
    tensors |= {"base_model.fc.weight": torch.zeros(1000, 512), "base_model.fc.bias": torch.zeros(1000)}
    torch.save({"network": {f"module.{key}": tensor for key, tensor in tensors.items()}}, tmp_path / "resnet.pkl")
    detector = detectors.load(str(tmp_path / "resnet.pkl"), optimise=False)
    assert detector.config == CaddmConfig("resnet34")
    with torch.no_grad():
        assert torch.equal(detector(images(1)), network(images(1).flip(1) * 255))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (CaddmConfig("resnet18", 160), "needs a feature map of 7x7; resnet18 gives 5x5 at 160 pixels: take 224"),
        (CaddmConfig("test_vit", 160), r"test_vit cannot be CADDM's backbone: it gives no feature map, but \(1, "),
        (CaddmConfig("resnet18o"), "timm has no network 'resnet18o'"),
    ],
)
def test_unusable_backbones(config: CaddmConfig, words: str) -> None:
    with pytest.raises(InputError, match=words):
        CaddmDetector(config)


def test_a_probe_for_the_maps_size_leaves_batch_norms_alone() -> None:
    network = CaddmNetwork("test_efficientnet", 224)
    assert all(module.training for module in network.modules())
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            assert not buffer.any()


def test_a_description_that_cannot_be_used(tmp_path: Path) -> None:
    for change in ({"surprise": 1}, {"input_size": "large"}, {"backbone": 3}, {"model": "other"}):
        description = {**SMALL.as_metadata(), **change}
        content = {"state_dict": {"a": torch.zeros(1)}, "hyper_parameters": {METADATA_KEY: description}}
        torch.save(content, tmp_path / "x.ckpt")
        words = "holds a detector of kind 'other'" if "model" in change else "its description of the network cannot be"
        with pytest.raises(InputError, match=words):
            detectors.load(str(tmp_path / "x.ckpt"))
