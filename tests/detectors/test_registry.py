"""Detectors load by name and by file, say what is wrong in one line, and equal the published classifier."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

import detectors
from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.loading.conventions import Conventions
from detectors.loading.saving import METADATA_KEY, save
from detectors.registry import weights_digest
from detectors.timm_network import TimmConfig, TimmDetector
from tests.detectors.reference_networks import reference_network, relative_error
from tests.scoring.stand_ins import PlantedDetector

TINY = TimmConfig(network="test_efficientnet", input_size=64)


def tiny(config: TimmConfig = TINY, seed: int = 0) -> TimmDetector:
    """A tiny network with batch norms that are not the identity."""
    torch.manual_seed(seed)
    detector = TimmDetector(config)
    for name, buffer in detector.network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return detector.eval()


def images(count: int = 3, size: int = 64) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def published(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published Lightning checkpoint, as a real file of that shape."""
    known = reference_network(reference, "ff_attribution")
    path = tmp_path_factory.mktemp("published") / "ff_attribution.ckpt"
    content = {
        "epoch": 7,
        "global_step": 100,
        "pytorch-lightning_version": "2.0.0",
        "state_dict": known.state_dict,
        "hyper_parameters": known.spec["hyper_parameters"],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9), "best_model_path": "x.ckpt"}},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("optimise", [True, False], ids=["optimised", "as it is"])
def test_published_classifier_gives_the_published_logits(reference: Path, published: Path, optimise: bool) -> None:
    known = reference_network(reference, "ff_attribution")
    detector = detectors.load("ff_attribution", published, optimise=optimise)
    assert detector.class_names == CLASS_NAMES
    assert (detector.real, detector.input_size, detector.antialias) == (0, 224, False)
    assert detector.weights_sha256 == hashlib.sha256(published.read_bytes()).hexdigest()
    with torch.no_grad():
        assert relative_error(detector(known.images), known.logits) < 1e-4


def test_published_file_is_recognised_and_survives_our_own_format(
    reference: Path, published: Path, tmp_path: Path
) -> None:
    known = reference_network(reference, "ff_attribution")
    detector = detectors.load(str(published), optimise=False)
    assert isinstance(detector, TimmDetector)
    save(detector, tmp_path / "own.safetensors")
    again = detectors.load(str(tmp_path / "own.safetensors"))
    with torch.no_grad():
        assert relative_error(again(known.images), known.logits) < 1e-4


def test_keys_alone_are_enough_for_the_published_classifier(reference: Path, tmp_path: Path) -> None:
    known = reference_network(reference, "ff_attribution")
    torch.save({"module." + key: value for key, value in known.state_dict.items()}, tmp_path / "bare.pth")
    detector = detectors.load(str(tmp_path / "bare.pth"))
    assert detector.class_names == CLASS_NAMES


@pytest.mark.parametrize("name", ["sbi", "caddm", "xception"])
def test_other_published_files_are_named_when_they_do_not_fit(reference: Path, tmp_path: Path, name: str) -> None:
    shapes = json.loads((reference / f"{name}.json").read_text())["state_dict"]
    torch.save({"model": {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}}, tmp_path / "other.tar")
    with pytest.raises(InputError, match=r"other\.tar does not fit tf_efficientnetv2_b0: it looks like") as refused:
        detectors.load("ff_attribution", tmp_path / "other.tar")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
def test_own_files_load_by_themselves(tmp_path: Path, half: bool) -> None:
    config = TimmConfig("test_efficientnet", ("Fake", "Real"), 2, 48, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), antialias=True)
    detector = tiny(config)
    save(detector, tmp_path / "x.safetensors", half=half)
    loaded = detectors.load(str(tmp_path / "x.safetensors"), optimise=False)
    assert isinstance(loaded, TimmDetector)
    assert loaded.config == config
    assert (loaded.real, loaded.mean, loaded.antialias) == (1, (0.1, 0.2, 0.3), True)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    expected, found = detector(images(size=48)), loaded(images(size=48))
    assert torch.allclose(found, expected, atol=2e-2 if half else 0, rtol=0)


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tiny(), tmp_path / name, half=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_lightning_files_carry_the_settings_too(tmp_path: Path) -> None:
    config = replace(TINY, class_names=("Real", "Fake"), outputs=1)
    detector = tiny(config)
    weights = {f"detector.network.{key}": value for key, value in detector.network.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {METADATA_KEY: config.as_metadata()}}, tmp_path / "x.ckpt")
    loaded = detectors.load(str(tmp_path / "x.ckpt"), optimise=False)
    assert isinstance(loaded, TimmDetector)
    assert loaded.config == config
    assert torch.equal(loaded(images()), detector(images()))


def test_one_logit_is_presented_as_two_classes() -> None:
    detector = tiny(replace(TINY, class_names=("Real", "Fake"), outputs=1))
    logits = detector(images())
    assert logits.shape == (3, 2)
    assert torch.equal(logits[:, 0], torch.zeros(3))
    by_hand = detector.network((images() - _column(TINY.mean)) / _column(TINY.std))
    assert torch.allclose(logits[:, 1:], by_hand, atol=1e-5)


def test_our_own_files_say_what_their_logit_stands_for(tmp_path: Path) -> None:
    for names, other in ((("Fake", "Real"), "Real,Fake"), (("Real", "Fake"), "Fake,Real")):
        save(tiny(replace(TINY, class_names=names, outputs=1)), tmp_path / "x.safetensors")
        for said in (Conventions(), Conventions(classes=",".join(names)), Conventions(positive=names[1].lower())):
            assert detectors.load(str(tmp_path / "x.safetensors"), conventions=said).class_names == names
        with pytest.raises(InputError, match=rf"x\.safetensors says itself: classes {', '.join(names)}, and not"):
            detectors.load(str(tmp_path / "x.safetensors"), conventions=Conventions(classes=other))


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)


def test_forward_is_the_network_on_normalised_images() -> None:
    detector = tiny()
    by_hand = detector.network((images() - _column(TINY.mean)) / _column(TINY.std))
    assert torch.allclose(detector(images()), by_hand, atol=1e-5)
    hidden = torch.tensor(detector.mean).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert torch.allclose(detector(hidden), detector.network(torch.zeros(1, 3, 64, 64)), atol=1e-5)


@pytest.mark.parametrize(("outputs", "names"), [(1, ("Real", "Fake")), (2, ("Real", "Fake")), (5, CLASS_NAMES)])
@pytest.mark.parametrize("network", ["test_efficientnet", "test_resnet", "test_vit"])
def test_timm_networks_of_foreign_files(tmp_path: Path, network: str, outputs: int, names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    weights = timm.create_model(network, num_classes=outputs).eval()
    torch.save({"model": {f"net.{key}": value for key, value in weights.state_dict().items()}}, tmp_path / "x.pth")
    said = Conventions(classes=",".join(names))
    detector = detectors.load(f"timm:{network}", tmp_path / "x.pth", conventions=said)
    assert isinstance(detector, TimmDetector)
    assert detector.class_names == names
    size = detector.input_size
    cfg = timm.get_pretrained_cfg(network)
    assert size == (cfg.test_input_size or cfg.input_size)[-1]
    with torch.no_grad():
        expected = weights((images(2, size) - _column(cfg.mean)) / _column(cfg.std))
        found = detector(images(2, size))
    assert torch.allclose(found[:, -outputs:] if outputs == 1 else found, expected, atol=1e-4)


def test_published_imagenet_weights_are_no_detector() -> None:
    with pytest.raises(InputError, match="has 1000 outputs and does not say which is Real"):
        detectors.load("timm:resnet10t")


def test_no_connection_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("timm.create_model", refused)
    with pytest.raises(InputError, match="weights of timm:resnet10t cannot be downloaded"):
        TimmDetector(replace(TINY, network="resnet10t"), pretrained=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dem", "unknown detector 'dem' .did you mean demo"),
        ("timm:resnet5O", "timm has no network 'resnet5O'; did you mean resnet50"),
        ("ff_attribution", "ff_attribution needs a checkpoint"),
        ("none.ckpt", "none.ckpt: there is no such file"),
        ("no_such_module:Thing", "cannot import 'no_such_module'"),
        ("json:JSONDecoder", "made a JSONDecoder; expected a detectors.Detector"),
        ("json:__name__", "neither a Detector class nor a function"),
    ],
)
def test_wrong_names(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detectors.load(name)


def test_demo_takes_no_checkpoint_and_a_file_takes_no_second_one(tmp_path: Path) -> None:
    save(tiny(), tmp_path / "x.safetensors")
    for name in ("demo", "demo-hardened"):
        with pytest.raises(InputError, match=f"detector {name} .* takes no checkpoint"):
            detectors.load(name, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="two checkpoints given"):
        detectors.load(str(tmp_path / "x.safetensors"), tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["A", "B"]},
        {"class_names": ["Real", "Real"]},
        {"outputs": 3},
        {"std": [0.0, 1.0, 1.0]},
        {"surprise": 1},
        {"input_size": "large"},
    ],
)
def test_a_description_that_cannot_be_used(tmp_path: Path, change: dict[str, object]) -> None:
    description = {**TINY.as_metadata(), **change}
    torch.save(
        {"state_dict": {"a": torch.zeros(1)}, "hyper_parameters": {METADATA_KEY: description}}, tmp_path / "x.ckpt"
    )
    with pytest.raises(InputError, match=r"x\.ckpt: its description of the network cannot be read"):
        detectors.load(str(tmp_path / "x.ckpt"))


OWN = """
import torch
from detectors import Detector

class Mine(Detector):
    class_names = ("Fake", "Real")
    real = 1
    input_size = 8

    def __init__(self, checkpoint=None):
        super().__init__()
        self.checkpoint = checkpoint
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        z = images.mean((1, 2, 3)) * self.scale
        return torch.stack([z, -z], 1)

class OneColumn(Mine):
    def forward(self, images):
        return images.mean((1, 2, 3))

class NoLicence(Mine):
    def __init__(self):
        raise OSError("no licence server")

class NamesMean(Mine):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))

class NoReal(Mine):
    class_names = ("Fake", "Genuine")

class Unfinished(Detector):
    def forward(self, images):
        return images

def factory(checkpoint=None):
    return Mine(checkpoint)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_detectors_for_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_detectors_for_test"
    sys.modules.pop("own_detectors_for_test", None)


def test_a_users_own_detector(own: str, tmp_path: Path) -> None:
    for name in ("Mine", "factory"):
        detector = detectors.load(f"{own}:{name}")
        assert (detector.real, detector.training) == (1, False)
        assert detector.weights_sha256 is not None
        assert next(detector.parameters()).requires_grad  # left as its author made it
        file = tmp_path / "weights.bin"
        file.write_bytes(b"anything")
        with_file = detectors.load(f"{own}:{name}", file)
        assert with_file.checkpoint == file
        assert with_file.weights_sha256 == hashlib.sha256(b"anything").hexdigest()


@pytest.mark.parametrize(
    "method", ["def train(self, mode=True): super().train(mode)", "def eval(self): super().eval()"]
)
def test_a_users_own_that_gives_nothing_back_is_loaded(method: str, own: str, tmp_path: Path) -> None:
    """As one does that keeps its batch norms in evaluation mode, and forgets to return itself."""
    file = tmp_path / f"{own}.py"
    file.write_text(file.read_text() + f"\nclass Silent(Mine):\n    {method}\n")
    assert not detectors.load(f"{own}:Silent").training


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OneColumn", r"returned \(1,\) for 1 picture; expected logits \(1, 2\)"),
        (
            "NoLicence",
            r"could not be made \(OSError: no licence server, at __init__ in own_detectors_for_test\.py, line \d+\)",
        ),
        (
            "NamesMean",
            r"already exists\", at __init__ in own_detectors_for_test\.py, line \d+\): Detector has a mean of its own, "
            "so call the buffer or weight otherwise, as pixel_mean",
        ),
        ("NoReal", "its class 1 must be named 'Real'"),
        ("Unfinished", "does not set 'input_size'"),
        ("Absent", "has no 'Absent'"),
    ],
)
def test_a_users_detector_that_breaks_the_contract(own: str, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detectors.load(f"{own}:{name}")


def test_the_digest_of_weights_depends_on_each_of_them(own: str) -> None:
    first, second = detectors.load(f"{own}:Mine"), detectors.load(f"{own}:Mine")
    assert first.weights_sha256 == second.weights_sha256
    with torch.no_grad():
        next(second.parameters()).add_(1e-6)
    assert weights_digest(second) != first.weights_sha256


@pytest.mark.parametrize(
    ("name", "words"), [("gpu", "unknown device 'gpu'"), ("cpu:1", "unknown device"), ("cuda:x", "unknown device")]
)
def test_unknown_devices(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detectors.resolve_device(name)


def test_devices() -> None:
    assert detectors.resolve_device("cpu") == torch.device("cpu")
    automatic = detectors.resolve_device("auto").type
    if torch.cuda.is_available():
        assert automatic == "cuda"
        assert detectors.resolve_device("cuda:0") == torch.device("cuda:0")
    else:
        assert automatic in ("cpu", "mps")
        with pytest.raises(InputError, match="no CUDA device; use auto or cpu"):
            detectors.resolve_device("cuda")


def test_a_state_dict_that_leaves_a_backbone_out_hides_no_change_of_it() -> None:
    class HeadAlone(PlantedDetector):
        def state_dict(self, *args: Any, **arguments: Any) -> Any:
            return {name: tensor for name, tensor in super().state_dict(*args, **arguments).items() if "greys" in name}

    detector = HeadAlone()
    before = weights_digest(detector)
    with torch.no_grad():
        detector.pattern += 1
    assert weights_digest(detector) != before


def test_packed_weights_of_quantised_layers_are_in_the_digest() -> None:
    def quantised(shift: float) -> PlantedDetector:
        torch.manual_seed(0)
        head = torch.nn.Sequential(torch.nn.Linear(4, 3))
        with torch.no_grad():
            head[0].weight[0, 0] += shift
        detector = PlantedDetector()
        detector.head = torch.ao.quantization.quantize_dynamic(head, {torch.nn.Linear})
        return detector

    assert weights_digest(quantised(0.0)) == weights_digest(quantised(0.0))
    assert weights_digest(quantised(0.1)) != weights_digest(quantised(0.0))
