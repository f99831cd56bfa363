"""Filters trained against one detector: what is shared between them, and the folder of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from rich.progress import Progress, TaskID

from attacks.malafide.filter import FilterSpec
from attacks.malafide.filter_dataset import FilterDataset, Halves, keys_sha256
from attacks.malafide.filter_files import Facts, StoredFilter, load, save
from attacks.malafide.filter_results import FilterCell, bind_identity, locked
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.known_filters import doubt, finished_in, is_best_of, is_earlier, keep_as_finished, was_made_by
from attacks.malafide.prepared_images import PreparedImages
from attacks.malafide.scores import eer, score
from attacks.malafide.training import TIME, FilterTraining, Trained, write_history
from common import log
from common.console import progress, warn
from common.errors import InputError
from data.frames import REAL
from data.sample import spread
from detectors.base import Detector
from detectors.checks.gradient_check import remarked_on_training
from detectors.training.loggers import training_logger

FILTERS = "the filters that are trained"
TRIED = 3
"""Fakes of a training, evenly spread, at which the detector's gradient is compared with finite differences."""


@dataclass(frozen=True, eq=False)
class TargetDetector:
    """The detector that an attack is made or tested against.

    Attributes:
        name: in the results.
        detector: ready to be queried.
        batch_size: images in a forward pass.
    """

    name: str
    detector: Detector
    batch_size: int = 32


class Fitting:
    """Trains filters against one target detector on the training half of some frames.

    The reals are read and scored once for all filters, the fakes once for all filters of their manipulations.
    """

    def __init__(
        self,
        target_detector: TargetDetector,
        dataset: FilterDataset,
        halves: Halves,
        limit: int | None = None,
        logger: str | None = None,
    ) -> None:
        """Keeps what the filters share; nothing is read yet.

        Args:
            target_detector: what the filters are trained against.
            dataset: the frames.
            halves: positions in the dataset; those of `train` are trained on.
            limit: frames of each family at most, at least 1; None for all.
            logger: where the curves are logged as well (`detectors.training.loggers`); None for nowhere.
        """
        self.target_detector, self.dataset, self.halves, self.limit = target_detector, dataset, halves, limit
        self.logger = logger
        self._fakes: tuple[tuple[str, ...], PreparedImages, float] | None = None
        self._misleads = False  # the gradient, as was said

    @cached_property
    def reals(self) -> tuple[PreparedImages, np.ndarray]:
        """The real frames, and their scores."""
        images = self._prepare([REAL], "real frames")
        return images, score(self.target_detector.detector, images, self.target_detector.batch_size)

    def fakes(self, manipulations: tuple[str, ...]) -> tuple[PreparedImages, float]:
        """The fakes of some manipulations, and the equal error rate of the detector on them."""
        if self._fakes is None or self._fakes[0] != manipulations:
            self._fakes = None  # before the next ones are read
            images = self._prepare(manipulations, f"{' and '.join(manipulations)} fakes")
            scores = score(self.target_detector.detector, images, self.target_detector.batch_size)
            self._fakes = (manipulations, images, eer(scores, self.reals[1]).rate)
        return self._fakes[1], self._fakes[2]

    def fit(
        self, cell: FilterCell, manipulations: tuple[str, ...], spec: FilterSpec, settings: FilterTrainingSettings
    ) -> StoredFilter:
        """The filter of a cell, trained now, or gone on with, or finished before.

        A file in its place that is not the filter which was finished there is made anew, from last.ckpt where that is,
        with a warning.

        Args:
            cell: the folder of the filter; one process at a time works in it.
            manipulations: the families whose fakes the filter is trained on.
            spec: what kind of filter.
            settings: how it is trained.

        Raises:
            InputError: the cell's folder was made with other settings, on other frames or another detector; or frames
                cannot be read, there are none, the detector gives no gradient, or the logger is not there.
        """
        identity = self._identity(manipulations)
        with locked(cell.folder):
            made_by = FilterTraining.identity_of(spec, settings, identity)
            free = {"max_minutes": settings.max_minutes, "torch": version("torch"), "numpy": version("numpy")}
            before = bind_identity(cell.config, made_by, free)
            finished = self._finished(cell, before, settings)
            if finished is not None:
                return finished
            images, clean = self.fakes(manipulations)
            self._remark_on_gradient(images)
            with training_logger(self.logger, cell.folder) as curves, progress("epoch") as bar:
                task = bar.add_task(_described(cell), total=settings.epochs)
                trained = self._train(cell, images, spec, settings, identity, bar, task, curves)
            save(cell.filter, trained.filter, self._facts(manipulations, settings, trained, clean, len(images)))
            stored = load(cell.filter)
            keep_as_finished(cell.config, stored, settings.max_minutes)
            return stored

    def _remark_on_gradient(self, images: PreparedImages) -> None:
        """Warns, once, where the detector's gradient at some of the fakes is not what moves its verdict."""
        tried = (images.at([index])[0] for index in spread(len(images), TRIED))
        self._misleads = self._misleads or remarked_on_training(self.target_detector.detector, (FILTERS,), tried)

    def _train(
        self,
        cell: FilterCell,
        images: PreparedImages,
        spec: FilterSpec,
        settings: FilterTrainingSettings,
        identity: dict[str, Any],
        bar: Progress,
        task: TaskID,
        curves: Logger | None,
    ) -> Trained:
        training = FilterTraining(
            self.target_detector.detector,
            images,
            self.reals[1],
            spec,
            settings,
            cell.checkpoint,
            identity,
            on_step=lambda done: bar.update(task, completed=round(done * settings.epochs, 1)),
        )
        bar.update(task, completed=training.epoch)
        for row in training:
            bar.update(task, description=f"{_described(cell)}  EER {100 * row['eer']:.1f} %  {row['psnr']:.1f} dB")
            write_history(cell.history, training.history)
            if curves is not None:
                curves.log_metrics(row, step=round(row["epoch"]))
            log.info(f"{_described(cell)}: " + ", ".join(f"{name} {value}" for name, value in row.items()))
        write_history(cell.history, training.history)  # all were done already, where the process ended before this
        return training.result()

    def _finished(
        self, cell: FilterCell, before: dict[str, Any] | None, settings: FilterTrainingSettings
    ) -> StoredFilter | None:
        """The filter of an earlier call, unless the time had cut it short and there is more now."""
        stored = None if before is None else self._known(cell, before)
        if before is None or stored is None or stored.facts is None or stored.facts.ended != TIME:
            return stored
        known = finished_in(before)  # the limit of a call that was killed since is no finished filter's
        had, has = known.max_minutes if known else before.get("max_minutes"), settings.max_minutes
        return stored if has is not None and had is not None and has <= had else None

    def _known(self, cell: FilterCell, before: dict[str, Any]) -> StoredFilter | None:
        """The filter that was finished in a cell, or None where there is none, or another or a damaged one."""
        if not cell.filter.is_file():
            return None
        try:
            stored = load(cell.filter)
        except InputError as error:
            warn(f"{error}: it is made anew")
            return None
        known = finished_in(before)
        best = is_best_of(cell.checkpoint, stored, before) if known is None else stored.sha256 == known.sha256
        if best is None and is_earlier(before) and self._could_have_made(stored, before):
            warn(f"{doubt(cell.filter)}; remove it to have it made anew")
            return stored
        if not best:
            warn(f"{cell.filter} is not known to be the filter that was finished here: it is made anew")
            return None
        if known is None:  # of an earlier version, or the process ended before it was said
            keep_as_finished(cell.config, stored, before.get("max_minutes"))
        return stored

    def _could_have_made(self, stored: StoredFilter, before: dict[str, Any]) -> bool:
        """Whether what a filter says of its training is what would be said of one with these frames and detector."""
        facts = stored.facts
        if facts is None or not was_made_by(stored, before):
            return False
        here = (
            str(self.target_detector.detector.weights_sha256),
            keys_sha256(self.dataset.entries, self.halves.train),
            len(self._positions(facts.manipulations)),
            len(self._positions([REAL])),
        )
        return here == (facts.detector_sha256, facts.frames_sha256, facts.fakes, facts.reals)

    def _prepare(self, families: Sequence[str], what: str) -> PreparedImages:
        positions = self._positions(families)
        return PreparedImages(self.dataset, positions, self.target_detector.detector, what)

    def _positions(self, families: Sequence[str]) -> list[int]:
        """The training frames of some families, of each at most as many as the limit says."""
        chosen = (self.dataset.limited(self.dataset.of([f], self.halves.train), self.limit) for f in families)
        return sorted(position for positions in chosen for position in positions)

    def _identity(self, manipulations: tuple[str, ...]) -> dict[str, Any]:
        """What decides a training besides its settings."""
        detector = self.target_detector.detector
        return {
            "detector": self.target_detector.name,
            "detector_sha256": detector.identity,
            "input_size": detector.input_size,
            "manipulations": list(manipulations),
            "split_by": self.halves.way,
            "limit": self.limit,
            "frames": self.dataset.fingerprint(self._positions([REAL, *manipulations])),
        }

    def _facts(
        self,
        manipulations: tuple[str, ...],
        settings: FilterTrainingSettings,
        trained: Trained,
        clean: float,
        fakes: int,
    ) -> Facts:
        return Facts(
            trained_on=self.target_detector.name,
            detector_sha256=str(self.target_detector.detector.weights_sha256),
            input_size=self.target_detector.detector.input_size,
            manipulations=manipulations,
            split=self.halves.way,
            frames_sha256=keys_sha256(self.dataset.entries, self.halves.train),
            seed=settings.seed,
            fakes=fakes,
            reals=len(self.reals[0]),
            clean_eer=clean,
            epochs=trained.epochs,
            best_epoch=trained.best_epoch,
            eer=trained.eer,
            loss=trained.loss,
            ended=trained.ended,
        )


def cell_of(root: Path, target_detector: TargetDetector, manipulations: Sequence[str], spec: FilterSpec) -> FilterCell:
    """The folder of a filter: by its target detector, its manipulations and its kind.

    Args:
        root: the folder of the results.
        target_detector: what the filter is trained against; its name counts.
        manipulations: the families whose fakes it is trained on, joined by "+" in the folder's name.
        spec: its kind, whose label names the folder.
    """
    return FilterCell(root, target_detector.name, "+".join(manipulations), spec.label)


def _described(cell: FilterCell) -> str:
    return f"{cell.manipulation} {cell.label}"
