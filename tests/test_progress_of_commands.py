"""Every long command says how far it is where its output is no terminal: here as often as the clock is looked at."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import evaluate
import examine
from attribution_model.__main__ import app as attribution_model
from common import progress_lines
from common.console import status
from data.__main__ import app as data
from robustness.__main__ import app as robustness
from tests.data.preprocess.videos import DISCS, data_set
from tests.detectors.training.small_frames import write_small_frames
from tests.examination.test_command import CENTRE_OF, crop
from tests.robustness.planted import Levels
from tests.robustness.planted import name as planted
from tests.robustness.planted import write_frames as write_planted
from tests.scoring.stand_ins import TINY, write_frames

SETTINGS = [word for each in TINY if not each.startswith(("SHAP", "SOBOL", "RISE", "blur")) for word in ("--set", each)]
CPU = ("--device", "cpu", "--threads", "1")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_lines, "EVERY", 0.0)
    monkeypatch.setattr(progress_lines, "_POLL", 0.001)


def said(capfd: pytest.CaptureFixture[str]) -> Sequence[str]:
    """The progress lines, of which one must say how long is left, and the last that all is done."""
    lines = [line for line in capfd.readouterr().err.splitlines() if re.match(r"(progress|done): ", line)]
    assert lines
    assert lines[-1].startswith("done: ")
    return lines


@pytest.mark.parametrize("workers", [1, 2])
def test_evaluate(tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    index = write_frames(tmp_path / "frames", videos=1)
    words = ["--frames", index, "--detector", "tests.scoring.stand_ins:PlantedDetector", "--method", "LIME", *CPU]
    words += ["--attack", "nes", "--baseline", "none", "--preset", "quick", "--results", tmp_path, "--workers", workers]
    assert status(evaluate.app, [*map(str, words), *SETTINGS[:-2]]) == 0
    lines = said(capfd)
    assert lines[-1].startswith("done: 4 of 4 frames in ")
    assert any(re.match(r"progress: [123] of 4 frames in .* s, \S+ an? \w+, .* s left", line) for line in lines)


def test_examine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [crop(tmp_path / "a.png"), "--whole", "--detector", CENTRE_OF, *CPU, "--method", "LIME_adv"]
    settings = [word for each in TINY if each.startswith(("segments", "LIME", "adv")) for word in ("--set", each)]
    assert status(examine.app, [*map(str, words), *settings, "--out", str(tmp_path / "out")]) == 0
    lines = said(capfd)
    assert lines[-1].startswith("done: 6 of 6 steps in ")
    assert any("of 6 steps in" in line and line.endswith("(stability: JPEG of quality 90)") for line in lines)


def test_robustness(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = write_planted(tmp_path / "frames", {"Deepfakes": [1, 2, 20]}, [-60])
    words = ["attack", "--frames", index, "--results", tmp_path / "results", "--steps", "5", "--batch-size", "8", *CPU]
    assert status(robustness, [*map(str, words), "--detector", planted(Levels), "--no-check"]) == 0
    lines = said(capfd)
    assert lines[-1].startswith("done: 100 % of 4 frames in ")
    assert any(re.match(r"progress: \d+ % of 4 frames in .* \(pgd", line) for line in lines)


def test_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = write_small_frames(tmp_path, people=4)
    words = ["train", "--frames", index, "--backbone", "test_efficientnet", "--size", "32", "--epochs", "2", *CPU]
    assert status(attribution_model, [*map(str, words), "--batch-size", "4", "--out", str(tmp_path / "out")]) == 0
    lines = said(capfd)
    assert re.match(r"done: (\d+) of \1 steps in ", lines[-1])
    assert any("(epoch 2/2 loss" in line for line in lines)


def test_preprocess(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["preprocess", "--root", data_set(tmp_path / "ffpp"), "--out", tmp_path / "out", "--face-detector", DISCS]
    assert status(data, [*map(str, words), "--workers", "1", "--frames-per-video", "4"]) == 0
    assert re.match(r"done: (\d+) of \1 videos in ", said(capfd)[-1])
