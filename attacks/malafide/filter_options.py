"""The options that the commands of 2D-Malafide share, as typer reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from attacks.malafide.choosing import open_target
from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import IMAGE, FilterSpec
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.fitting import TargetDetector
from detectors.loading.conventions import Conventions
from detectors.options import CheckpointOption, DeviceOption
from detectors.training.loggers import LoggerOption

OUT = Path("results/malafide")

FramesOption = Annotated[Path, typer.Option("--frames", help="Index of the frames (CSV).")]
SomeFramesOption = Annotated[Path | None, typer.Option("--frames", help="Index of the frames (CSV).")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="LMDB store or folder. Default: the index's folder.")
]
VideosOption = Annotated[
    Path | None,
    typer.Option("--videos", help="A video, or a folder of them, instead of --frames; faces are cropped."),
]
DetectorOption = Annotated[
    str,
    typer.Option("--detector", help="Name, timm:NETWORK, hf:FOLDER, onnx:FILE, package.module:Name, or a checkpoint."),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The detector's name in the results. Default: that of --detector.")
]
FaceDetectorOption = Annotated[
    str, typer.Option("--face-detector", help="For --videos: haar, yunet:MODEL.onnx, or your package.module:Name.")
]
ManipulationOption = Annotated[
    list[str] | None, typer.Option("--manipulation", help="Only this family; repeatable. Default: all in the index.")
]
SizeOption = Annotated[
    list[int] | None, typer.Option("--size", metavar="K", help="Of the filter, odd; repeatable. Published: 3 9 27 81.")
]
FilterOption = Annotated[
    list[Path] | None, typer.Option("--filter", help="This filter's file; repeatable. Default: those in --out.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many frames of each family, evenly spread.")
]
CountOption = Annotated[int, typer.Option("--count", min=1, help="Fakes of each manipulation to show.")]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images in a forward pass.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: torch's choice.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the results.")]


@dataclass(frozen=True)
class TargetConventions(Conventions):
    """What is said of the detector, where its file does not; here `--size` is the filter's."""

    input_size: Annotated[
        int | None,
        typer.Option("--input-size", metavar="N", min=1, help="The side of its input in pixels, likewise."),
    ] = None


NOTHING_SAID = TargetConventions()


@dataclass(frozen=True)
class TargetOptions:
    """The detector that filters are trained against or tested on, and the frames.

    Attributes:
        frames: the index file.
        detector: a name, or a checkpoint file.
        images: the store or folder that the index's images are in; None for the index's folder.
        checkpoint: the weights of a detector given by name.
        name: of the detector in the results; None for that of `detector`.
        batch_size: images in a forward pass, and of a training step.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: of the CPU; None for torch's choice.
    """

    frames: FramesOption
    detector: DetectorOption
    images: ImagesOption = None
    checkpoint: CheckpointOption = None
    name: NameOption = None
    batch_size: BatchSizeOption = 32
    device: DeviceOption = "auto"
    threads: ThreadsOption = None

    def open(self, conventions: Conventions) -> TargetDetector:
        """The detector, by what is said of it where its file does not. Raises InputError where there is none such."""
        return open_target(
            self.detector, self.checkpoint, conventions, self.name, self.device, self.batch_size, self.threads
        )


@dataclass(frozen=True)
class FilterOptions:
    """Which filters are trained, and how.

    Attributes:
        manipulation: families, each with a filter of its own; nothing for all in the index.
        size: sides of the filters in pixels, odd; nothing for 9.
        extent: whether each filtered image is rescaled to its own range ("image"), or as published ("batch").
        fidelity: the bound on each image's change, "psnr:30" or "linf:8/255"; None for none.
        epochs: passes over the fakes, at most.
        max_minutes: for each filter, the time after which its training ends.
        learning_rate: None for 1e-4 as published; with a fidelity half the bound.
        stop: the training EER above which it ends; None for 0.5, with a fidelity 0.9.
        split_by: how frames are held out: index, identity, time, frame, or auto.
        limit: frames of each family at most, evenly spread.
        seed: of everything random.
        logger: where the curves are logged as well: "tensorboard" or "wandb", with ":NAME" or without; None for
            nowhere.
    """

    manipulation: Annotated[
        Sequence[str],
        typer.Option("--manipulation", help="Only this family; repeatable. Default: all in the index."),
    ] = ()
    size: Annotated[
        Sequence[int],
        typer.Option("--size", metavar="K", help="Of the filter, odd; repeatable. Published: 3 9 27 81."),
    ] = (9,)
    extent: Annotated[
        str,
        typer.Option("--range", help="Rescale each filtered image to its own range (image), or as published (batch)."),
    ] = IMAGE
    fidelity: Annotated[
        str | None,
        typer.Option("--fidelity", help="Start at the identity and bound each image's change: psnr:30, linf:8/255."),
    ] = None
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most so many passes over the fakes.")] = 100
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="For each filter, the time after which its training ends.")
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="Default: 1e-4 as published; with --fidelity half the bound."),
    ] = None
    stop: Annotated[
        float | None,
        typer.Option("--stop", help="End once the training EER is above this. Default: 0.5, with --fidelity 0.9."),
    ] = None
    split_by: Annotated[
        str, typer.Option("--split-by", help="How frames are held out: index, identity, time, frame, or auto.")
    ] = "auto"
    limit: LimitOption = None
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0
    logger: LoggerOption = None

    @property
    def specs(self) -> list[FilterSpec]:
        """The filters, one of each size. Raises InputError for a size, range or fidelity that there is not."""
        bound = None if self.fidelity is None else Fidelity.parse(self.fidelity)
        return [FilterSpec(side, self.extent, bound) for side in dict.fromkeys(self.size)]

    def settings(self, batch_size: int) -> FilterTrainingSettings:
        """How each is trained, `batch_size` images at a time."""
        return FilterTrainingSettings(
            self.epochs, self.max_minutes, batch_size, self.learning_rate, stop=self.stop, seed=self.seed
        )

    def resolved(self, settings: FilterTrainingSettings, manipulations: Sequence[str], split: str) -> dict[str, Any]:
        """The options with their defaults in place, by the names that `--config` reads."""
        first = self.specs[0]
        return {
            "manipulation": list(manipulations), "size": [spec.size for spec in self.specs], "range": self.extent,
            "fidelity": self.fidelity, "epochs": self.epochs, "max_minutes": self.max_minutes,
            "batch_size": settings.batch_size, "learning_rate": settings.rate(first, 0), "stop": settings.enough(first),
            "split_by": split, "limit": self.limit, "seed": self.seed,
            "logger": self.logger,
        }  # fmt: skip
