"""The weights in the repository load by name, know people they have not seen, and the hardened ones bear attacks."""

from pathlib import Path

import pytest
import torch
import torchattacks
from torch import Tensor

import detectors
from attribution_model.metrics import score
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, Frame
from detectors.ff_attribution import DEMO_WEIGHTS, HARDENED_WEIGHTS
from detectors.predictions import predict

BUDGET = 1 / 255


@pytest.fixture(scope="module")
def demo() -> detectors.Detector:
    return detectors.load("demo")


@pytest.fixture(scope="module")
def hardened() -> detectors.Detector:
    return detectors.load("demo-hardened")


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Ten people: each as filmed, and with each manipulation."""
    return list(DemoFrames(50, split="test", frames_per_video=1))


@pytest.mark.parametrize(("name", "path"), [("demo", DEMO_WEIGHTS), ("demo-hardened", HARDENED_WEIGHTS)])
def test_they_are_small_and_describe_themselves(name: str, path: Path) -> None:
    assert path.stat().st_size < 15_000_000
    named, by_path = detectors.load(name), detectors.load(str(path))
    assert (named.class_names, named.input_size, named.real) == (CLASS_NAMES, 224, 0)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert torch.equal(by_path(images), named(images))


def test_they_tell_the_families_of_unseen_people_apart(demo: detectors.Detector, frames: list[Frame]) -> None:
    predictions = predict(demo, frames)
    assert score(predictions.probabilities, predictions.labels, demo.class_names).accuracy >= 0.9  # 250: 0.972


def test_hardening_keeps_the_accuracy(
    demo: detectors.Detector, hardened: detectors.Detector, frames: list[Frame]
) -> None:
    """Of the verdicts real and fake, in a few frames: within 3 points of the others'. README: of many frames."""
    assert _right(hardened, frames) >= _right(demo, frames) - 0.03


def test_hardening_defends_nine_fakes_in_ten(
    demo: detectors.Detector, hardened: detectors.Detector, frames: list[Frame]
) -> None:
    """PGD is torchattacks' own, not that of the training or of `python -m detectors attack`."""
    fakes = _images([frame for frame in frames if frame.family != "Real"], demo)
    for steps in (1, 40):
        assert _defended(hardened, fakes, steps) > 0.9  # of 80 frames: 0.95, 0.94
    assert _defended(demo, fakes[::3], 40) < 0.6, "else this would not be an attack"


def _images(frames: list[Frame], detector: detectors.Detector) -> Tensor:
    return torch.stack([detector.prepare(frame.image) for frame in frames])


def _fake(detector: detectors.Detector, images: Tensor) -> Tensor:
    with torch.no_grad():
        return detector(images).argmax(1) != detector.real


def _right(detector: detectors.Detector, frames: list[Frame]) -> float:
    truth = torch.tensor([frame.family != "Real" for frame in frames])
    return float((_fake(detector, _images(frames, detector)) == truth).float().mean())


def _defended(detector: detectors.Detector, fakes: Tensor, steps: int) -> float:
    """The share of fakes that are still called fake after PGD (one step: FGSM), of those called fake before."""
    found = fakes[_fake(detector, fakes)]
    pace, start = (BUDGET, False) if steps == 1 else (2.5 * BUDGET / steps, True)
    attack = torchattacks.PGD(detector, eps=BUDGET, alpha=pace, steps=steps, random_start=start)
    attack.set_mode_targeted_by_label(quiet=True)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # of PGD's start
        attacked = attack(found, torch.full((len(found),), detector.real))
    return int(_fake(detector, attacked).sum()) / len(found)
