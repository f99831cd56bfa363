"""`python -m detectors train`: from the options to a finished training."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from common import log
from common.commands import changed_options, with_options
from common.console import console, listed, say, warn
from common.errors import InputError
from common.locks import alone_in
from common.seeds import derive_seed
from common.settings import override
from data.frames import CLASS_NAMES
from data.landmarks import Landmarks, read_landmarks
from data.picture_doubts import warn_of_pictures
from data.source import open_frames, warn_of_doubt
from detectors.base import Detector
from detectors.devices import several
from detectors.loading.timm_source import BINARY
from detectors.registry import weights_digest
from detectors.training.adversarial import Adversarial
from detectors.training.augment import AUGMENTATIONS
from detectors.training.classification import Classification
from detectors.training.loop import TrainingSettings, is_first_process, train
from detectors.training.models import Wanted, model, new_detector
from detectors.training.recipe import Recipe
from detectors.training.sbi_recipe import SelfBlending
from detectors.training.training_frames import Labelled, hold_out, labelled, require_apart, require_images
from detectors.training.training_options import FrameOptions, HardeningOptions, NetworkOptions, TrainingOptions

LANDMARKS = "landmarks.csv"
ENDING = 10.0
"""Seconds in which the processes that read frames for a training that was killed end, and let go of its folder."""
ROBUST = "weak"
HARDENING = tuple(field.name for field in fields(HardeningOptions) if field.name != "adversarial")
"""The options that count only with --adversarial."""
CLASSES = {"binary": BINARY, "attribution": CLASS_NAMES}


@with_options()
def run_training(
    frames: FrameOptions,
    network: NetworkOptions,
    options: TrainingOptions,
    hardening: HardeningOptions,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoints, history and the final weights.")
    ],
) -> None:
    """Train a detector on labelled frames; writes last.ckpt, best.ckpt, history.csv and model.safetensors."""
    console.quiet = not is_first_process()
    _refuse(frames, network, hardening)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    kind = model(network.name)
    recipe = kind.recipe(_landmarks(frames.landmarks, frames.frames))
    if isinstance(recipe, SelfBlending):
        recipe = replace(recipe, asked_for=frames.landmarks is not None)
    recipe = _recipe(recipe, options, hardening)
    torch.manual_seed(derive_seed(options.seed, "network"))
    wanted = Wanted(network.backbone, network.size, network.pretrained, CLASSES[network.classes])
    detector = new_detector(kind, wanted, network.init)
    settings = TrainingSettings(
        epochs=kind.epochs if options.epochs is None else options.epochs,
        max_minutes=options.max_minutes,
        batch_size=kind.batch_size if options.batch_size is None else options.batch_size,
        seed=options.seed,
        workers=options.workers,
        precision=_precision(options.precision, several(options.device, options.devices)),
        devices=options.devices,
        begun_from=weights_digest(detector) if network.brings_weights else None,
    )
    training, validation = _split_frames(FrameSource(frames.frames, frames.images, detector, recipe), frames, options)
    _announce(detector, training)
    _announce_validation(detector, training, validation, frames.val_fraction, recipe)
    how = {"device": options.device, "resume": options.resume, "half": options.half, "logger": options.logger}
    with contextlib.ExitStack() as stack:
        if is_first_process():
            stack.enter_context(alone_in(out, "wait for it, or choose another --out", ENDING))
            log.open_in(out)
        weights = train(detector, recipe, training, validation, out, settings, **how)  # type: ignore[arg-type]
    say(f"weights: {weights} (use them as --detector {weights})")


def _refuse(frames: FrameOptions, network: NetworkOptions, hardening: HardeningOptions) -> None:
    """Raises InputError for options that contradict each other or have no meaning."""
    if network.init is not None and network.pretrained:
        raise InputError("--init brings its own weights; leave out --pretrained")
    if hardening.adversarial is None and (idle := changed_options(hardening, HARDENING)):
        raise InputError(f"{idle[0]} is of adversarial training: add --adversarial pgd, or leave it out")
    if frames.val_split is not None and changed_options(frames, ("val_fraction",)):
        raise InputError("--val-split and --val-fraction both say what to validate on: give one of them")
    if frames.landmarks is not None and network.name != "sbi":
        raise InputError(f"--landmarks are for --model sbi; {network.name} takes none")
    if network.name.startswith("timm:") and network.backbone is not None:
        raise InputError(f"--model {network.name} names the network: leave out --backbone")
    if network.name in ("caddm", "sbi", "xception") and network.classes == "attribution":
        raise InputError(f"--model {network.name} tells fake from real: leave out --classes {network.classes}")
    if not 0 <= frames.val_fraction < 1:
        raise InputError(f"--val-fraction must be at least 0 and below 1, got {frames.val_fraction}")
    if network.classes not in CLASSES:
        raise InputError(f"unknown --classes {network.classes!r}; known: {', '.join(CLASSES)}")


def _recipe(recipe: Recipe, options: TrainingOptions, hardening: HardeningOptions) -> Recipe:
    """The model's recipe with what was asked for on top."""
    if options.learning_rate is not None:
        recipe = replace(recipe, learning_rate=options.learning_rate)  # type: ignore[type-var]
    if options.augment is not None or hardening.adversarial is not None:
        recipe = _augmented(recipe, options.augment or ROBUST)
    if hardening.adversarial is not None:
        recipe = _hardened(recipe, hardening.adversarial, hardening.values)
    return recipe


@dataclass(frozen=True)
class FrameSource:
    """Where a recipe's frames come from."""

    frames: Path
    images: Path | None
    detector: Detector
    recipe: Recipe

    def read(self, split: str) -> Labelled:
        """The frames of a split that the recipe trains on; says which are left out."""
        source = open_frames(self.frames, self.images, split)
        warn_of_doubt(source.entries)
        require_images(source)
        known, left_out = labelled(source, self.detector)
        if left_out:
            say(f"left out, since they belong to none of the classes: {listed(left_out)}")
        return self.recipe.chosen(known, self.detector)


def _split_frames(
    source: FrameSource, frames: FrameOptions, options: TrainingOptions
) -> tuple[Labelled, Labelled | None]:
    """The frames to train on, and those to validate on."""
    training = source.read(frames.split)
    if frames.val_split is not None:
        validation = source.read(frames.val_split)
        warn_of_pictures(training.frames, validation.frames)
        require_apart(training, validation, (frames.split, frames.val_split))
        return training, validation
    warn_of_pictures(training.frames)
    return hold_out(training, frames.val_fraction, options.seed)


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


def _announce(detector: Detector, training: Labelled) -> None:
    counts = {name: training.labels.count(label) for label, name in enumerate(detector.class_names)}
    say(f"training on {len(training)} frames: {listed(counts)}")
    absent = [name for name, count in counts.items() if not count]
    if absent and len(detector.class_names) > 2:
        warn(f"no frame of {', '.join(absent)}: the network will not learn to tell it")


def _announce_validation(
    detector: Detector, training: Labelled, validation: Labelled | None, fraction: float, recipe: Recipe
) -> None:
    if validation is None:
        why = "there are too few people to hold some out" if fraction else "--val-fraction 0 holds no people out"
        say(f"no validation: {why}; the last epoch's weights are kept")
    else:
        kept = "best" if recipe.keeps_best else "last"
        say(f"validating on {len(validation)} frames; the {kept} epoch's weights are kept")
        if unseen := sorted({detector.class_names[label] for label in set(training.labels) - set(validation.labels)}):
            warn(f"no frame of {', '.join(unseen)} to validate on: the epoch is chosen without what is said of them")


def _precision(name: str, device: torch.device) -> str:
    """What `auto` means: bfloat16 where the device multiplies it in hardware."""
    if name not in ("auto", "float32", "bfloat16"):
        raise InputError(f"unknown precision {name!r}; known: auto, float32, bfloat16")
    if name != "auto":
        return name
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast and device.type != "mps" else "float32"
