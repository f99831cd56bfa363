"""A checkpoint is whole or not there, and nothing of it is written anywhere else."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from common.errors import InputError
from detectors.training.checkpoint_files import Best, WholeCheckpoints
from detectors.training.classification import Classification
from detectors.training.loop import Training, TrainingSettings, train
from tests.detectors.training.test_loop import frames, same_weights, start

ROOT = Path(__file__).resolve().parents[3]
KILLED = """
import os, signal, sys
import torch
from detectors.training.checkpoint_files import WholeCheckpoints

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
WholeCheckpoints().save_checkpoint({"weights": torch.ones(100_000)}, sys.argv[1])
"""


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved = {"epoch": 3, "weights": torch.arange(5.0)}
    WholeCheckpoints().save_checkpoint(saved, tmp_path / "new" / "last.ckpt")
    found = WholeCheckpoints().load_checkpoint(tmp_path / "new" / "last.ckpt", weights_only=True)
    assert found["epoch"] == 3
    assert torch.equal(found["weights"], saved["weights"])


def test_a_kill_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == before
    (half,) = tmp_path.glob(".last.ckpt.*.part")
    assert half.stat().st_size > len(before)


def test_a_training_writes_its_checkpoints_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are renamed inside their folder: the system's temporary files may lie on another disk."""
    moved, rename = [], os.replace

    def noted(source: str, target: Path) -> None:
        moved.append((Path(source).parent, Path(target).name))
        rename(source, target)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    chosen = frames(tmp_path)
    monkeypatch.setattr(os, "replace", noted)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    train(start(), Classification(), chosen, chosen, tmp_path / "out", TrainingSettings(epochs=1, batch_size=8))
    assert {(tmp_path / "out", "last.ckpt"), (tmp_path / "out", "best.ckpt")} <= set(moved)
    assert list(elsewhere.iterdir()) == []


EPOCHS = 4


class KilledError(Exception):
    """In place of a SIGKILL: the same process goes on with the next training."""


def trained(folder: Path, out: Path, seed: int = 0, resume: bool = False) -> Path:
    """A training whose epochs' validation losses go down and up again, so that the best is not the last."""
    chosen = frames(folder)
    settings = TrainingSettings(epochs=EPOCHS, batch_size=8, seed=seed)
    return train(start(), Classification(0.3), chosen, chosen.at(range(5)), out, settings, resume=resume)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The validation losses of the epochs, as planted: the second is the lowest."""
    planted, logged = [3.0, 1.0, 2.0, 4.0], Training.log

    def log(module: Training, name: str, value: object, **options: object) -> None:
        logged(module, name, planted[module.current_epoch] if name == "val_loss" else value, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Training, "log", log)
    return planted


def killed(monkeypatch: pytest.MonkeyPatch, kind: type, hook: str, epoch: int, after: bool) -> None:
    """Kills the first training at a callback's hook of an epoch, before or after it did its work."""
    work, left = getattr(kind, hook), [1]

    def killing(callback: object, trainer: Trainer, module: LightningModule, *rest: object) -> None:
        now = trainer.current_epoch == epoch and left
        if now and not after:
            left.clear()
            raise KilledError
        work(callback, trainer, module, *rest)
        if now:
            left.clear()
            raise KilledError

    monkeypatch.setattr(kind, hook, killing)


@pytest.mark.parametrize("epoch", range(EPOCHS))
@pytest.mark.parametrize(
    ("kind", "after", "moved"),
    [(Best, False, False), (Best, True, False), (Best, True, True), (ModelCheckpoint, True, True)],
    ids=["before", "between", "between, moved", "after, moved"],
)
def test_a_resumed_training_keeps_the_same_epoch(
    tmp_path: Path,
    losses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    after: bool,
    epoch: int,
    moved: bool,
) -> None:
    """Killed before best.ckpt of an epoch is written, between it and last.ckpt, and after both."""
    whole = trained(tmp_path, tmp_path / "whole")
    killed(monkeypatch, kind, "on_train_epoch_end", epoch, after)
    out = tmp_path / "parts"
    with pytest.raises(KilledError):
        trained(tmp_path, out)
    if not (out / "last.ckpt").is_file():  # of the first epoch nothing is left to go on from
        (out / "best.ckpt").unlink(missing_ok=True)
    if moved:
        out = Path(shutil.copytree(out, tmp_path / "elsewhere"))
        shutil.rmtree(tmp_path / "parts")
    parts = trained(tmp_path, out, resume=True)
    assert torch.load(out / "best.ckpt", weights_only=True)["epoch"] == losses.index(min(losses))
    same_weights(whole, parts)
    assert [row["epoch"] for row in csv.DictReader((out / "history.csv").open())] == ["1", "2", "3", "4"]


def removed(best: Path, _other: Path) -> None:
    best.unlink()


def replaced(best: Path, other: Path) -> None:
    shutil.copy(other, best)


def changed(best: Path, _other: Path) -> None:
    content = torch.load(best, weights_only=True)
    content["state_dict"] = {key: value * 1.5 for key, value in content["state_dict"].items()}
    torch.save(content, best)


@pytest.mark.usefixtures("losses")
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("damage", [removed, replaced, changed])
def test_a_best_epoch_that_last_does_not_know_of_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path, Path], None], finished: bool
) -> None:
    other, out = trained(tmp_path, tmp_path / "other", seed=1), tmp_path / "out"
    if finished:
        trained(tmp_path, out)
    else:
        killed(monkeypatch, ModelCheckpoint, "on_train_epoch_end", 1, after=True)
        with pytest.raises(KilledError):
            trained(tmp_path, out)
    damage(out / "best.ckpt", other.parent / "best.ckpt")
    with pytest.raises(InputError, match=r"best.ckpt is not the best epoch that last.ckpt beside it knows of"):
        trained(tmp_path, out, resume=True)


@pytest.mark.usefixtures("losses")
def test_a_training_of_before_the_best_epoch_was_known_is_not_gone_on_with(tmp_path: Path) -> None:
    trained(tmp_path, tmp_path / "out")
    last = tmp_path / "out" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    del content["callbacks"]["Best"]
    torch.save(content, last)
    with pytest.raises(InputError, match=r"last.ckpt is of an earlier version, which does not say which epoch was"):
        trained(tmp_path, tmp_path / "out", resume=True)


def test_a_training_whose_validation_losses_are_no_numbers_keeps_nothing(tmp_path: Path, losses: list[float]) -> None:
    losses[:] = [float("nan")] * EPOCHS
    with pytest.raises(InputError, match="no epoch had a validation loss that is a number"):
        trained(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
