"""`python -m attribution_model`: train the attribution classifier, and test it or any other detector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import detectors
from attribution_model.class_report import averaged, write_class_scores
from common.commands import with_options
from common.console import application, run, say, table, warn
from data.demo.demo_frames import DemoFrames
from data.frames import Frame
from data.picture_doubts import warn_of_pictures
from data.source import open_frames, refuse_without_frames, warn_of_doubt
from detectors.checks.fresh_process import require_same_in_fresh_process
from detectors.detector_test import exchanged_names, number
from detectors.loading.conventions import NOTHING_SAID, Conventions
from detectors.options import CheckpointOption, DeviceOption
from detectors.predictions import predict, report_left_out
from detectors.training.command import run_training

app = application("Train the attribution classifier, and test it or any other detector.")

FramesOption = Annotated[Path | None, typer.Option("--frames", help="Index of the frames (CSV).")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="LMDB store or folder; default: the index's folder.")
]


app.command("train")(run_training)


@app.command("test")
@with_options()
def run_test(
    detector: Annotated[str, typer.Option(help="A detector's name or a checkpoint.")] = "demo",
    checkpoint: CheckpointOption = None,
    conventions: Conventions = NOTHING_SAID,
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: Annotated[
        str | None, typer.Option(help="Test on this split of --frames, by default test; all for the whole index.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the scores and the confusion matrix.")] = Path("results/test"),
    batch_size: Annotated[int, typer.Option(min=1, help="Frames per forward pass.")] = 16,
    device: DeviceOption = "auto",
) -> None:
    """Test a detector; without --frames on 250 demo frames of people that the demo weights have not seen."""
    if frames is None:
        refuse_without_frames(images, split)
    loaded = detectors.load(detector, checkpoint, device, conventions=conventions)
    chosen: Sequence[Frame] = DemoFrames(250)
    if frames is not None:
        chosen = indexed = open_frames(frames, images, split or "test")
        warn_of_doubt(indexed.entries)
        warn_of_pictures(indexed)
    predictions = predict(loaded, chosen, batch_size)
    require_same_in_fresh_process(loaded, len(chosen), lambda index: chosen[index].image)  # after all it was asked
    scores = write_class_scores(out, loaded, predictions)
    report_left_out(predictions, ", since they belong to none of the classes")
    rows = [
        [
            row.name,
            str(row.frames),
            *map(number, (row.precision, row.recall, row.f1, row.auroc, row.average_precision)),
        ]
        for row in scores.per_class
    ]
    table(
        f"{detector} on {scores.frames} frames", ["class", "frames", "precision", "recall", "F1", "AUROC", "AP"], rows
    )
    say(f"weighted accuracy        {number(scores.accuracy)}")
    say(f"macro AUROC              {number(scores.auroc)}")
    say(f"weighted F1              {number(scores.f1)}")
    say(f"macro average precision  {number(scores.average_precision)}")
    say(averaged(scores))
    if doubt := exchanged_names(loaded, predictions):
        warn(doubt)
    say(f"written to {out}: metrics.json, metrics.csv, predictions.csv, confusion.csv, confusion.png")


if __name__ == "__main__":
    run(app)
