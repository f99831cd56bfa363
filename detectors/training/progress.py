"""How far a training is, by steps and by the clock, and what it shows and keeps of its way."""

import math
import time
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import Progress, TaskID

from common import log
from common.csv_files import save_records
from common.errors import InputError


class Budget(Callback):
    """The fraction of a training that is done: of its steps or, where a time is set, of that, whichever is further.

    Time spent before an interruption counts. When the time is up the training stops, with its learning rate
    at its end, since the schedule follows `done`. Of several processes (`shared`) the first one's clock, read
    after each batch, is everybody's: else each would have a learning rate of its own, and stop at a step of its own.
    """

    def __init__(self, total_steps: int, max_minutes: float | None, shared: bool = False) -> None:
        self.shared = shared
        self.total_steps, self.seconds = total_steps, None if max_minutes is None else 60 * max_minutes
        self.earlier, self.agreed = 0.0, 0.0
        self.started: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier runs included."""
        return self.agreed if self.shared else self._clock()

    def _clock(self) -> float:
        return self.earlier + (0.0 if self.started is None else time.monotonic() - self.started)

    def done(self, step: int) -> float:
        """The fraction done after `step` steps, in [0, 1]."""
        clock = 0.0 if self.seconds is None else self.elapsed / self.seconds
        return min(1.0, max(step / self.total_steps, clock))

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Reads the clock, and ends the training when the time is up."""
        if self.shared:
            self.agreed = trainer.strategy.broadcast(self._clock())
        if self.seconds is not None and self.elapsed >= self.seconds:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far, kept in the checkpoint."""
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The seconds of the runs before."""
        self.earlier = self.agreed = float(state_dict["elapsed"])


class History(Callback):
    """Shows each step on a progress bar and writes one row per epoch to a CSV file, through interruptions.

    A row's `steps` are those of the whole training so far.

    The learning rate goes to the training's logger, where there is one.
    """

    COLUMNS = ("epoch", "steps", "learning_rate", "train_loss", "val_loss", "val_accuracy", "seconds")

    def __init__(self, path: Path, bar: Progress, budget: Budget) -> None:
        self.path, self.bar, self.budget = path, bar, budget
        self.rows: list[dict[str, float | int | None]] = []
        self.task: TaskID | None = None
        self.losses: list[float] = []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Opens the bar where an interrupted training left it."""
        self.task = self.bar.add_task("training", total=self.budget.total_steps, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, *_: Any) -> None:
        """Advances the bar; under a time limit its end is the step at which the time will be up, at the pace so far."""
        assert self.task is not None  # noqa: S101 - set when training starts
        module.log("learning_rate", trainer.optimizers[0].param_groups[0]["lr"])
        if outputs:  # none of a batch that could not be read
            self.losses.append(_finite(float(outputs["loss"]), trainer))
        loss = sum(self.losses[-20:]) / max(1, len(self.losses[-20:]))
        step = trainer.global_step
        self.bar.update(
            self.task,
            completed=step,
            total=max(step, round(step / self.budget.done(step))) if step else self.budget.total_steps,
            description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {loss:.3f}{self._validated()}",
        )

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Adds the epoch's row and writes the file anew."""
        if not self.losses:
            raise InputError(
                f"epoch {trainer.current_epoch + 1} trained on nothing: no two frames of a batch could be read; see "
                "the warnings, and check --images"
            )
        metrics = trainer.callback_metrics
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "steps": trainer.global_step,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "train_loss": sum(self.losses) / len(self.losses) if self.losses else None,
                "val_loss": float(metrics["val_loss"]) if "val_loss" in metrics else None,
                "val_accuracy": float(metrics["val_accuracy"]) if "val_accuracy" in metrics else None,
                "seconds": round(self.budget.elapsed, 1),
            }
        )
        self.losses = []
        if not trainer.is_global_zero:
            return
        log.info(", ".join(f"{name} {value}" for name, value in self.rows[-1].items() if value is not None))
        save_records(self.path, self.COLUMNS, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, kept in the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The rows of the epochs before."""
        self.rows = list(state_dict["rows"])

    def _validated(self) -> str:
        accuracy = self.rows[-1]["val_accuracy"] if self.rows else None
        return "" if accuracy is None else f"  val accuracy {accuracy:.3f}"


def _finite(loss: float, trainer: Trainer) -> float:
    """A step's loss. Raises InputError where it is NaN or infinite: the weights after it are lost."""
    if not math.isfinite(loss):
        raise InputError(
            f"the training diverged in epoch {trainer.current_epoch + 1}: its loss is {loss} at step "
            f"{trainer.global_step}; give a lower --learning-rate and another --out"
        )
    return loss
