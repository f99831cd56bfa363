"""What every detector must hold: pixels in [0, 1] to logits of named classes, ready to be asked and attacked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import detectors
from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors import Conventions, Detector, Queries, caddm, sbi, xception
from detectors.base import REAL
from detectors.ff_attribution import DEMO_WEIGHTS
from detectors.loading.saving import NetworkDetector, save
from detectors.queries import log_odds
from detectors.registry import SOURCES
from detectors.timm_network import TimmConfig, TimmDetector
from tests.contracts.cases import photo, stir, without_a_trace

OWN = "tests.contracts.own:Brightness"
TIMM = [f"timm:test_{network}" for network in ("efficientnet", "resnet", "vit")]


def of_timm(config: TimmConfig) -> Callable[[Path], None]:
    """What writes a file of our own with random weights of a timm network."""
    return lambda path: _save(lambda: TimmDetector(config), path)


def of_caddm(path: Path) -> None:
    """Writes a file of our own with random weights of CADDM on its smallest backbone."""
    _save(lambda: caddm.CaddmDetector(caddm.CaddmConfig("resnet34")), path)


def of_a_foreign_network(network: str, outputs: int) -> Callable[[Path], None]:
    """What writes a network's bare weights, as timm itself stores them."""

    def write(path: Path) -> None:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            torch.save(timm.create_model(network, num_classes=outputs).state_dict(), path)

    return write


def _save(build: Callable[[], NetworkDetector], path: Path) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        detector = build()
        for name, buffer in detector.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
        head = [part for part in detector.modules() if isinstance(part, nn.Linear)][-1]
        nn.init.normal_(head.weight, std=0.1)  # some are zero at first, and decide nothing
    save(detector, path)


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "ff_attribution": lambda path: path.write_bytes(DEMO_WEIGHTS.read_bytes()),
    "caddm": of_caddm,
    "sbi": of_timm(sbi.CONFIG),
    "xception": of_timm(xception.CONFIG),
    TIMM[0]: of_a_foreign_network("test_efficientnet", 1),
    TIMM[1]: of_a_foreign_network("test_resnet", 2),
    TIMM[2]: of_a_foreign_network("test_vit", 5),
}
"""What writes the checkpoint of a detector that has no weights of its own."""

CLASSES = {TIMM[1]: "Fake,Real", TIMM[2]: ",".join(CLASS_NAMES)}
"""What is said of the files that do not say which output is Real."""

NAMES = [*SOURCES, *TIMM, OWN]


@dataclass(frozen=True, eq=False)
class Subject:
    """A detector under test, its images (3, 3, S, S), and its logits (3, C) of them."""

    name: str
    detector: Detector
    images: Tensor
    logits: Tensor


@pytest.fixture(scope="module", params=NAMES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Every detector, loaded as a user loads it."""
    name, checkpoint = request.param, None
    if name in CHECKPOINTS:
        checkpoint = tmp_path_factory.mktemp("detector") / "weights.safetensors"
        checkpoint = checkpoint.with_suffix(".pth") if name in TIMM else checkpoint
        CHECKPOINTS[name](checkpoint)
    detector = detectors.load(name, checkpoint, conventions=Conventions(classes=CLASSES.get(name)))
    if checkpoint is not None:
        checkpoint.unlink()  # some are large
    size = detector.input_size
    images = torch.stack([photo(0, size), photo(1, size), (photo(2, size) > 0.5).float()])
    with torch.no_grad():
        return Subject(name, detector, images, detector(images))


def test_every_detector_without_weights_has_a_checkpoint_here() -> None:
    for name in set(SOURCES) - set(CHECKPOINTS):
        try:
            detectors.load(name)
        except InputError as error:
            pytest.fail(f"the table needs an entry in CHECKPOINTS: {error}")


def test_its_attributes_are_as_they_should_be(subject: Subject) -> None:
    detector = subject.detector
    assert isinstance(detector, Detector)
    assert detector.input_size > 0
    assert len(detector.class_names) >= 2
    assert len(set(detector.class_names)) == len(detector.class_names)
    assert detector.class_names[detector.real] == REAL
    assert detector.real >= 0
    assert len(detector.mean) == 3
    assert all(0 <= part <= 1 for part in detector.mean)
    assert detector.weights_sha256 is not None
    assert len(detector.weights_sha256) == 64


def test_it_gives_finite_logits_of_every_class(subject: Subject) -> None:
    logits = subject.logits
    assert (tuple(logits.shape), logits.dtype) == ((3, len(subject.detector.class_names)), torch.float32)
    assert logits.isfinite().all()
    odds = log_odds(logits, subject.detector.real)
    assert odds.amin() < odds.amax(), "the same whatever the image"


def test_logits_are_finite_of_black_and_of_white(subject: Subject) -> None:
    extremes = torch.stack([torch.zeros_like(subject.images[0]), torch.ones_like(subject.images[0])])
    with torch.no_grad():
        assert subject.detector(extremes).isfinite().all()


def test_an_image_alone_has_the_logits_that_it_has_in_a_batch(subject: Subject) -> None:
    with torch.no_grad():
        alone = torch.cat([subject.detector(image[None]) for image in subject.images])
    assert torch.allclose(alone, subject.logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(37, 53), (1, 3), (211, 97)])
def test_it_prepares_frames_of_any_size(subject: Subject, height: int, width: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = frame.copy()
    size = subject.detector.input_size
    for view in (frame, frame[::-1, ::-1]):
        prepared = subject.detector.prepare(view)
        assert (tuple(prepared.shape), prepared.dtype) == ((3, size, size), torch.float32)
        assert prepared.min() >= 0
        assert prepared.max() <= 1
    assert np.array_equal(frame, before)


def test_it_prepares_rgb_as_rgb(subject: Subject) -> None:
    size = subject.detector.input_size
    frame = np.zeros((size, size, 3), dtype=np.uint8)
    frame[..., 0], frame[..., 1] = 255, 51
    assert torch.allclose(subject.detector.prepare(frame).mean(dim=(1, 2)), torch.tensor([1.0, 0.2, 0.0]))


def test_it_is_in_evaluation_mode(subject: Subject) -> None:
    assert not [name for name, part in subject.detector.named_modules() if part.training]


def test_gradients_reach_the_input(subject: Subject) -> None:
    images = subject.images[:1].clone().requires_grad_()
    log_odds(subject.detector(images), subject.detector.real).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad != 0).any(dim=(0, 2, 3)).all(), "a channel does not matter"


def test_it_labels_families(subject: Subject) -> None:
    detector, two = subject.detector, len(subject.detector.class_names) == 2
    assert detector.label_of(REAL) == detector.real
    assert detector.label_of(None) is None
    assert detector.label_of("a new generator") == (1 - detector.real if two else None)
    for number, name in enumerate(detector.class_names):
        assert detector.label_of(name) == number
    for family in CLASS_NAMES[1:]:
        label = detector.label_of(family)
        assert label is None or label != detector.real


def test_a_forward_pass_changes_nothing(subject: Subject) -> None:
    stir(0)
    with torch.no_grad(), without_a_trace(subject.detector, subject.images):
        again = subject.detector(subject.images)
    assert torch.equal(again, subject.logits)


def test_probabilities_sum_to_one(subject: Subject) -> None:
    queries = Queries(subject.detector, batch_size=2)
    with without_a_trace(subject.detector, subject.images):
        probabilities = queries.probabilities(subject.images)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(3), atol=1e-6)
    assert torch.allclose(probabilities, subject.logits.softmax(dim=1), rtol=1e-3, atol=1e-4)
    assert (queries.images, queries.calls) == (3, 2)
