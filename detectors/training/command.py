"""`python -m detectors train`: from the options to a finished training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from common import log
from common.console import console, listed, say, warn
from common.errors import InputError
from common.seeds import derive_seed
from common.settings import override
from data.frames import CLASS_NAMES
from data.landmarks import Landmarks, read_landmarks
from data.source import open_split
from detectors.base import Detector
from detectors.devices import several
from detectors.options import DeviceOption
from detectors.timm_source import BINARY
from detectors.training.adversarial import ALL, Adversarial
from detectors.training.augment import AUGMENTATIONS
from detectors.training.classification import Classification
from detectors.training.frames import Labelled, hold_out, labelled, require_images
from detectors.training.loop import Settings, is_first_process, train
from detectors.training.models import MODELS, Wanted, model, new_detector
from detectors.training.recipe import Recipe

LANDMARKS = "landmarks.csv"
ROBUST = "weak"
CLASSES = {"binary": BINARY, "attribution": CLASS_NAMES}


def run_training(
    frames: Annotated[Path, typer.Option(metavar="FILE", help="Index of the frames (CSV).")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for checkpoints, history and the final weights.")],
    name: Annotated[
        str, typer.Option("--model", metavar="NAME", help=f"{', '.join(MODELS)}, or timm:NETWORK.")
    ] = "attribution",
    images: Annotated[
        Path | None, typer.Option(metavar="PATH", help="LMDB store or folder; default: the index's folder.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Train on this split; all for the whole index.")] = "train",
    val_split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Validate on this split; else on --val-fraction.")
    ] = None,
    val_fraction: Annotated[float, typer.Option(help="Part of the people held out for validation.")] = 0.1,
    landmarks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="landmarks.csv or ldm.json for sbi; default: the one beside the index."),
    ] = None,
    classes: Annotated[
        str, typer.Option(metavar="NAME", help="What timm:NETWORK tells: binary, or attribution (five classes).")
    ] = "binary",
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="timm's name of another network than the model's own.")
    ] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from timm's weights (a download).")] = False,
    init: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from these weights: demo, or a checkpoint.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Input side in pixels; default: the model's, or that of --init.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Passes over the frames; default: the model's.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(metavar="T", help="End after this time, the schedule with it.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Frames per step; default: the model's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="RATE", help="Its peak; default: the model's.")] = None,
    adversarial: Annotated[
        str | None, typer.Option(metavar="ATTACK", help="Train on attacked frames: pgd. Not for caddm and sbi.")
    ] = None,
    epsilon: Annotated[
        str, typer.Option(metavar="E", help="With --adversarial: the L-infinity budget, as 2/255.")
    ] = "2/255",
    attack_steps: Annotated[
        int, typer.Option(metavar="N", help="With --adversarial: the steps of the attack.")
    ] = Adversarial.steps,
    lipschitz: Annotated[
        float, typer.Option(help="With --adversarial: the weight of the gradient penalty; 0 for none.")
    ] = Adversarial.lipschitz,
    clean: Annotated[
        float, typer.Option(metavar="C", help="With --adversarial: the weight of frames as they were, beside attacked.")
    ] = Adversarial.clean,
    attacked: Annotated[str, typer.Option(help="With --adversarial: attack all frames, or fakes.")] = ALL,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Compression, blur and noise: weak or strong; default: hardly any, weak to harden."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = Settings.seed,
    workers: Annotated[int, typer.Option(help="Processes that read frames; 0 for none.")] = Settings.workers,
    precision: Annotated[str, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads; default: torch's own.")] = None,
    device: DeviceOption = "auto",
    devices: Annotated[
        int, typer.Option(metavar="N", help="GPUs (or CPU processes) that share every batch.")
    ] = Settings.devices,
    half: Annotated[bool, typer.Option("--half", help="Store the final weights as float16, half the size.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False,
) -> None:
    """Train a detector on labelled frames; writes last.ckpt, best.ckpt, history.csv and model.safetensors."""
    console.quiet = not is_first_process()
    if init is not None and pretrained:
        raise InputError("--init brings its own weights; leave out --pretrained")
    if not 0 <= val_fraction < 1:
        raise InputError(f"--val-fraction must be at least 0 and below 1, got {val_fraction}")
    if classes not in CLASSES:
        raise InputError(f"unknown --classes {classes!r}; known: {', '.join(CLASSES)}")
    if threads is not None:
        torch.set_num_threads(threads)
    kind, place = model(name), several(device, devices)
    recipe = kind.recipe(_landmarks(landmarks, frames))
    if learning_rate is not None:
        recipe = replace(recipe, learning_rate=learning_rate)  # type: ignore[type-var]
    if augment is not None or adversarial is not None:
        recipe = _augmented(recipe, augment or ROBUST)
    if adversarial is not None:
        asked = {
            "epsilon": epsilon,
            "steps": attack_steps,
            "lipschitz": lipschitz,
            "clean": clean,
            "victims": attacked,
        }
        recipe = _hardened(recipe, adversarial, asked)
    settings = Settings(
        epochs=kind.epochs if epochs is None else epochs,
        max_minutes=max_minutes,
        batch_size=kind.batch_size if batch_size is None else batch_size,
        seed=seed,
        workers=workers,
        precision=_precision(precision, place),
        devices=devices,
    )
    torch.manual_seed(derive_seed(seed, "network"))
    detector = new_detector(kind, Wanted(backbone, size, pretrained, CLASSES[classes]), init)
    source = Source(frames, images, detector, recipe)
    chosen = source.read(split)
    if val_split is not None:
        validation: Labelled | None = source.read(val_split)
    else:
        chosen, validation = hold_out(chosen, val_fraction, seed)
    _announce(detector, chosen, validation, recipe)
    if is_first_process():
        log.open_in(out)
    weights = train(detector, recipe, chosen, validation, out, settings, device=device, resume=resume, half=half)
    say(f"weights: {weights} (use them as --detector {weights})")


@dataclass(frozen=True)
class Source:
    """Where a recipe's frames come from."""

    frames: Path
    images: Path | None
    detector: Detector
    recipe: Recipe

    def read(self, split: str) -> Labelled:
        """The frames of a split that the recipe trains on; says which are left out."""
        source = open_split(self.frames, self.images, split)
        require_images(source)
        known, left_out = labelled(source, self.detector)
        if left_out:
            say(f"left out, since they belong to none of the classes: {listed(left_out)}")
        return self.recipe.chosen(known, self.detector)


def _augmented(recipe: Recipe, name: str) -> Recipe:
    if name not in AUGMENTATIONS:
        raise InputError(f"unknown --augment {name!r}; known: {', '.join(AUGMENTATIONS)}")
    if not isinstance(recipe, Classification):
        raise InputError("--augment is for models trained by plain classification; this one has its own changes")
    return replace(recipe, augmentation=AUGMENTATIONS[name])


def _hardened(recipe: Recipe, attack: str, values: Mapping[str, Any]) -> Recipe:
    if attack != "pgd":
        raise InputError(f"unknown --adversarial {attack!r}; known: pgd")
    if not isinstance(recipe, Classification):
        raise InputError("--adversarial is for models trained by plain classification: not for caddm and sbi")
    return override(Adversarial(recipe), values, "--adversarial")


def _landmarks(given: Path | None, frames: Path) -> Landmarks | None:
    """The landmarks in the file that is given, or in the one beside the index."""
    beside = frames.parent / LANDMARKS
    path = given or (beside if beside.is_file() else None)
    return None if path is None else read_landmarks(path)


def _announce(detector: Detector, training: Labelled, validation: Labelled | None, recipe: Recipe) -> None:
    counts = {name: training.labels.count(place) for place, name in enumerate(detector.class_names)}
    say(f"training on {len(training)} frames: {listed(counts)}")
    absent = [name for name, count in counts.items() if not count]
    if absent and len(detector.class_names) > 2:
        warn(f"no frame of {', '.join(absent)}: the network will not learn to tell it")
    if validation is None:
        say("no validation: there are too few people to hold some out; the last epoch's weights are kept")
    else:
        kept = "best" if recipe.keeps_best else "last"
        say(f"validating on {len(validation)} frames; the {kept} epoch's weights are kept")


def _precision(name: str, place: torch.device) -> str:
    """What `auto` means: bfloat16 where the device multiplies it in hardware."""
    if name not in ("auto", "float32", "bfloat16"):
        raise InputError(f"unknown precision {name!r}; known: auto, float32, bfloat16")
    if name != "auto":
        return name
    fast = torch.cuda.is_bf16_supported() if place.type == "cuda" else torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast and place.type != "mps" else "float32"
