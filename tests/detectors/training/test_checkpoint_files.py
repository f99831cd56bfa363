"""A checkpoint is whole or not there, and nothing of it is written anywhere else."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from detectors.training.checkpoint_files import WholeCheckpoints
from detectors.training.classification import Classification
from detectors.training.loop import TrainingSettings, train
from tests.detectors.training.test_loop import frames, start

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
