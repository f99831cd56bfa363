"""The checkpoints of a training: which are kept, and how they are written."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from common.errors import InputError
from common.files import atomic_write, sha256
from detectors.loading.checkpoints import read_torch

LAST, BEST = "last.ckpt", "best.ckpt"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all.

    Lightning's own way writes to the system's temporary folder and moves the file: where `--out` is on another file
    system that is a copy, and a kill leaves half of it in place of the last one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint, on the disk when this returns. Raises OSError where it cannot be written."""
        content = io.BytesIO()  # torch's own writing to a full disk loses the reason
        torch.save(checkpoint, content)
        with atomic_write(path, "wb") as file:
            file.write(content.getbuffer())


class Best(Checkpoint):
    """Keeps best.ckpt, the epoch of the lowest validation loss, and in last.ckpt which file that is.

    Lightning's `ModelCheckpoint` knows the lowest loss by its folder, and forgets it where that was moved; in a
    checkpoint that is written before it, it stands as it was an epoch ago. A later epoch, though worse, is then kept.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.loss, self.sha256 = path, math.inf, ""

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Raises InputError where a checkpoint to go on from does not say which epoch was the best."""
        if self.state_key not in checkpoint.get("callbacks", {}):
            raise InputError(
                f"{self.path.with_name(LAST)} is of an earlier version, which does not say which epoch was the best: "
                "choose another --out"
            )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Raises InputError where the file is another than last.ckpt knows of, or gone."""
        if not self._is_known() and self.path.is_file():
            self._take_over(trainer.current_epoch)
        self._require_known()

    def _take_over(self, epoch: int) -> None:
        """Takes what a kill left of this epoch, between best.ckpt and last.ckpt: it holds which file it replaced."""
        found = read_torch(self.path)
        callbacks = found.get("callbacks") if isinstance(found, Mapping) and found.get("epoch") == epoch else None
        before = callbacks.get(self.state_key) if isinstance(callbacks, Mapping) else None
        if before is not None and before["sha256"] == self.sha256:
            self.loss, self.sha256 = before["loss"], sha256(self.path)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Writes the file where no epoch had a lower loss."""
        loss = float(trainer.callback_metrics.get("val_loss", math.inf))
        if loss < self.loss:
            self.loss = loss
            trainer.save_checkpoint(self.path)
            self.sha256 = sha256(self.path)

    def kept(self) -> Path:
        """The file. Raises InputError where it is another than was written, or gone, or never was."""
        self._require_known()
        if not self.sha256:
            raise InputError(
                f"no epoch had a validation loss that is a number, so that {self.path} is none: give a lower "
                "--learning-rate and another --out"
            )
        return self.path

    def _require_known(self) -> None:
        if not self._is_known():
            raise InputError(
                f"{self.path} is not the best epoch that {LAST} beside it knows of: one of them is of another time or "
                "training; put the right one back, or choose another --out"
            )

    def _is_known(self) -> bool:
        return (sha256(self.path) if self.path.is_file() else "") == self.sha256

    def state_dict(self) -> dict[str, Any]:
        """The lowest loss so far, and the SHA-256 of its checkpoint; in best.ckpt itself that of the one before."""
        return {"loss": self.loss, "sha256": self.sha256}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Those of the epochs before."""
        self.loss, self.sha256 = float(state_dict["loss"]), str(state_dict["sha256"])


def last_checkpoint(out: Path) -> ModelCheckpoint:
    """Keeps last.ckpt in the folder `out` after every epoch. It stands behind `Best`, whose state it holds."""
    return ModelCheckpoint(out, Path(LAST).stem, save_on_train_epoch_end=True, enable_version_counter=False)
