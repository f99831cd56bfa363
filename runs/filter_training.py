"""The filter of a run with `--attack malafide`: trained before the first frame is scored, kept in the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attacks.base import RegionAttack
from attacks.malafide.filter_dataset import TEST
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.in_run import NAME as MALAFIDE
from attacks.malafide.in_run import demo_training, index_training, run_settings, train_for_run
from attacks.registry import build_attack
from common.console import warn
from runs.run_options import EvaluationOptions
from runs.selection import Selection


def trained_attack(
    options: EvaluationOptions,
    selection: Selection,
    target: TargetDetector,
    folder: Path,
    preset: str,
    overrides: Mapping[str, Any],
) -> RegionAttack:
    """The attack by a filter that is trained for the run, on the training split of its frames.

    Args:
        options: of the run; its frames, or demo frames, are what the filter is trained on.
        selection: the frames that the run scores, and so the manipulations that the filter is for.
        target: the detector that the filter is trained against.
        folder: of the run, where the filter is kept and found again.
        preset: of the training, "quick", "published" or "efficient".
        overrides: settings of the training and of the attack, by name.

    Raises:
        InputError: there are no frames to train on, or the manipulations are not known.
    """
    settings = run_settings(preset, overrides)
    manipulations = selection.manipulations
    if options.frames is None:
        dataset = demo_training(manipulations, settings.limit)
    else:
        dataset = index_training(options.frames, options.images)
        if set(selection.keys) & {entry.key for entry in dataset.entries}:
            warn(f"the run scores frames that its filter is trained on; --split {TEST} leaves them out")
    stored = train_for_run(folder, target, dataset, manipulations, settings, options.seed)
    return build_attack(f"{MALAFIDE}:{stored.path}", preset, {"epsilon": settings.epsilon})
