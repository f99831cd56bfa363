"""The recipes of CADDM and SBI: what a frame gives, and that both learn, end to end."""

from pathlib import Path

import numpy as np
import pytest
import torch

import detectors
from common.console import status
from common.errors import InputError
from common.seeds import generator
from data.demo.command import write_frames
from data.demo.demo_frames import DemoFrames
from data.landmarks import read_landmarks
from data.source import open_frames
from detectors.__main__ import app
from detectors.caddm import CaddmDetector
from detectors.training.augment import Augmentation
from detectors.training.caddm_recipe import FacialSwaps
from detectors.training.facial_swap import facial_swap
from detectors.training.models import MODELS, Wanted, new_detector
from detectors.training.recipe import TrainingBatch
from detectors.training.sbi_recipe import SelfBlending
from detectors.training.training_frames import Labelled, labelled

SMALL = ["--size", "224", "--batch-size", "4", "--device", "cpu", "--threads", "1", "--precision", "float32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten demo frames of two moments, with landmarks and sources."""
    out = tmp_path_factory.mktemp("demo")
    write_frames([DemoFrames(10, split="train", size=128, frames_per_video=1)], out, workers=1)
    return out


@pytest.fixture
def frames(folder: Path) -> Labelled:
    detector = new_detector(MODELS["sbi"], Wanted("test_efficientnet", 32), None)
    return labelled(open_frames(folder / "index.csv"), detector)[0]


def drawn_from(seed: int) -> np.random.Generator:
    """The generator as a sample has it when the swap begins: one draw decided to swap, one not to mirror."""
    draws = generator(seed)
    draws.random(2)
    return draws


def test_a_real_frame_has_no_box_and_a_fake_is_swapped_inside_its_box(frames: Labelled) -> None:
    recipe = FacialSwaps(swap=1.0, flip=0.0, augmentation=Augmentation(0, 0, 0, 0, 0))
    entries = frames.frames.entries
    (real,) = recipe.samples(frames, 0, generator(0))
    assert not entries[0].fake
    assert real.boxes.shape == (0, 4)
    assert np.array_equal(real.image, frames.frames[0].image)
    fake = next(place for place, entry in enumerate(entries) if entry.family == "FaceSwap")
    twin = facial_swap(frames.frames[fake].image, frames.frames.source_image(fake), drawn_from(1))
    boxes = [recipe.samples(frames, fake, generator(draw))[0].boxes[0] for draw in range(12)]
    assert sum((box == [0, 0, 1, 1]).all() for box in boxes) < 8  # most are windows
    (sample,) = recipe.samples(frames, fake, generator(1))
    assert np.array_equal(sample.image, twin.image)
    assert np.array_equal(sample.boxes[0], twin.box)
    (whole,) = FacialSwaps(swap=0.0).samples(frames, fake, generator(0))
    assert whole.boxes.tolist() == [[0, 0, 1, 1]]


def test_caddm_learns_the_verdict_and_the_boxes_together() -> None:
    torch.manual_seed(0)
    detector = new_detector(MODELS["caddm"], Wanted("resnet10t", 224), None)
    assert isinstance(detector, CaddmDetector)
    recipe = FacialSwaps()
    boxes = [torch.zeros(0, 4), torch.tensor([[0.2, 0.3, 0.5, 0.6]])]
    batch = TrainingBatch(torch.rand(2, 3, 224, 224), torch.tensor([0, 1]), boxes)
    loss = recipe.loss(detector, batch, torch.ones(2))
    loss.backward()
    for part in ("backbone", "artifacts", "offsets", "confidences", "classifier"):
        weights = dict(detector.network.named_children())[part].parameters()
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in weights), part
    with pytest.raises(TypeError, match="this recipe trains CADDM"):
        recipe.loss(new_detector(MODELS["sbi"], Wanted("test_efficientnet", 32), None), batch, torch.ones(2))


def test_self_blending_takes_real_frames_alone_and_pairs_them(frames: Labelled, folder: Path) -> None:
    detector = new_detector(MODELS["sbi"], Wanted("test_efficientnet", 32), None)
    recipe = SelfBlending(read_landmarks(folder / "landmarks.csv"))
    real = recipe.chosen(frames, detector)
    assert {entry.fake for entry in real.frames.entries} == {False}
    assert len(real) == 2
    one, other = recipe.samples(real, 0, generator(0))
    assert (one.label, other.label) == (0, 1)
    assert one.image.shape == other.image.shape
    assert (one.image != other.image).any()
    again = recipe.validation(real, 0, generator(0))
    assert np.array_equal(again[1].image, other.image)
    with pytest.raises(InputError, match="trains on real frames, and there is none"):
        recipe.chosen(frames.at([1, 2]), detector)
    assert [recipe.rate(done) for done in (0.0, 0.75, 0.875, 1.0)] == [1.0, 1.0, 0.5, 0.0]


def test_another_landmark_file_is_another_training(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "landmarks.csv"
    moved.write_text((folder / "landmarks.csv").read_text().replace("0.", "1."))
    first, second = (SelfBlending(read_landmarks(path)).settings() for path in (folder / "landmarks.csv", moved))
    assert first != second
    assert SelfBlending(None).settings()["landmarks"] is None


@pytest.mark.parametrize(("name", "backbone"), [("sbi", "test_efficientnet"), ("caddm", "resnet10t")])
def test_train_and_test_from_the_command_line(
    name: str, backbone: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, out = str(folder / "index.csv"), tmp_path / "out"
    command = ["train", "--model", name, "--backbone", backbone, "--frames", index, "--out", str(out), *SMALL]
    assert status(app, [*command, "--epochs", "1"]) == 0
    trained = detectors.load(str(out / "model.safetensors"))
    assert trained.class_names == ("Real", "Fake")
    assert status(app, [*command, "--epochs", "1"]) == 1
    assert "--resume continues it" in " ".join(capsys.readouterr().err.split())
    scores = tmp_path / "scores"
    arguments = ["test", "--detector", str(out / "model.safetensors"), "--frames", index, "--split", "all"]
    assert status(app, [*arguments, "--out", str(scores)]) == 0
    printed = capsys.readouterr().out
    assert "videos: each kind of fake" in printed
    assert {path.name for path in scores.iterdir()} == {"metrics.json", "metrics.csv", "predictions.csv"}
