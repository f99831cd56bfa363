"""Xception's files under every name that its last layer goes by, with one logit and two."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

import detectors
from common.errors import InputError
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.conventions import Conventions
from detectors.timm_network import TimmDetector
from detectors.xception import recognises


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return timm.create_model("legacy_xception", num_classes=2).state_dict()


def renamed(weights: dict[str, Tensor], head: str, outputs: int) -> dict[str, Tensor]:
    tensors = {key: tensor for key, tensor in weights.items() if not key.startswith("fc.")}
    return tensors | {f"{head}.{leaf}": weights[f"fc.{leaf}"][:outputs] for leaf in ("weight", "bias")}


@pytest.mark.parametrize(
    ("head", "prefix", "outputs"), [("last_linear", "", 2), ("last_linear.1", "model.", 2), ("fc", "net.", 1)]
)
def test_heads(weights: dict[str, Tensor], tmp_path: Path, head: str, prefix: str, outputs: int) -> None:
    tensors = {f"{prefix}{key}": tensor for key, tensor in renamed(weights, head, outputs).items()}
    torch.save(tensors, tmp_path / "x.pth")
    said = Conventions(classes="Fake,Real")
    detector = detectors.load(str(tmp_path / "x.pth"), optimise=False, conventions=said)
    assert isinstance(detector, TimmDetector)
    assert (detector.config.outputs, detector.input_size, detector.real) == (outputs, 299, 1)
    found = detector.network.state_dict()
    assert torch.equal(found["fc.weight"], weights["fc.weight"][:outputs])
    assert torch.equal(found["block12.rep.4.pointwise.weight"], weights["block12.rep.4.pointwise.weight"])


def test_imagenets_xception_is_none(weights: dict[str, Tensor], tmp_path: Path) -> None:
    tensors = {**weights, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    assert not recognises(Checkpoint(Path("x"), tensors, {}, ""))
    torch.save(tensors, tmp_path / "imagenet.pth")
    with pytest.raises(InputError, match=r"imagenet\.pth has 1000 outputs and does not say which is Real"):
        detectors.load("xception", tmp_path / "imagenet.pth")
