"""`python -m attribution_model`: train the attribution classifier, and test it or any other detector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

import detectors
from attribution_model.testing import Predictions, number, predict, write
from common.console import application, run, say, table, warn
from common.errors import InputError
from common.seeds import derive_seed
from data.demo.frames import DemoFrames
from data.frames import CLASS_NAMES, Frame
from data.source import open_frames
from detectors.training.classification import Classification
from detectors.training.frames import Labelled, hold_out, labelled, require_images
from detectors.training.loop import Settings, train
from detectors.training.network import network_to_train

app = application("Train the attribution classifier, and test it or any other detector.")

FramesOption = Annotated[Path | None, typer.Option("--frames", help="Index of the frames (CSV).")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="LMDB store or folder; default: the index's folder.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]


@app.command("train")
def run_training(
    frames: Annotated[Path, typer.Option(help="Index of the frames (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, history and the final weights.")],
    images: ImagesOption = None,
    split: Annotated[str, typer.Option(help="Train on this split; all for the whole index.")] = "train",
    val_split: Annotated[str | None, typer.Option(help="Validate on this split; else on --val-fraction.")] = None,
    val_fraction: Annotated[float, typer.Option(help="Part of the people held out for validation.")] = 0.1,
    network: Annotated[str, typer.Option(help="timm's name of a new network.")] = "tf_efficientnetv2_b0",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from timm's weights (a download).")] = False,
    init: Annotated[str | None, typer.Option(help="Start from these weights: demo, or a checkpoint.")] = None,
    size: Annotated[int | None, typer.Option(help="Input side in pixels; default 224, or that of --init.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the frames.")] = Settings.epochs,
    max_minutes: Annotated[float | None, typer.Option(help="End after this time, the schedule with it.")] = None,
    batch_size: Annotated[int, typer.Option(help="Frames per step.")] = Settings.batch_size,
    learning_rate: Annotated[float, typer.Option(help="Peak of the learning rate.")] = Classification.learning_rate,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = Settings.seed,
    workers: Annotated[int, typer.Option(help="Processes that read frames; 0 for none.")] = Settings.workers,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: torch's own.")] = None,
    device: DeviceOption = "auto",
    half: Annotated[bool, typer.Option("--half", help="Store the final weights as float16, half the size.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False,
) -> None:
    """Train a network on labelled frames; writes last.ckpt, best.ckpt, history.csv and model.safetensors."""
    if init is not None and (pretrained or network != "tf_efficientnetv2_b0"):
        raise InputError("--init brings its own network and weights; leave out --network and --pretrained")
    if not 0 <= val_fraction < 1:
        raise InputError(f"--val-fraction must be at least 0 and below 1, got {val_fraction}")
    if threads is not None:
        torch.set_num_threads(threads)
    place = detectors.resolve_device(device)
    settings = Settings(
        epochs=epochs,
        max_minutes=max_minutes,
        batch_size=batch_size,
        seed=seed,
        workers=workers,
        precision=_precision(precision, place),
    )
    torch.manual_seed(derive_seed(seed, "network"))
    detector = network_to_train(network, CLASS_NAMES, size, pretrained, init)
    chosen = _labelled(detector, frames, images, split)
    validation: Labelled | None
    if val_split is not None:
        validation = _labelled(detector, frames, images, val_split)
    else:
        chosen, validation = hold_out(chosen, val_fraction, seed)
    _announce(detector, chosen, validation)
    weights = train(
        detector,
        Classification(learning_rate),
        chosen,
        validation,
        out,
        settings,
        device=device,
        resume=resume,
        half=half,
    )
    say(f"weights: {weights} (use them as --detector {weights})")


@app.command("test")
def run_test(
    detector: Annotated[str, typer.Option(help="A detector's name or a checkpoint.")] = "demo",
    checkpoint: Annotated[Path | None, typer.Option(help="The named detector's checkpoint.")] = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: Annotated[str, typer.Option(help="Test on this split of --frames; all for the whole index.")] = "test",
    out: Annotated[Path, typer.Option(help="Folder for the scores and the confusion matrix.")] = Path("results/test"),
    batch_size: Annotated[int, typer.Option(min=1, help="Frames per forward pass.")] = 16,
    device: DeviceOption = "auto",
) -> None:
    """Test a detector; without --frames on 250 demo frames of people that the demo weights have not seen."""
    loaded = detectors.load(detector, checkpoint, device)
    chosen: Sequence[Frame] = DemoFrames(250) if frames is None else open_frames(frames, images, _split(split))
    predictions = predict(loaded, chosen, batch_size)
    scores = write(out, loaded, predictions)
    _report_left_out(predictions)
    rows = [
        [
            each.name,
            str(each.frames),
            *map(number, (each.precision, each.recall, each.f1, each.auroc, each.average_precision)),
        ]
        for each in scores.per_class
    ]
    table(
        f"{detector} on {scores.frames} frames", ["class", "frames", "precision", "recall", "F1", "AUROC", "AP"], rows
    )
    say(f"weighted accuracy        {number(scores.accuracy)}")
    say(f"macro AUROC              {number(scores.auroc)}")
    say(f"weighted F1              {number(scores.f1)}")
    say(f"macro average precision  {number(scores.average_precision)}")
    say(f"written to {out}: metrics.json, metrics.csv, predictions.csv, confusion.csv, confusion.png")


def _labelled(detector: detectors.Detector, frames: Path, images: Path | None, split: str) -> Labelled:
    source = open_frames(frames, images, _split(split))
    require_images(source)
    chosen, left_out = labelled(source, detector)
    if left_out:
        say(f"left out, since they belong to none of the classes: {_listed(left_out)}")
    return chosen


def _announce(detector: detectors.Detector, training: Labelled, validation: Labelled | None) -> None:
    counts = {name: training.labels.count(place) for place, name in enumerate(detector.class_names)}
    say(f"training on {len(training)} frames: {_listed(counts)}")
    absent = [name for name, count in counts.items() if not count]
    if absent:
        warn(f"no frame of {', '.join(absent)}: the network will not learn to tell it")
    if validation is None:
        say("no validation: there are too few people to hold some out; the last epoch's weights are kept")
    else:
        say(f"validating on {len(validation)} frames; the best epoch's weights are kept")


def _split(name: str) -> str | None:
    return None if name == "all" else name


def _report_left_out(predictions: Predictions) -> None:
    if predictions.left_out:
        say(f"left out, since they belong to none of the classes: {_listed(predictions.left_out)}")
    if predictions.unreadable:
        warn(f"{predictions.unreadable} frames could not be read and are left out")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _precision(name: str, place: torch.device) -> str:
    """What `auto` means: bfloat16 where the device multiplies it in hardware."""
    if name not in ("auto", "float32", "bfloat16"):
        raise InputError(f"unknown precision {name!r}; known: auto, float32, bfloat16")
    if name != "auto":
        return name
    fast = torch.cuda.is_bf16_supported() if place.type == "cuda" else torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast and place.type != "mps" else "float32"


if __name__ == "__main__":
    run(app)
