"""The two commands: what they print, write and refuse."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attribution_model.__main__ import app
from common.console import status
from common.locks import LOCK, alone_in
from data.frames import CLASS_NAMES
from data.source import open_frames
from detectors.loading.saving import save
from detectors.predictions import predict
from detectors.timm_network import TimmConfig, TimmDetector
from tests.detectors.training.small_frames import write_small_frames
from tests.toys import LinearDetector


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return write_small_frames(tmp_path / "frames", people=3, unlabelled=2)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(TimmDetector(TimmConfig(network="test_efficientnet", input_size=32)), tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


@pytest.mark.parametrize("words", [("--images", "."), ("--split", "val")])
def test_what_is_of_frames_is_refused_without_them(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(app, ["test", *words]) == 1
    assert f"{words[0]} needs --frames: demo frames have their own" in capsys.readouterr().err


def test_test_writes_and_prints_the_published_numbers(
    index: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores"
    arguments = ["test", "--detector", str(weights), "--frames", str(index), "--split", "all", "--out", str(out)]
    assert status(app, arguments) == 0
    printed = capsys.readouterr().out
    assert "left out, since they belong to none of the classes: 2 FaceShifter" in printed
    scores = json.loads((out / "metrics.json").read_text())
    assert scores["frames"] == 15
    assert scores["left_out"] == {"FaceShifter": 2}
    for name, key in (
        ("weighted accuracy", "accuracy"),
        ("macro AUROC", "auroc"),
        ("weighted F1", "f1"),
        ("macro average precision", "average_precision"),
    ):
        (line,) = [line for line in printed.splitlines() if line.startswith(name)]
        assert line.split()[-1] == f"{scores[key]:.4f}"
    assert "macro means are over all 5 classes" in printed
    assert scores["averaged_classes"] == list(CLASS_NAMES)
    predictions = list(csv.DictReader((out / "predictions.csv").open()))
    right = [row["label"] == row["predicted"] for row in predictions]
    assert np.mean(right) == pytest.approx(scores["accuracy"])
    for row in predictions:
        said = {name: float(row[f"p_{name}"]) for name in CLASS_NAMES}
        assert max(said, key=lambda name: said[name]) == row["predicted"]
        assert sum(said.values()) == pytest.approx(1, abs=1e-4)
    counts = list(csv.reader((out / "confusion.csv").open()))
    assert counts[0] == ["true", *CLASS_NAMES]
    assert sum(int(count) for row in counts[1:] for count in row[1:]) == 15
    with Image.open(out / "confusion.png") as picture:
        assert min(picture.size) > 400
        assert np.asarray(picture.convert("L")).std() > 5
    assert not list(out.glob(".*"))


def test_two_class_detectors_take_every_family(index: Path) -> None:
    predictions = predict(LinearDetector(torch.zeros(3, 16, 16), bias=1.0), open_frames(index), batch_size=4)
    assert predictions.labels == (0, 1, 1, 1, 1) * 3 + (1, 1)
    assert predictions.left_out == {}
    assert predictions.probabilities.shape == (17, 2)
    assert torch.allclose(predictions.probabilities[:, 1], torch.tensor(1.0).sigmoid().double())


def test_an_unreadable_frame_does_not_end_a_test(
    index: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = open_frames(index).entries[0].key
    (index.parent / victim).write_bytes(b"damaged")
    arguments = ["test", "--detector", str(weights), "--frames", str(index), "--split", "all", "--out", str(tmp_path)]
    assert status(app, arguments) == 0
    printed = capsys.readouterr()
    assert "1 frames could not be read" in printed.err
    assert json.loads((tmp_path / "metrics.json").read_text())["frames"] == 14


def test_nothing_to_test(index: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = index.parent / "manipulated_sequences" / "FaceShifter"
    arguments = ["test", "--detector", str(weights), "--frames", str(folder), "--split", "all", "--out", str(tmp_path)]
    assert status(app, arguments) == 1
    assert "error: nothing to test" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--split", "dev"], "no frame of the split 'dev'"),
        (["train", "--backbone", "tf_efficientnetv2_b00"], "timm has no network"),
        (["train", "--init", "none.ckpt"], "none.ckpt: there is no such file"),
        (["train", "--init", "demo", "--pretrained"], "--init brings its own weights"),
        (["train", "--precision", "half"], "unknown precision"),
        (["train", "--val-fraction", "1.5"], "--val-fraction must be"),
        (["train", "--device", "tpu"], "unknown device"),
        (["train", "--epochs", "0"], "epochs must be at least 1"),
        (["train", "--epsilon", "4/255"], "--epsilon is of adversarial training: add --adversarial pgd"),
        (["train", "--val-split", "val", "--val-fraction", "0.2"], "--val-split and --val-fraction both say"),
        (["train", "--landmarks", "x.csv"], "--landmarks are for --model sbi"),
        (["train", "--model", "timm:resnet18", "--backbone", "resnet50"], "names the network: leave out --backbone"),
        (["train", "--model", "sbi", "--classes", "attribution"], "leave out --classes attribution"),
        (["test", "--detector", "nothing"], "unknown detector"),
    ],
)
def test_what_the_commands_refuse(
    index: Path, tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = arguments
    small = ["--backbone", "test_efficientnet"] if command == "train" and "--backbone" not in rest else []
    small = [] if "--init" in rest else small
    out = tmp_path / "out"
    assert status(app, [command, "--frames", str(index), "--out", str(out), *small, *rest]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
    assert not (out / "model.safetensors").exists()


def test_a_label_out_of_range(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index.write_text(index.read_text().replace(",1,4,", ",1,7,", 1))
    assert status(app, ["train", "--frames", str(index), "--out", str(tmp_path / "out")]) == 1
    assert "mc_label is '7'" in capsys.readouterr().err


def test_a_missing_image(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (index.parent / open_frames(index).entries[0].key).unlink()
    arguments = ["train", "--frames", str(index), "--out", str(tmp_path / "out"), "--backbone", "test_efficientnet"]
    assert status(app, arguments) == 1
    assert "are not in" in capsys.readouterr().err


def test_two_trainings_in_one_folder(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detectors.training.command.ENDING", 0.0)
    out = tmp_path / "out"
    arguments = ["train", "--frames", str(index), "--out", str(out), "--backbone", "test_efficientnet", "--size", "32"]
    with alone_in(out, ""):
        assert status(app, [*arguments, "--epochs", "1", "--batch-size", "4"]) == 1
        assert f"error: another process is working on {out}; wait for it" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == [LOCK]


def test_training_by_command(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["train", "--frames", str(index), "--out", str(out), "--backbone", "test_efficientnet", "--size", "32"]
    assert status(app, [*arguments, "--epochs", "1", "--batch-size", "4"]) == 0
    printed = capsys.readouterr().out
    assert "left out, since they belong to none of the classes: 2 FaceShifter" in printed
    assert "training on 10 frames: 2 Real, 2 NeuralTextures" in printed
    assert "no validation: there are too few people" in printed
    assert (out / "model.safetensors").is_file()
    from_file = ["test", "--detector", str(out / "last.ckpt"), "--frames", str(index), "--out", str(out / "test")]
    assert status(app, from_file) == 0
