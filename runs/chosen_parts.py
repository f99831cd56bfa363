"""What the options of a command name, one by one: frames, detector, methods, protocol, overrides, batch size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from attacks.budgets import read_budget
from attacks.malafide.in_run import NAME as MALAFIDE
from attacks.registry import ATTACKS, BUDGET
from common.console import warn
from common.errors import InputError
from common.settings import override
from data.source import open_frames, refuse_without_frames
from detectors import Detector
from detectors.batch_size import AUTO, fastest, read_batch_size, usual
from detectors.randomised import layer_count
from detectors.registry import load
from runs.configuration import stored_batch_size
from runs.run_folder import RunFolder
from runs.run_options import EvaluationOptions
from runs.selection import Selection, demo_selection, select_frames
from runs.usable_attacks import PROTOCOL
from scoring.baselines.table import BASELINES, RANDOM_MODEL
from scoring.protocol import EVERY, Protocol, chosen_baselines
from scoring.protocol import PRESETS as PROTOCOLS
from xai.explanation_settings import STOPPING, ExplanationSettings, parse_override
from xai.methods import ALL, Method, parse_method
from xai.saved import SavedMaps
from xai.segments import parse_segments


def open_selection(options: EvaluationOptions, keep_real: bool = False, fingerprinted: bool = True) -> Selection:
    """The frames that the options name, with the real ones where asked for; see `select_frames`.

    Raises InputError for none.
    """
    if options.frames is not None:
        source = open_frames(options.frames, options.images, options.split)
        return select_frames(source, options.split, options.limit, keep_real, fingerprinted)
    refuse_without_frames(options.images, options.split)
    return demo_selection(options.limit)


def open_detector(options: EvaluationOptions) -> tuple[str, Detector]:
    """The detector that the options name, and its name. Raises InputError where there is none, or none is named."""
    if options.detector is not None:
        return options.detector, load(
            options.detector, options.checkpoint, options.device, conventions=options.said_of_detector
        )
    if options.checkpoint is not None:
        return options.checkpoint.name, load(
            str(options.checkpoint), None, options.device, conventions=options.said_of_detector
        )
    if options.frames is not None:
        raise InputError("--frames needs --detector, a name or a checkpoint: the demo's detector knows demo faces only")
    return "demo", load("demo", None, options.device, conventions=options.said_of_detector)


def chosen_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods that the names stand for, each once.

    Raises InputError for an unknown name, for two methods that tables would call the same, and for one that they would
    call as a baseline.
    """
    wanted = dict.fromkeys(method for name in names for method in (ALL if name == EVERY else (name,)))
    methods = tuple(parse_method(name) for name in wanted)
    titles = [method.name for method in methods]
    if twice := [name for name in titles if titles.count(name) > 1]:
        raise InputError(f"two methods are called {twice[0]}: a saliency is named after its folder; rename the folder")
    if taken := [name for name in titles if name in BASELINES]:
        raise InputError(
            f"a method would be called {taken[0]}, as a baseline is: a saliency is named after its folder; rename the "
            "folder"
        )
    return methods


def split_overrides(
    texts: Sequence[str], attack_names: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Overrides by component: those of the run's attacks, and those of the explanations.

    Raises InputError for a text that is not COMPONENT.FIELD=VALUE.
    """
    own: dict[str, dict[str, Any]] = {}
    others: dict[str, dict[str, Any]] = {}
    for text in texts:
        component, field, value = parse_override(text)
        kind = own if component in attack_names else others
        if component in ATTACKS and component not in attack_names:
            if not attack_names:
                raise InputError(f"{text}: this command takes no settings of attacks")
            raise InputError(f"{text}: the run does not use the attack {component}; add --attack {component}")
        kind.setdefault(component, {})[field] = value
    return own, others


def with_stopping(
    overrides: Mapping[str, Mapping[str, str]], until_stable: float | None
) -> dict[str, Mapping[str, Any]]:
    """The overrides of the explanations' settings, with that of --until-stable. Raises InputError where both set it."""
    if until_stable is None:
        return dict(overrides)
    given = overrides.get(STOPPING, {})
    if "probability" in given:
        raise InputError("--until-stable and --set stopping.probability say the same: give only one of them")
    if not 0 < until_stable <= 1:
        raise InputError(f"--until-stable must be above 0 and at most 1, got {until_stable:g}")
    return {**overrides, STOPPING: {**given, "probability": until_stable}}


def chosen_protocol(preset: str, baselines: Sequence[str], overrides: Mapping[str, Any]) -> Protocol:
    """The preset's protocol with the baselines asked for and the overrides. Raises InputError for an unknown name."""
    if preset not in PROTOCOLS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PROTOCOLS)}")
    return override(replace(PROTOCOLS[preset], baselines=chosen_baselines(baselines, preset)), overrides, PROTOCOL)


def no_random_model(
    options: EvaluationOptions,
    protocol: Protocol,
    detector: Detector,
    methods: Sequence[Method],
    settings: ExplanationSettings,
) -> str:
    """Why no method can explain a detector with random weights; "" where one can, or the protocol has no such one."""
    if RANDOM_MODEL not in protocol.baselines:
        return ""
    if not layer_count(detector):
        return f"{options.detector} has no weights that could be drawn anew"
    return "maps from files cannot be made anew" if all(map(settings.is_kept, methods)) else ""


def without_random_model(protocol: Protocol, options: EvaluationOptions, reason: str, silent: bool) -> Protocol:
    """The protocol without the baseline "random-model", said with the `reason` in a warning unless `silent`.

    Raises InputError where the options name it.
    """
    if RANDOM_MODEL in options.baselines:
        raise InputError(f"--baseline {RANDOM_MODEL}: {reason}")
    if not silent:
        warn(f"the baseline {RANDOM_MODEL} is left out: {reason}")
    return replace(protocol, baselines=tuple(name for name in protocol.baselines if name != RANDOM_MODEL))


def chosen_budgets(texts: Sequence[str], overrides: Mapping[str, Mapping[str, Any]]) -> tuple[float, ...]:
    """The budgets of every attack, each once, the main one first.

    Raises InputError for a text that is none, and where `overrides`, by attack, give one a budget as well; that of
    "malafide" is what its filter is trained with.
    """
    twice = [name for name, values in overrides.items() if BUDGET in values and name != MALAFIDE]
    if texts and twice:
        raise InputError(f"--budget and --set {twice[0]}.{BUDGET} say the same: give only one of them")
    return tuple(dict.fromkeys(read_budget(text, "--budget") for text in texts))


def divided(
    settings: ExplanationSettings, texts: Sequence[str], overrides: Mapping[str, Any]
) -> dict[str, ExplanationSettings]:
    """The settings for each way to divide frames, by its name; how it is done otherwise is as in `settings`.

    Raises InputError for a text that names none, and where `overrides` of the segments say what the texts say.
    """
    twice = [name for name in ("count", "kind") if name in overrides]
    if texts and twice:
        raise InputError(f"--segments and --set segments.{twice[0]} say the same: give only one of them")
    ways = [parse_segments(text) for text in texts]
    return {
        way.name: replace(settings, segments=replace(settings.segments, count=way.count, kind=way.kind)) for way in ways
    }


def require_maps(settings: ExplanationSettings, selection: Selection) -> None:
    """Raises InputError where maps made elsewhere are of none of the run's frames."""
    for explainer in settings.explainers.values():
        if isinstance(explainer, SavedMaps) and selection.keys:
            explainer.require_any(selection.keys)


def chosen_batch_size(options: EvaluationOptions, detector: Detector, device: torch.device, folder: Path | None) -> int:
    """How many images a forward pass takes: as asked; else as the run in `folder` was begun with, or as measured.

    Args:
        options: the batch size that was asked for, and the precision of a measurement.
        detector: whose forward passes are timed.
        device: where it runs; where nothing is asked for, a CPU has a fixed batch size.
        folder: of the run; None where there is none to continue.

    Raises:
        InputError: the batch size that was asked for is neither a positive number nor "auto".
    """
    asked = read_batch_size(options.batch_size) or usual(device)
    if asked != AUTO:
        return asked
    begun = None if folder is None else stored_batch_size(RunFolder(folder).config)
    return begun or fastest(detector, device, options.precision)
