"""The demo weights in the repository load by name and know the families of people they have not seen."""

import pytest
import torch

import detectors
from attribution_model.metrics import score
from data.demo.frames import DemoFrames
from data.frames import CLASS_NAMES
from detectors.ff_attribution import DEMO_WEIGHTS
from detectors.predictions import predict


@pytest.fixture(scope="module")
def demo() -> detectors.Detector:
    return detectors.load("demo")


def test_they_are_small_and_describe_themselves(demo: detectors.Detector) -> None:
    assert DEMO_WEIGHTS.stat().st_size < 15_000_000
    assert (demo.class_names, demo.input_size, demo.real) == (CLASS_NAMES, 224, 0)
    by_path = detectors.load(str(DEMO_WEIGHTS))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert torch.equal(by_path(images), demo(images))


def test_they_tell_the_families_of_unseen_people_apart(demo: detectors.Detector) -> None:
    predictions = predict(demo, DemoFrames(25, split="test", frames_per_video=1))
    assert score(predictions.probabilities, predictions.labels, demo.class_names).accuracy >= 0.9  # 250: 0.972
