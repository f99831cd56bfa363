"""A filter trained for a run of `evaluate.py --attack malafide`, on frames that the run does not score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks.base import RegionAttack
from attacks.malafide.fidelity import LINF, Fidelity
from attacks.malafide.filter import FilterSpec
from attacks.malafide.filter_dataset import TRAIN, FilterDataset, Halves, demo_dataset, open_dataset
from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.fitting import Fitting, TargetDetector, cell_of
from common.console import say
from common.errors import InputError
from common.settings import override
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, REAL

NAME = "malafide"


@dataclass(frozen=True)
class RunSettings:
    """How the filter of a run is trained and used: `--set malafide.size=27`.

    Attributes:
        epsilon: the attack's L-infinity budget in pixel units, which the filter is trained to keep.
        size: of the filter, odd.
        epochs: passes over the fakes, at most.
        max_minutes: the training ends after this time.
        limit: frames of each family at most; 0 for all.
    """

    epsilon: float = RegionAttack.epsilon
    size: int = 9
    epochs: int = 100
    max_minutes: float = math.inf
    limit: int = 0


PRESETS: Mapping[str, RunSettings] = {
    "published": RunSettings(),
    "efficient": RunSettings(),
    "quick": RunSettings(epochs=10, limit=12),
}


def run_settings(preset: str, overrides: Mapping[str, Any]) -> RunSettings:
    """A preset's settings with those that the user set. Raises InputError for one that there is not."""
    return override(PRESETS[preset], overrides, NAME)


def demo_training(manipulations: Sequence[str], limit: int) -> FilterDataset:
    """Demo frames of people that are in no run: `limit` of each family, or 12."""
    families = [REAL, *(name for name in CLASS_NAMES if name in manipulations)]
    return demo_dataset(DemoFrames((limit or 12) * len(families), 0, TRAIN, families, frames_per_video=1))


def index_training(frames: Path, images: Path | None) -> FilterDataset:
    """The frames of an index's split `train`. Raises InputError where it has none."""
    try:
        return open_dataset(frames, images, TRAIN)
    except InputError as error:
        raise InputError(
            f"--attack malafide trains its filter on frames of the split {TRAIN!r} first: {error}; "
            "add them, or name a trained filter as malafide:FILTER"
        ) from error


def train_for_run(
    folder: Path,
    target_detector: TargetDetector,
    dataset: FilterDataset,
    manipulations: Sequence[str],
    settings: RunSettings,
    seed: int,
) -> StoredFilter:
    """One filter for all of a run's manipulations, kept in the run's folder; trained once, gone on with if cut short.

    Its changes are within the L-infinity ball that the attack may use, so that little of it is lost on regions.

    Args:
        folder: the run's folder.
        target_detector: the run's detector.
        dataset: the frames to train on, all of them; none that the run scores.
        manipulations: the families of the run's fakes.
        settings: how the filter is trained and used.
        seed: of the first coefficients and the order of the frames.

    Raises:
        InputError: the run's frames have no known manipulation, the training frames no real ones or none of a
            manipulation, or the training fails.
    """
    if not manipulations:
        raise InputError("--attack malafide: the frames' manipulations are not known; name a filter as malafide:FILTER")
    missing = sorted({REAL, *manipulations} - {entry.family for entry in dataset.entries if entry.family})
    if missing:
        raise InputError(
            f"--attack malafide: the split {TRAIN!r} has no frames of {', '.join(missing)} to train a filter on; "
            "add them, or name a trained filter as malafide:FILTER"
        )
    spec = FilterSpec(settings.size, fidelity=Fidelity(LINF, settings.epsilon))
    minutes = None if math.isinf(settings.max_minutes) else settings.max_minutes
    training = FilterTrainingSettings(
        epochs=settings.epochs, max_minutes=minutes, batch_size=target_detector.batch_size, seed=seed
    )
    together = f"one filter for {' and '.join(manipulations)}" + (" together" if len(manipulations) > 1 else "")
    say(f"Attack malafide: {together}, {spec.size} x {spec.size}, trained on the split {TRAIN!r} first.")
    halves = Halves(tuple(range(len(dataset.entries))), (), "index")
    fitting = Fitting(target_detector, dataset, halves, settings.limit or None)
    cell = cell_of(folder / NAME, target_detector, manipulations, spec)
    stored = fitting.fit(cell, tuple(manipulations), spec, training)
    if stored.facts is not None:
        say(f"Its training EER went from {100 * stored.facts.clean_eer:.1f} to {100 * stored.facts.eer:.1f} %.")
    return stored
