#!/usr/bin/env bash
# Lightning 2.6.6: a training that is resumed can lose its best checkpoint to a worse epoch, by the order in which two
# ModelCheckpoints stand in a list, and always once its folder was moved.
#
# Two callbacks are usual: one for the last epoch, to resume from, and one for the lowest validation loss. Each
# checkpoint holds the state of both. One would expect `callbacks=[last, best]` and `[best, last]` to mean the same. But
# the callbacks run in their order: in the first, last.ckpt is written before `best` has taken the epoch, so that its
# state there is an epoch old. Resumed from it, `best` does not know the best epoch if that was the last one, takes the
# next for it, and writes that over best.ckpt. Nothing is said. In a folder that was moved or copied elsewhere, `best`
# forgets its score in either order ("The dirpath has changed"), and does the same.
#
# Seen, with validation losses 1, 2, 3 (epochs 0, 1, 2), interrupted after epoch 0 and resumed: best.ckpt is of epoch 1
# by [last, best], of epoch 0 by [best, last], of epoch 1 by [best, last] in a moved folder. The script fails where that
# changes.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check lightning==2.6.6 torch==2.15.0 \
    numpy==2.4.6
"$folder/environment/bin/python" - "$folder" <<'PYTHON'
import logging
import shutil
import sys
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
LOSSES = (1.0, 2.0, 3.0)


class Network(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, index):
        self.log("val_loss", torch.tensor(LOSSES[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def trained(folder, order, epochs, resumed):
    kept = {
        "last": ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False),
        "best": ModelCheckpoint(folder, "best", monitor="val_loss", enable_version_counter=False),
    }
    data = torch.utils.data.DataLoader(torch.ones(2, 1))
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[kept[name] for name in order], logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=folder,
    )
    trainer.fit(Network(), data, data, ckpt_path=folder / "last.ckpt" if resumed else None, weights_only=True)


def best_epoch(folder, order, moved):
    trained(folder, order, 1, False)
    if moved:
        folder = Path(shutil.move(folder, f"{folder}-moved"))
    trained(folder, order, 3, True)
    return torch.load(folder / "best.ckpt", weights_only=True)["epoch"]


root = Path(sys.argv[1])
found = {
    "[last, best]": best_epoch(root / "a", ("last", "best"), False),
    "[best, last]": best_epoch(root / "b", ("best", "last"), False),
    "[best, last], moved": best_epoch(root / "c", ("best", "last"), True),
}
print("best.ckpt is of epoch:", found)
if list(found.values()) != [1, 0, 1]:
    raise SystemExit("changed: expected 1, 0, 1")
PYTHON
echo "as described"
