"""Training a detector with Lightning: steps, the schedule, checkpoints and resuming."""

import contextlib
import json
import logging
import signal
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn import functional

from common.console import progress
from common.errors import InputError
from common.files import sweep
from common.seeds import derive_seed
from detectors.devices import several
from detectors.loading.checkpoints import read
from detectors.loading.saving import METADATA_KEY, NetworkDetector, save
from detectors.loading.weight_loading import load_into
from detectors.memory import keep_freed_memory
from detectors.training.checkpoint_files import BEST, LAST, Best, WholeCheckpoints, last_checkpoint
from detectors.training.data import FrameData, steps_of
from detectors.training.loggers import STEPS, training_logger
from detectors.training.progress import Budget, History
from detectors.training.recipe import Recipe, TrainingBatch
from detectors.training.training_frames import Labelled, class_weights

SETTINGS_KEY = "training"
FREE_TO_CHANGE = ("max_minutes", "workers")
BEGUN_FROM = "begun_from"
TRAINED, VALIDATED, PICTURES, NONE = "frames", "validation", "pictures", "none"
"""Where a checkpoint keeps the fingerprints of the frames that it is of, and what it says where there are none."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long a network is trained, on what; how it is trained is its recipe's.

    Attributes:
        epochs: passes over the frames.
        max_minutes: the training ends after this time, with the learning rate lowered in step; None for no limit.
        batch_size: frames per step, of all devices together.
        seed: of the order, the augmentation, a new network's weights and its dropout.
        workers: processes that read frames; 0 reads them in this one.
        precision: float32, or bfloat16 for autocast.
        devices: how many GPUs, or processes on a CPU, share each batch; their gradients are averaged.
        begun_from: the SHA-256 of the weights that it begins with; None where they are drawn.
    """

    epochs: int = 20
    max_minutes: float | None = None
    batch_size: int = 32
    seed: int = 0
    workers: int = 0
    precision: str = "float32"
    devices: int = 1
    begun_from: str | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.workers < 0:
            raise InputError("epochs must be at least 1, the batch size 2, workers 0")
        if self.devices < 1 or self.batch_size % self.devices or self.batch_size // self.devices < 2:
            raise InputError(
                f"a batch of {self.batch_size} frames cannot be shared by {self.devices} devices, 2 or more for each: "
                f"give a multiple of {self.devices} as --batch-size"
            )
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise InputError("the minutes must be above 0")


class Training(LightningModule):
    """A detector in training by a recipe."""

    def __init__(
        self,
        detector: NetworkDetector,
        recipe: Recipe,
        class_weights: Tensor,
        settings: TrainingSettings,
        budget: Budget,
        frames: Mapping[str, str] = MappingProxyType({}),
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self.frames, self.validated = dict(frames), 0
        self.detector, self.memory_format = detector.to(memory_format=memory_format), memory_format
        self.recipe, self.settings, self.budget = recipe, settings, budget
        self.register_buffer("class_weights", class_weights, persistent=False)

    def on_train_epoch_start(self) -> None:
        """Seeds dropout by the epoch, so that a resumed epoch is the one that was interrupted."""
        torch.manual_seed(derive_seed(self.settings.seed, "dropout", self.current_epoch))

    def training_step(self, batch: TrainingBatch, _index: int) -> Tensor | None:
        """The recipe's loss; None for a batch of which no sample, or only one, could be read.

        Where other devices wait for this one's gradient it is nothing, but there.
        """
        if len(batch.labels) < 2:
            return None if self.settings.devices == 1 else 0.0 * _total(self.detector)
        loss = self.recipe.loss(self.detector, self._laid_out(batch), self.get_buffer("class_weights"))
        self.log("train_loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(batch.labels))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Counts the frames anew."""
        self.validated = 0

    def on_validation_epoch_end(self) -> None:
        """Raises InputError where no frame could be read: nothing is known of the epoch."""
        if not self.validated:
            raise InputError("none of the frames to validate on could be read: see the warnings, and check --images")

    def validation_step(self, batch: TrainingBatch, _index: int) -> None:
        """Logs the plain cross-entropy of the verdicts and their accuracy."""
        if len(batch.labels):
            logits = self.detector(self._laid_out(batch).images).float()
            count = len(batch.labels)
            self.validated += count
            self.log("val_loss", functional.cross_entropy(logits, batch.labels), batch_size=count)
            self.log("val_accuracy", (logits.argmax(1) == batch.labels).float().mean(), batch_size=count)

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser, its learning rate a function of the part of the training that is done."""
        optimizer = self.recipe.optimizer(self.detector)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.recipe.rate(self.budget.done(step)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _laid_out(self, batch: TrainingBatch) -> TrainingBatch:
        return batch._replace(images=batch.images.contiguous(memory_format=self.memory_format))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what `detectors.load` and a resumed training need to know."""
        checkpoint["hyper_parameters"] = _described(self.detector, self.recipe, self.settings, self.frames)


def _total(module: nn.Module) -> Tensor:
    """The sum of all weights."""
    return torch.stack([parameter.sum() for parameter in module.parameters()]).sum()


def fastest_format(recipe: Recipe, device: torch.device) -> torch.memory_format:
    """Channels last; but torch's second derivative of a batch norm sums over those slowly on a CPU.

    Without them a step with a gradient penalty takes 1.4 to 1.8 times less there (benchmarks/NOTES.md).
    """
    slow = recipe.differentiates_twice and device.type == "cpu"
    return torch.contiguous_format if slow else torch.channels_last


def _described(
    detector: NetworkDetector, recipe: Recipe, settings: TrainingSettings, frames: Mapping[str, str]
) -> dict[str, Any]:
    """The network's settings and the training's, with its frames' fingerprints, as a checkpoint keeps them."""
    training = {"recipe": type(recipe).__name__, **recipe.settings(), **asdict(settings), **frames}
    return {METADATA_KEY: detector.config.as_metadata(), SETTINGS_KEY: json.loads(json.dumps(training))}


def train(
    detector: NetworkDetector,
    recipe: Recipe,
    frames: Labelled,
    validation: Labelled | None,
    out: Path,
    settings: TrainingSettings,
    device: str = "cpu",
    resume: bool = False,
    half: bool = False,
    logger: str | None = None,
) -> Path:
    """Trains a detector by a recipe and returns the file of its weights, `out`/model.safetensors.

    After every epoch `out` holds last.ckpt (to resume from, also after a kill), history.csv and, with validation
    frames and a recipe that asks for it, best.ckpt, the epoch of the lowest validation loss, whose weights are kept in
    the end; else the last epoch's are. Interrupted in an epoch, a resumed training does that epoch again and ends in
    the same weights.

    With several devices Lightning starts this program anew for each of the others, which come here too, show nothing
    and write nothing.

    Args:
        detector: what is trained, in place; it ends with the weights that are kept.
        recipe: which pictures, loss and optimiser.
        frames: the training frames with their classes.
        validation: the validation frames with their classes, or None.
        out: the folder of the checkpoints, the history and the weights.
        settings: how long, in which batches, on how many devices.
        device: auto, cpu, cuda, cuda:N or mps.
        resume: whether a training in `out` is continued.
        half: whether the final weights are stored as float16.
        logger: where the curves are logged as well (`detectors.training.loggers`); None for nowhere.

    Raises:
        InputError: `out` holds a training already and `resume` is false, other settings made it, or the devices or the
            logger are not there.
    """
    torch_device = several(device, settings.devices)
    if torch_device.type == "cpu":
        keep_freed_memory()
    used = {
        TRAINED: frames.fingerprint(),
        VALIDATED: NONE if validation is None else validation.fingerprint(),
        PICTURES: " ".join(part.pictures() for part in (frames, validation) if part is not None),
    }
    about = _described(detector, recipe, settings, used)
    last = _earlier(out, about, resume)
    if is_first_process():
        sweep(out)
    steps = settings.epochs * steps_of(len(frames), settings.batch_size, settings.devices)
    budget = Budget(steps, settings.max_minutes, shared=settings.devices > 1)
    weights = class_weights(frames.labels, len(detector.class_names))
    module = Training(detector, recipe, weights, settings, budget, used, fastest_format(recipe, torch_device))
    data = FrameData(
        frames, validation, detector, recipe, settings.batch_size, settings.workers, settings.seed, settings.devices
    )
    best = Best(out / BEST) if validation is not None and recipe.keeps_best else None
    first = is_first_process()
    with _quiet(), training_logger(logger, out, first) as curves, progress("step", shown=first) as bar:
        if curves is not None:
            curves.log_hyperparams(about[SETTINGS_KEY])
        trainer = Trainer(
            max_epochs=settings.epochs,
            accelerator="gpu" if torch_device.type == "cuda" else torch_device.type,
            devices=[torch_device.index or 0]
            if torch_device.type == "cuda" and settings.devices == 1
            else settings.devices,
            strategy="auto" if settings.devices == 1 else "ddp",
            precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
            callbacks=[
                budget,
                History(out / "history.csv", bar, budget),
                *([best] if best else []),
                last_checkpoint(out),
            ],
            plugins=[WholeCheckpoints()],
            default_root_dir=out,
            logger=curves or False,
            log_every_n_steps=STEPS,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        with _interruptible(trainer), _continuing(last, budget):
            trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
    if not trainer.is_global_zero:
        return out / "model.safetensors"
    load_into(detector.network, read(best.kept() if best else out / LAST), detector.config.title)
    save(detector, out / "model.safetensors", half)
    return out / "model.safetensors"


def is_first_process() -> bool:
    """Whether this is the only process of a training, or the first of several."""
    return int(getattr(rank_zero_only, "rank", None) or 0) == 0


def _earlier(out: Path, now: dict[str, Any], resume: bool) -> Path | None:
    """The checkpoint to resume from, or None for a new training."""
    last = out / LAST
    if not last.is_file():
        if (out / BEST).is_file():
            raise InputError(
                f"{out} holds {BEST} of a training that left no {LAST}: delete it, or choose another --out"
            )
        return None
    if not resume:
        raise InputError(f"{out} holds a training already: --resume continues it, or choose another --out")
    try:
        metadata = read(last).metadata
    except InputError as error:
        told = str(error).removesuffix(": get it again")
        raise InputError(f"{told}: this training cannot be continued; delete {out}, or choose another --out") from error
    for part in (SETTINGS_KEY, METADATA_KEY):
        before = metadata.get(part)
        if not isinstance(before, dict):
            raise InputError(f"{last} was not made by this command; choose another --out")
        unsaid = [key for key in (TRAINED, VALIDATED, PICTURES, BEGUN_FROM) if key not in before]  # by earlier versions
        if VALIDATED in unsaid:
            unsaid.append(TRAINED)  # which was a file's name then
        free = (*FREE_TO_CHANGE, *unsaid)
        changed = [key for key in now[part] if key not in free and before.get(key) != now[part][key]]
        if changed:
            key = changed[0]
            raise InputError(
                f"{last} was made with {key}={before.get(key)}, not {now[part][key]}; choose another --out"
            )
    return last


@contextlib.contextmanager
def _continuing(last: Path | None, budget: Budget) -> Iterator[None]:
    """Turns what Lightning and torch raise of a checkpoint that they cannot go on from into one line."""
    try:
        yield
    except (KeyError, ValueError, RuntimeError, TypeError, MisconfigurationException) as error:
        if last is None or budget.started is not None or isinstance(error, InputError):
            raise
        said = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"{last} cannot be continued ({type(error).__name__}: {said}): it is not as this command left it; choose "
            "another --out"
        ) from error


@contextlib.contextmanager
def _interruptible(trainer: Trainer) -> Iterator[None]:
    """Gives Ctrl-C its usual meaning: on it, Lightning ends the program itself and ignores any further one."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what Lightning says of itself and of settings that were chosen on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
