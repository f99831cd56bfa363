"""`python -m detectors`: train, test, attack and compare detectors."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.commands import with_options
from common.errors import InputError
from data.picture_doubts import warn_of_pictures
from data.source import open_frames, warn_of_doubt
from detectors.detector_test import run_test
from detectors.loading.conventions import NOTHING_SAID, Conventions
from detectors.options import CheckpointOption, DetectorOption, DeviceOption
from detectors.registry import load
from detectors.training.command import run_training

app = console.application("Train, test, attack and compare detectors.")
app.command("train")(run_training)


def _forward(context: typer.Context) -> None:
    """Has moved: `python -m robustness` has this command. This spelling works for one more release."""
    console.warn(f"`python -m detectors {context.info_name}` is now `python -m robustness {context.info_name}`")
    moved = [sys.executable, "-m", "robustness", str(context.info_name), *context.args]
    raise typer.Exit(subprocess.run(moved, check=False).returncode)


for _name in ("attack", "compare"):
    app.command(
        _name, add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
    )(_forward)


@app.command("test")
@with_options()
def run_testing(
    frames: Annotated[Path, typer.Option(metavar="FILE", help="Index of the frames (CSV).")],
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    conventions: Conventions = NOTHING_SAID,
    images: Annotated[
        Path | None, typer.Option(metavar="PATH", help="LMDB store or folder; default: the index's folder.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Test on this split; all for the whole index.")] = "test",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the scores.")] = Path("results/test"),
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, help="Frames per forward pass.")] = 16,
    device: DeviceOption = "auto",
) -> None:
    """Test how well a detector tells fakes from real frames and videos, overall and for each manipulation."""
    if detector is None:
        raise InputError("--detector is missing: a name, or a checkpoint file")
    loaded = load(detector, checkpoint, device, conventions=conventions)
    chosen = open_frames(frames, images, split)
    warn_of_doubt(chosen.entries)
    warn_of_pictures(chosen)
    run_test(loaded, chosen, out, batch_size)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
