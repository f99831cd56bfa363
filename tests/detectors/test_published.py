"""CADDM, SBI and Xception from files wrapped as published give the published networks' logits."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import detectors
from common.errors import InputError
from detectors.caddm import CaddmConfig, CaddmDetector
from detectors.loading.conventions import Conventions
from detectors.timm_network import TimmDetector
from tests.detectors.reference_networks import Reference, reference_network, relative_error

WRAPPINGS: dict[str, tuple[str, Callable[[dict[str, Tensor]], Any]]] = {
    "caddm": ("caddm.pkl", lambda weights: {"network": weights}),
    "sbi": ("sbi.tar", lambda weights: {"model": weights, "optimizer": {"state": {}}, "epoch": 99}),
    "xception": ("xception.pth", lambda weights: {f"module.{key}": value for key, value in weights.items()}),
}


@pytest.fixture(scope="module")
def sbi(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Path]:
    return published(reference, tmp_path_factory.mktemp("sbi"), "sbi")


@pytest.fixture(scope="module")
def xception(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Path]:
    return published(reference, tmp_path_factory.mktemp("xception"), "xception")


def published(reference: Path, folder: Path, name: str) -> tuple[Reference, Path]:
    """A detector's reference and a file of its weights, as the authors' code writes it."""
    known = reference_network(reference, name)
    file, wrapped = WRAPPINGS[name]
    torch.save(wrapped(known.state_dict), folder / file)
    return known, folder / file


def logits(detector: detectors.Detector, images: Tensor) -> Tensor:
    with torch.no_grad():
        return detector(images)


def test_caddm(reference: Path, tmp_path: Path) -> None:
    known, file = published(reference, tmp_path, "caddm")
    known.state_dict.clear()  # 800 megabytes
    detector = detectors.load(str(file))
    assert isinstance(detector, CaddmDetector)
    assert detector.config == CaddmConfig("tf_efficientnet_b3", 224)
    assert (detector.class_names, detector.real, detector.input_size) == (("Real", "Fake"), 0, 224)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in detector.modules())
    with torch.no_grad():
        found = detector.outputs(known.images)
    assert [list(found.offsets.shape), list(found.confidences.shape)] == known.spec["anchors"]
    assert relative_error(found.logits, known.logits) < 1e-4
    assert torch.allclose(found.logits.softmax(1), torch.tensor(known.spec["probabilities"]), atol=1e-5)
    file.unlink()


@pytest.mark.parametrize("optimise", [True, False], ids=["optimised", "as it is"])
def test_sbi(sbi: tuple[Reference, Path], optimise: bool) -> None:
    known, file = sbi
    detector = detectors.load("sbi", file, optimise=optimise)
    assert (detector.class_names, detector.real, detector.input_size) == (("Real", "Fake"), 0, 380)
    assert detector.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert relative_error(logits(detector, known.images), known.logits) < 1e-4


@pytest.mark.parametrize("optimise", [True, False], ids=["optimised", "as it is"])
def test_xception(xception: tuple[Reference, Path], optimise: bool) -> None:
    known, file = xception
    detector = detectors.load("xception", file, optimise=optimise)
    assert (detector.class_names, detector.real, detector.input_size) == (("Real", "Fake"), 0, 299)
    found = logits(detector, known.images)
    assert torch.equal(found[:, 0], torch.zeros(2))
    assert relative_error(found[:, 1:], known.logits) < 1e-4


def test_files_are_recognised(sbi: tuple[Reference, Path], xception: tuple[Reference, Path]) -> None:
    for (known, file), network in ((sbi, "tf_efficientnet_b4"), (xception, "legacy_xception")):
        detector = detectors.load(str(file), optimise=False)
        assert isinstance(detector, TimmDetector)
        assert detector.config.network == network
        assert relative_error(logits(detector, known.images[:1])[:, -1], known.logits[:1, -1]) < 1e-4


def test_what_one_logit_stands_for_can_be_said(xception: tuple[Reference, Path]) -> None:
    known, file = xception
    for name, checkpoint in (("xception", file), (str(file), None)):
        detector = detectors.load(name, checkpoint, optimise=False, conventions=Conventions(classes="Fake,Real"))
        assert (detector.class_names, detector.real) == (("Fake", "Real"), 1)
        assert (detector.label_of("Real"), detector.label_of("Deepfakes")) == (1, 0)
        p_real = detectors.Queries(detector).probabilities(known.images[:1])[:, detector.real]
        assert torch.allclose(p_real, known.logits[:1, 0].sigmoid())


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("caddm", "sbi", "does not fit CADDM on tf_efficientnet_b3: it looks like an EfficientNet of efficientnet_py"),
        ("sbi", "xception", "does not fit tf_efficientnet_b4 with 2 classes: it looks like Xception .by its shapes"),
        ("xception", "sbi", "does not fit legacy_xception with one logit: it looks like an EfficientNet of"),
    ],
)
def test_another_architecture_is_refused(
    sbi: tuple[Reference, Path], xception: tuple[Reference, Path], name: str, other: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        detectors.load(name, {"sbi": sbi, "xception": xception}[other][1])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["caddm", "sbi", "xception"])
def test_what_is_no_whole_checkpoint_is_refused(sbi: tuple[Reference, Path], tmp_path: Path, name: str) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(sbi[1].read_bytes()[: 10**6])
    with pytest.raises(InputError, match=r"cut\.tar is damaged, truncated or no checkpoint") as refused:
        detectors.load(name, cut)
    assert "\n" not in str(refused.value)
    torch.save({"network": {"a": torch.zeros(1)}, "callback": Hostile()}, tmp_path / "hostile.pkl")
    with pytest.raises(InputError, match=r"hostile\.pkl is refused: its pickle asks for posix\.system") as refused:
        detectors.load(name, tmp_path / "hostile.pkl")
    assert "\n" not in str(refused.value)


class Hostile:
    """Asks for more than weights."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize("name", ["caddm", "sbi", "xception"])
def test_without_a_checkpoint_it_is_said_where_weights_come_from(name: str) -> None:
    with pytest.raises(InputError, match=f"detector {name} needs a checkpoint: .* train --model {name}` made"):
        detectors.load(name)
