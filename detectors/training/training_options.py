"""What a user asks of `python -m detectors train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from detectors.options import DeviceOption
from detectors.training.adversarial import ALL, Adversarial
from detectors.training.loggers import LoggerOption
from detectors.training.loop import TrainingSettings
from detectors.training.models import HUGGING_FACE, MODELS

CLASSES_HELP = "What timm:NETWORK or hf:FOLDER tells: binary, or attribution (five classes)."


@dataclass(frozen=True)
class FrameOptions:
    """The frames that a detector is trained and validated on.

    Attributes:
        frames: the index file.
        images: the store or folder that the index's images are in; None for the index's folder.
        split: of the index, to train on; "all" for the whole index.
        val_split: of the index, to validate on; None for a part of the training frames.
        val_fraction: the part of the people held out for that, in [0, 1).
        landmarks: landmarks.csv, ldm.json or a folder of NPY files, for sbi; None for the one beside the index.
    """

    frames: Annotated[Path, typer.Option("--frames", metavar="FILE", help="Index of the frames (CSV).")]
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="PATH", help="LMDB store or folder; default: the index's folder."),
    ] = None
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Train on this split; all for the whole index.")
    ] = "train"
    val_split: Annotated[
        str | None, typer.Option("--val-split", metavar="NAME", help="Validate on this split; else on --val-fraction.")
    ] = None
    val_fraction: Annotated[
        float, typer.Option("--val-fraction", help="Part of the people held out for validation.")
    ] = 0.1
    landmarks: Annotated[
        Path | None,
        typer.Option(
            "--landmarks",
            metavar="PATH",
            help="landmarks.csv, ldm.json or a folder of NPY files, for sbi; default: the one beside the index.",
        ),
    ] = None


@dataclass(frozen=True)
class NetworkOptions:
    """The network that is trained.

    Attributes:
        name: of the model: one of MODELS, timm:NETWORK or hf:FOLDER.
        classes: what timm:NETWORK or hf:FOLDER tells apart, "binary" or "attribution".
        backbone: timm's name of another network than the model's own; None for its own.
        pretrained: whether to start from timm's weights, which are downloaded.
        init: weights to start from, "demo" or a checkpoint; None for none.
        size: the side of its input in pixels; None for the model's, or that of `init`.
    """

    name: Annotated[
        str, typer.Option("--model", metavar="NAME", help=f"{', '.join(MODELS)}, timm:NETWORK, or hf:FOLDER.")
    ] = "attribution"
    classes: Annotated[str, typer.Option("--classes", metavar="NAME", help=CLASSES_HELP)] = "binary"
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="NAME", help="timm's name of another network than the model's own."),
    ] = None
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from timm's weights (a download).")] = False
    init: Annotated[
        str | None, typer.Option("--init", metavar="NAME", help="Start from these weights: demo, or a checkpoint.")
    ] = None
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="N", help="Input side in pixels; default: the model's, or that of --init."),
    ] = None

    @property
    def brings_weights(self) -> bool:
        """Whether training goes on from weights; else they are drawn."""
        return self.init is not None or self.pretrained or self.name.startswith(HUGGING_FACE)


@dataclass(frozen=True)
class TrainingOptions:
    """How it is trained; None stands for the model's own.

    Attributes:
        epochs: passes over the frames.
        max_minutes: the time after which training ends, the schedule with it; None for no limit.
        batch_size: frames of a step.
        learning_rate: its peak.
        augment: compression, blur and noise: "weak" or "strong".
        seed: of everything random.
        workers: processes that read frames; 0 for none.
        precision: "auto", "float32" or "bfloat16".
        threads: of the CPU; None for torch's choice.
        device: auto, cpu, cuda, cuda:N or mps.
        devices: GPUs, or CPU processes, that share every batch.
        half: whether the final weights are stored as float16.
        resume: whether the training in the folder is continued.
        logger: where the curves are logged as well: "tensorboard" or "wandb", with ":NAME" or without; None for
            nowhere.
    """

    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", help="Passes over the frames; default: the model's.")
    ] = None
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", metavar="T", help="End after this time, the schedule with it.")
    ] = None
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Frames per step; default: the model's.")
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", metavar="RATE", help="Its peak; default: the model's.")
    ] = None
    augment: Annotated[
        str | None,
        typer.Option(
            "--augment",
            metavar="NAME",
            help="Compression, blur and noise: weak or strong; default: hardly any, weak to harden.",
        ),
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = TrainingSettings.seed
    workers: Annotated[int, typer.Option("--workers", help="Processes that read frames; 0 for none.")] = (
        TrainingSettings.workers
    )
    precision: Annotated[str, typer.Option("--precision", metavar="NAME", help="auto, float32 or bfloat16.")] = "auto"
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="CPU threads; default: torch's own.")
    ] = None
    device: DeviceOption = "auto"
    devices: Annotated[
        int, typer.Option("--devices", metavar="N", help="GPUs (or CPU processes) that share every batch.")
    ] = TrainingSettings.devices
    half: Annotated[bool, typer.Option("--half", help="Store the final weights as float16, half the size.")] = False
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False
    logger: LoggerOption = None


@dataclass(frozen=True)
class HardeningOptions:
    """Adversarial training; the other options count only with `adversarial`.

    Attributes:
        adversarial: the attack on training frames, "pgd"; None for plain training.
        epsilon: its L-infinity budget, as "2/255".
        attack_steps: its steps.
        lipschitz: the weight of the gradient penalty; 0 for none.
        clean: the weight of frames as they were, beside attacked ones.
        attacked: which frames are attacked: "all", or "fakes".
    """

    adversarial: Annotated[
        str | None,
        typer.Option("--adversarial", metavar="ATTACK", help="Train on attacked frames: pgd. Not for caddm and sbi."),
    ] = None
    epsilon: Annotated[
        str, typer.Option("--epsilon", metavar="E", help="With --adversarial: the L-infinity budget, as 2/255.")
    ] = "2/255"
    attack_steps: Annotated[
        int, typer.Option("--attack-steps", metavar="N", help="With --adversarial: the steps of the attack.")
    ] = Adversarial.steps
    lipschitz: Annotated[
        float, typer.Option("--lipschitz", help="With --adversarial: the weight of the gradient penalty; 0 for none.")
    ] = Adversarial.lipschitz
    clean: Annotated[
        float,
        typer.Option(
            "--clean", metavar="C", help="With --adversarial: the weight of frames as they were, beside attacked."
        ),
    ] = Adversarial.clean
    attacked: Annotated[str, typer.Option("--attacked", help="With --adversarial: attack all frames, or fakes.")] = ALL

    @property
    def values(self) -> dict[str, object]:
        """The settings of `Adversarial` by their names there."""
        return {
            "epsilon": self.epsilon,
            "steps": self.attack_steps,
            "lipschitz": self.lipschitz,
            "clean": self.clean,
            "victims": self.attacked,
        }
