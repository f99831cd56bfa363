"""Training a filter: the published optimisation, checkpointed every epoch, ended when half of the fakes pass."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attacks.malafide.filter import BoundedCoefficients, Coefficients, Filter, FilterSpec
from attacks.malafide.filter_files import spec_as_json
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.optimisers import NormalisedMomentum
from attacks.malafide.prepared_images import PreparedImages
from attacks.malafide.scores import eer, score_filtered
from attacks.malafide.whitening import Whitening, mean_spectrum
from common.csv_files import save_records
from common.errors import InputError
from common.files import atomic_write
from common.seeds import derive_seed, generator
from detectors.answers import in_float32
from detectors.base import Detector
from detectors.gradients import differentiable, untouched
from detectors.loading.checkpoints import read_torch
from detectors.queries import exact_float32

COLUMNS = ("epoch", "learning_rate", "batch_loss", "loss", "eer", "psnr", "seconds")
EER, EPOCHS, TIME = "eer", "epochs", "time"


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gave.

    Attributes:
        filter: with the best training EER, and of those the least loss.
        epochs: how many whole ones were done.
        best_epoch: after which the filter was kept; within one that the time cut short, a fraction.
        eer: its training EER, in [0, 1].
        loss: its mean cross-entropy towards real, without the penalty.
        ended: why: EER, EPOCHS or TIME.
    """

    filter: Filter
    epochs: int
    best_epoch: float
    eer: float
    loss: float
    ended: str


class FilterTraining:
    """A filter in training against one detector, on fakes that pass through it and reals that do not.

    `reals` are the scores of the real frames, (M,); what the detector says of them does not change, so they are asked
    for once. After every epoch `checkpoint` holds all that is needed to go on, and the same training resumed ends
    in the same filter. The detector runs frozen in evaluation mode, and is as it was afterwards.
    """

    def __init__(
        self,
        detector: Detector,
        fakes: PreparedImages,
        reals: np.ndarray,
        spec: FilterSpec,
        settings: FilterTrainingSettings,
        checkpoint: Path | None = None,
        made_by: Mapping[str, Any] | None = None,
        on_step: Callable[[float], None] = lambda done: None,
    ) -> None:
        """Prepares a training, or takes up the one in `checkpoint`.

        Args:
            detector: what the filter is trained against.
            fakes: N images that pass through the filter.
            reals: (M,) float64, the fakeness of the real frames (`scores.fakeness`).
            spec: what kind of filter.
            settings: how it is trained.
            checkpoint: the file that holds all that is needed to go on; None keeps nothing.
            made_by: whatever else decides the result, in JSON values.
            on_step: called after each step with the part of the training that is done, in [0, 1], by steps or by the
                clock, whichever is more.

        Raises:
            InputError: the checkpoint cannot be read or was made with something else.
        """
        self.detector, self.fakes, self.reals = detector, fakes, reals
        self.spec, self.settings, self.checkpoint = spec, settings, checkpoint
        self.device = _device_of(detector)
        self.coefficients = _coefficients(spec, fakes, settings.seed).to(self.device)
        self.optimiser = _optimiser(self.coefficients, spec, settings)
        self.epoch, self.seconds = 0, 0.0
        self.best: dict[str, Any] | None = None
        self.history: list[dict[str, Any]] = []
        self.on_step = on_step
        self.identity = self.identity_of(spec, settings, made_by or {})
        if checkpoint is not None and checkpoint.is_file():
            self._resume(checkpoint)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Trains epoch by epoch and yields each one's row of the history, until `ended`."""
        while self.ended is None:
            started, earlier = time.monotonic(), self.seconds
            with differentiable(self.device), untouched(self.detector), exact_float32():
                losses = self._one_epoch(started)
            row = self._evaluate(losses, earlier + time.monotonic() - started)
            if len(losses) == self._steps:
                self._save()
            yield row

    @staticmethod
    def identity_of(spec: FilterSpec, settings: FilterTrainingSettings, made_by: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that decides a training's result, in JSON values."""
        chosen = {name: value for name, value in asdict(settings).items() if name != "max_minutes"}
        resolved = {"learning_rate": settings.rate(spec, 0), "stop": settings.enough(spec)}
        return {**spec_as_json(spec), **chosen, **resolved, **made_by}

    @property
    def ended(self) -> str | None:
        """Why there is nothing left to do, or None while there is."""
        limit = self.settings.max_minutes
        if self.best is not None and self.best["eer"] > self.settings.enough(self.spec):
            return EER
        if self.epoch >= self.settings.epochs:
            return EPOCHS
        return TIME if limit is not None and self.seconds >= 60 * limit and self.best is not None else None

    def result(self) -> Trained:
        """What has been reached so far; one epoch, or part of one, is needed."""
        if self.best is None:
            raise ValueError("nothing has been trained yet")
        kept = Filter(self.spec, self.best["weight"])
        ended = self.ended or TIME
        return Trained(kept, self.epoch, self.best["epoch"], self.best["eer"], self.best["loss"], ended)

    @property
    def _steps(self) -> int:
        return -(-len(self.fakes) // self.settings.batch_size)

    def _one_epoch(self, started: float) -> list[float]:
        """One pass over the fakes in an order of its own; cut short when the time is up. Returns the steps' losses."""
        order = generator(self.settings.seed, "malafide", "order", self.epoch).permutation(len(self.fakes))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate(self.spec, self.epoch)
        losses = []
        for start in range(0, len(order), self.settings.batch_size):
            images = self.fakes.at(order[start : start + self.settings.batch_size].tolist()).to(self.device)
            losses.append(self._step(images))
            clock = self._clock(started)
            self.on_step(min(1.0, max((self.epoch + len(losses) / self._steps) / self.settings.epochs, clock)))
            if clock >= 1:
                break
        return losses

    def _step(self, images: Tensor) -> float:
        weight = self.coefficients.weight
        filtered = self.spec.apply(images, weight).contiguous(memory_format=self.detector.memory_format)
        logits = in_float32(self.detector(filtered))
        if not logits.requires_grad:
            raise InputError(
                f"{type(self.detector).__name__} gives no gradient, which a filter's training needs: "
                "let its forward run without no_grad or detach"
            )
        real = torch.full((len(images),), self.detector.real, device=logits.device)
        penalty = self.settings.penalty * weight.square().sum()
        loss = functional.cross_entropy(logits, real) + penalty
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def _evaluate(self, losses: Sequence[float], seconds: float) -> dict[str, Any]:
        """Asks the detector about all fakes through the filter as it is now, keeps it where it is the best so far."""
        before = time.monotonic()
        now = self._frozen()
        filtered = score_filtered(self.detector, self.fakes, now, self.settings.batch_size)
        rate = eer(filtered.scores, self.reals).rate
        learning_rate = self.settings.rate(self.spec, self.epoch)
        whole = len(losses) == self._steps
        epoch = self.epoch + (1 if whole else round(len(losses) / self._steps, 2))
        self.epoch += whole
        if self.best is None or (rate, -filtered.loss) > (self.best["eer"], -self.best["loss"]):
            self.best = {"weight": now.weight, "epoch": epoch, "eer": rate, "loss": filtered.loss}
        self.seconds = seconds + time.monotonic() - before
        row = {
            "epoch": epoch,
            "learning_rate": learning_rate,
            "batch_loss": float(np.mean(losses)),
            "loss": filtered.loss,
            "eer": rate,
            "psnr": float(filtered.psnr.mean()),
            "seconds": round(self.seconds, 1),
        }
        self.history.append(row)
        return row

    def _frozen(self) -> Filter:
        if not all(bool(parameter.isfinite().all()) for parameter in self.coefficients.parameters()):
            raise InputError(f"the training diverged in epoch {self.epoch + 1}; give a smaller --learning-rate")
        return Filter(self.spec, self.coefficients.weight.detach().cpu().clone())

    def _clock(self, started: float) -> float:
        """The part of the time limit that has passed, 0 where there is none."""
        limit = self.settings.max_minutes
        return 0.0 if limit is None else (self.seconds + time.monotonic() - started) / (60 * limit)

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        buffer = io.BytesIO()
        torch.save(
            {
                "identity": self.identity,
                "coefficients": self.coefficients.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
                "seconds": self.seconds,
                "best": self.best,
                "history": self.history,
            },
            buffer,
        )
        with atomic_write(self.checkpoint, "wb") as file:
            file.write(buffer.getvalue())

    def _resume(self, checkpoint: Path) -> None:
        state = _read(checkpoint)
        changed = [key for key, value in self.identity.items() if state["identity"].get(key) != value]
        if changed:
            key = changed[0]
            raise InputError(
                f"{checkpoint} was made with {key}={state['identity'].get(key)}, not {self.identity[key]}; "
                "give the same options to continue it, or another --out"
            )
        try:
            self.coefficients.load_state_dict(state["coefficients"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.epoch, self.seconds = state["epoch"], state["seconds"]
            self.best, self.history = state["best"], state["history"]
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{checkpoint} is not whole ({error}); remove it to start anew") from error


def _coefficients(spec: FilterSpec, fakes: PreparedImages, seed: int) -> Coefficients | BoundedCoefficients:
    """The coefficients that a training starts with."""
    if spec.fidelity is None:
        generator = torch.Generator().manual_seed(derive_seed(seed, "malafide", "coefficients", spec.size))
        return Coefficients(spec, generator)
    return BoundedCoefficients(spec, Whitening(mean_spectrum(fakes.batches(1), spec.size)))


def _optimiser(coefficients: nn.Module, spec: FilterSpec, settings: FilterTrainingSettings) -> torch.optim.Optimizer:
    first = settings.rate(spec, 0)
    if spec.fidelity is None:
        return torch.optim.Adam(coefficients.parameters(), first, weight_decay=settings.weight_decay)
    return NormalisedMomentum(coefficients.parameters(), first)


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes the rows of a training as CSV with the columns COLUMNS."""
    save_records(path, COLUMNS, history)


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        state = read_torch(checkpoint)
        if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
            raise InputError("it was not made by this command")
        return state
    except InputError as error:
        raise InputError(f"{checkpoint} cannot be read ({error}); remove it to start anew") from error


def _device_of(detector: Detector) -> torch.device:
    parameter = next(detector.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
