"""`--logger`: what TensorBoard and Weights & Biases are given, and that it changes no training."""

import csv
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from safetensors.torch import load_file

import attacks.__main__ as attacks_command
from attribution_model.__main__ import app
from common.console import status
from common.errors import InputError
from data.source import open_frames
from detectors.training import loggers
from detectors.training.classification import Classification
from detectors.training.loggers import training_logger
from detectors.training.loop import TrainingSettings, train
from detectors.training.models import MODELS, Wanted, new_detector
from detectors.training.training_frames import labelled
from tests.attacks.malafide.test_command import DETECTOR
from tests.attacks.malafide.test_command import index as write_index  # noqa: F401 - a fixture
from tests.detectors.training.small_frames import write_small_frames

SETTINGS = TrainingSettings(epochs=2, batch_size=4)


def trained(tmp_path: Path, name: str, logger: str | None, settings: TrainingSettings = SETTINGS, **more: Any) -> Path:
    """A small network's weights after two epochs of five steps."""
    if not (tmp_path / "index.csv").exists():
        write_small_frames(tmp_path, 5)
    torch.manual_seed(0)
    detector = new_detector(MODELS["attribution"], Wanted("test_efficientnet", 32), None)
    frames = labelled(open_frames(tmp_path / "index.csv", split="train"), detector)[0]
    return train(detector, Classification(5e-3), frames, frames, tmp_path / name, settings, logger=logger, **more)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve in TensorBoard's files: steps and values."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_tensorboard_holds_the_curves_and_the_training_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr("detectors.training.loop.STEPS", 2)
    plain, logged = trained(tmp_path, "plain", None), trained(tmp_path, "logged", "tensorboard")
    one, other = load_file(plain), load_file(logged)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not (tmp_path / "plain" / "tensorboard").exists()
    curves, rows = scalars(tmp_path / "logged" / "tensorboard" / "logged"), history(tmp_path / "logged")
    for name in ("val_loss", "val_accuracy"):
        assert [value for _, value in curves[name]] == pytest.approx([float(row[name]) for row in rows])
    steps = [step for step, _ in curves["train_loss_step"]]
    assert steps == sorted(steps)
    assert len(steps) >= 4
    assert len({value for _, value in curves["learning_rate"]}) > 1
    assert len(curves["train_loss_epoch"]) == 2


def test_a_resumed_training_goes_on_in_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr("detectors.training.loop.STEPS", 2)
    trained(tmp_path, "whole", "tensorboard:mine")
    monkeypatch.setattr("detectors.training.progress.History.on_train_epoch_end", _stopped_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, "parts", "tensorboard:mine")
    monkeypatch.undo()
    monkeypatch.setattr("detectors.training.loop.STEPS", 2)
    trained(tmp_path, "parts", "tensorboard:mine", resume=True)
    whole, parts = (scalars(tmp_path / name / "tensorboard" / "mine")["val_loss"] for name in ("whole", "parts"))
    assert dict(parts) == pytest.approx(dict(whole))
    assert len(list((tmp_path / "parts" / "tensorboard" / "mine").glob("events*"))) == 2


def _stopped_after_the_first(_history: object, trainer: Any, _module: object) -> None:
    if trainer.current_epoch == 1:
        raise KeyboardInterrupt


def test_the_command_takes_it_and_filters_too(tmp_path: Path, write_index: Path) -> None:  # noqa: F811
    pytest.importorskip("tensorboard")
    index = write_small_frames(tmp_path, people=4)
    words = ["train", "--frames", index, "--backbone", "test_efficientnet", "--size", 32, "--epochs", 1]
    words += ["--device", "cpu", "--batch-size", 4, "--out", tmp_path / "out", "--logger", "tensorboard"]
    assert status(app, list(map(str, words))) == 0
    curves = scalars(tmp_path / "out" / "tensorboard" / "out")
    assert "train_loss_epoch" in curves
    words = ["malafide", "train", "--frames", write_index, "--detector", DETECTOR, "--name", "pooled", "--epochs", 2]
    words += ["--device", "cpu", "--stop", 1, "--size", 3, "--out", tmp_path / "filters", "--logger", "tensorboard:f"]
    assert status(attacks_command.app, list(map(str, words))) == 0
    cell = tmp_path / "filters" / "pooled" / "Deepfakes" / "3"
    curves, rows = scalars(cell / "tensorboard" / "f"), history(cell)
    expected = {round(float(row["epoch"])): float(row["eer"]) for row in rows}
    assert dict(curves["eer"]) == pytest.approx(expected, rel=1e-5)


class Recording(DummyLogger):
    """In WandbLogger's place: keeps how it was made, and the metrics."""

    made: list["Recording"]

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings, self.metrics, self.ends = settings, list[dict[str, float]](), list[int | None]()
        self.parameters: dict[str, Any] = {}
        Recording.made.append(self)

    @property
    def experiment(self) -> Any:
        return self

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:  # type: ignore[override]
        self.metrics.append({**metrics, "step": step})

    def log_hyperparams(self, params: Any) -> None:  # type: ignore[override]
        self.parameters = dict(params)

    def finish(self, exit_code: int | None = None) -> None:
        self.ends.append(exit_code)


class Refused(Recording):
    """Weights & Biases without a key."""

    @property
    def experiment(self) -> Any:
        raise sys.modules["wandb"].Error("no API key\nconfigured")


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """A stand-in for the library, and the loggers that were made of it."""
    module: Any = ModuleType("wandb")
    module.Error = type("Error", (Exception,), {})
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(loggers, "WandbLogger", Recording)
    Recording.made = []
    return Recording.made


def test_weights_and_biases_is_given_the_curves_the_settings_and_an_end(
    tmp_path: Path, wandb: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detectors.training.loop.STEPS", 2)
    trained(tmp_path, "out", "wandb:first try")
    (made,) = wandb
    assert made.settings == {
        "name": "first try", "save_dir": tmp_path / "out", "project": "flipscope", "log_model": False,
    }  # fmt: skip
    losses = [line["val_loss"] for line in made.metrics if "val_loss" in line]
    assert losses == pytest.approx([float(row["val_loss"]) for row in history(tmp_path / "out")])
    assert any("train_loss_step" in line for line in made.metrics)
    assert (made.parameters["recipe"], made.parameters["epochs"]) == ("Classification", 2)
    assert made.ends == [None]
    with pytest.raises(InputError, match="holds a training already"):
        trained(tmp_path, "out", "wandb")
    assert len(wandb) == 1


def test_an_interrupted_run_ends_as_failed_and_a_refused_one_is_one_line(
    tmp_path: Path, wandb: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), training_logger("wandb", tmp_path / "run"):
        raise KeyboardInterrupt
    assert wandb[-1].settings["name"] == "run"
    assert wandb[-1].ends == [1]
    monkeypatch.setattr(loggers, "WandbLogger", Refused)
    with pytest.raises(InputError, match=r"no API key configured; run `wandb login`, or set WANDB_MODE=offline"):
        training_logger("wandb", tmp_path / "run").__enter__()
    with training_logger("wandb", tmp_path / "run", first=False) as quiet:  # another process of the same training
        assert isinstance(quiet, Refused)


def test_weights_and_biases_itself_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    trained(tmp_path, "out", "wandb:mine", TrainingSettings(epochs=1, batch_size=4))
    (run,) = (tmp_path / "out" / "wandb").glob("offline-run-*")
    (file,) = run.glob("*.wandb")
    assert file.stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tensorbord", "unknown --logger 'tensorbord'; known: tensorboard, wandb, each also with :NAME"),
        ("tensorboard:a/b", "--logger tensorboard:a/b: the name is not one of a folder"),
        ("tensorboard:..", "the name is not one of a folder"),
        ("tensorboard", r"--logger tensorboard needs tensorboard: pip install -e '.\[tensorboard\]'"),
        ("wandb", r"--logger wandb needs wandb: pip install -e '.\[wandb\]'"),
    ],
)
def test_what_cannot_be_logged_to_is_one_line_before_the_training(
    tmp_path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=words):
        trained(tmp_path, "out", text)
    assert not (tmp_path / "out" / "last.ckpt").exists()
