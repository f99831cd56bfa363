"""The checkpoints of a training: which are kept, and how they are written."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from common.files import atomic_write


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


def checkpoints(out: Path, best: bool) -> list[ModelCheckpoint]:
    """Keeps last.ckpt after every epoch in the folder `out`, and with `best` the one of the lowest validation loss."""
    last = ModelCheckpoint(out, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    lowest = ModelCheckpoint(out, "best", monitor="val_loss", enable_version_counter=False)
    return [last, lowest] if best else [last]
