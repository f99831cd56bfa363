"""Prepares a run: resolves the names and settings of a command line into everything that it needs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from attacks.budgets import read_budget
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.in_run import NAME as MALAFIDE
from attacks.nes import FINITE, NES
from attacks.registry import ATTACKS, build_attack, describe_attack
from common.console import warn
from common.errors import InputError
from common.files import safe_name
from common.process_state import kept_process_state
from common.settings import override
from data.picture_transforms import parse_transforms
from data.source import open_frames
from detectors import Detector, Queries
from detectors.batch_size import AUTO, fastest, read_batch_size, usual
from detectors.consistency import probes, require_same_beside
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.randomised import layer_count
from detectors.registry import load
from runs.as_published import parse_differences
from runs.claims import require_deterministic
from runs.configuration import Configuration, describe_device, identify_detector, stored_batch_size, versions
from runs.earlier_names import renamed_protocol
from runs.filter_training import trained_attack
from runs.own_code import own_code
from runs.run_folder import RunFolder
from runs.run_options import DEFAULT_ATTACKS, EvaluationOptions
from runs.selection import Selection, demo_selection, select_frames
from runs.usable_attacks import PROTOCOL, WITHOUT_THRESHOLDS, UsableAttacks, names_thresholds, usable_on_first_frame
from scoring.baselines.table import RANDOM_MODEL
from scoring.frame import Scorer
from scoring.metrics.registry import METRICS, build_metrics, describe_metric
from scoring.protocol import EVERY, NONE, Protocol, chosen_baselines
from scoring.protocol import PRESETS as PROTOCOLS
from xai.explanation_settings import (
    STOPPING,
    ExplanationSettings,
    build_settings,
    describe_settings,
    parse_override,
    unsuitable,
)
from xai.methods import ADVERSARIAL, ALL, Method, parse_method, title
from xai.saved import SavedMaps
from xai.segments import parse_segments

LONGEST_NAME = 160
"""Characters of the methods' names in the names of a run's files, which have their kind and ending beside."""


@dataclass(frozen=True, eq=False)
class RunSetup:
    """A run that is ready to start."""

    name: str
    configuration: Configuration
    selection: Selection
    scorer: Scorer
    on_demo: bool


@kept_process_state("preparing the run")
def prepare_run(
    options: EvaluationOptions, keep_real: bool = False, folder: Path | None = None, as_written: bool = False
) -> RunSetup:
    """Resolves names and settings, opens the frames, loads the detector, and trains a filter where one is asked for.

    Args:
        options: what the user asked for.
        keep_real: whether real frames stay, although there is no fake verdict to explain.
        folder: of the run: the attack "malafide" is trained there first (`runs.filter_training`), and a run that is
            continued keeps the batch size that was measured for it.
        as_written: whether the attacks are taken as the options say, as a worker does with those of `settled`; else the
            detector's gradient is tried first, on the first frame (`attacks.derivatives`).

    Raises:
        InputError: anything is unknown, contradictory, missing or unreadable, or an attack does not suit the detector;
            before any work is done.
    """
    if options.as_published and tuple(options.attacks) == DEFAULT_ATTACKS:
        options = replace(options, attacks=DEFAULT_ATTACKS[:1])  # the published evaluation attacks with NES alone
    preset = options.preset or ("quick" if options.frames is None else "published")
    methods = chosen_methods(options.every_method)
    own, others = split_overrides(options.overrides, options.attacks)
    asked = {name: others.pop(name) for name in (*METRICS, *options.metrics) if name in others}
    metrics = build_metrics(options.metrics, preset, asked)
    protocol = chosen_protocol(preset, options.baselines, renamed_protocol(others.pop(PROTOCOL, {})))
    settings = build_settings(preset, with_stopping(others, options.until_stable), methods)
    later = {MALAFIDE} if folder is not None else set()
    attacks = {
        name: build_attack(name, preset, own.get(name, {}))
        for name in dict.fromkeys(options.attacks)
        if name not in later
    }
    budgets = tuple(read_budget(budget, "--budget") for budget in options.budgets)
    published = parse_differences(options.as_published, methods, options.attacks)
    if published.names:
        protocol = published.protocol(options, protocol)
    transforms = parse_transforms(options.survives)
    selection = open_selection(options, keep_real, fingerprinted=not as_written)
    require_maps(settings, selection)
    device = resolve_device(options.device)
    name, detector = open_detector(options)
    methods = published.methods(methods, settings, detector)
    settings, attacks = published.settings(settings, detector), published.attacks(attacks, detector)
    if device.type == "cpu":
        keep_freed_memory()
    batch_size = chosen_batch_size(options, detector, device, folder)
    Queries(detector, batch_size, options.precision)  # refuses what no frame could be scored with
    if not as_written:
        require_same_beside(detector, probes(detector), batch_size)
    if RANDOM_MODEL in protocol.baselines and not layer_count(detector):
        protocol = without_random_model(protocol, options, silent=as_written)
    filled = any(method.fill == ADVERSARIAL for method in methods)
    if not as_written:
        thresholds = bool(options.attacks) and protocol.finds_thresholds
        optional = DEFAULT_ATTACKS[1:] if tuple(options.attacks) == DEFAULT_ATTACKS else ()
        wanted = UsableAttacks(attacks, settings.adversarial if filled else None, thresholds, optional)
        usable = usable_on_first_frame(wanted, selection, detector, batch_size, unsuitable(settings, detector))
        attacks = dict(usable.attacks)
        settings = replace(settings, adversarial=usable.adversarial or settings.adversarial)
        if thresholds and not usable.flip_thresholds:
            protocol = replace(protocol, flip_thresholds=(NONE,))
        require_deterministic(methods, settings, selection, detector, batch_size)
    scorer = Scorer(
        detector, methods, settings, attacks, protocol, metrics, options.seed, options.seeds,
        divided(settings, options.segments), budgets, batch_size, options.precision, transforms, published.mark,
    )  # fmt: skip
    configuration = Configuration(
        preset=preset,
        methods=tuple(method.name for method in methods),
        settings=describe_settings(settings),
        attacks={name: describe_attack(attack) for name, attack in attacks.items()},
        protocol=asdict(protocol),
        metrics={name: describe_metric(metric) for name, metric in metrics.items()},
        segmentations=tuple(scorer.segmentations),
        budgets=budgets,
        survives=tuple(transform.name for transform in transforms),
        as_published=published.names,
        own_code=own_code(
            (name, *options.every_method, *attacks, *metrics),
            (*detector.modules(), *settings.explainers.values(), *attacks.values(), *metrics.values()),
        ),
        detector=identify_detector(name, detector),
        frames=selection.identity,
        seed=options.seed,
        seeds=options.seeds,
        batch_size=batch_size,
        precision=options.precision,
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions=versions(),
    )
    setup = RunSetup(files_name(options.every_method), configuration, selection, scorer, options.frames is None)
    if folder is not None and MALAFIDE in options.attacks:
        return with_trained_filter(setup, options, folder, own.get(MALAFIDE, {}))
    return setup


def settled(options: EvaluationOptions, setup: RunSetup) -> EvaluationOptions:
    """The options of a run with what was measured for it written out, so that no worker measures its own."""
    attacks = {**setup.scorer.attacks, ADVERSARIAL: setup.scorer.settings.adversarial}
    finite = {name: nes for name, nes in attacks.items() if isinstance(nes, NES) and nes.derivatives == FINITE}
    left_out = set(options.attacks) - {*setup.scorer.attacks, MALAFIDE}
    kept = (text for text in options.overrides if parse_override(text)[0] not in left_out)
    measured = [(f"{name}.derivatives={FINITE}", f"{name}.sigma={nes.sigma}") for name, nes in finite.items()]
    overrides = (*kept, *(text for texts in measured for text in texts))
    if not setup.scorer.protocol.finds_thresholds:
        overrides = (*(text for text in overrides if not names_thresholds(text)), WITHOUT_THRESHOLDS)
    names = tuple(name for name in options.attacks if name not in left_out)
    return replace(options, attacks=names, batch_size=str(setup.scorer.batch_size), overrides=overrides)


def with_trained_filter(
    setup: RunSetup, options: EvaluationOptions, folder: Path, overrides: Mapping[str, Any]
) -> RunSetup:
    """The same run with the attack "malafide", by a filter that is trained for it first, in its folder.

    Args:
        setup: the run without that attack.
        options: that it was made from.
        folder: of the run, where the filter is kept.
        overrides: settings of the training and of the attack, by name.

    Raises:
        InputError: there are no frames to train on, or the manipulations are not known.
    """
    configuration, scorer = setup.configuration, setup.scorer
    target = TargetDetector(
        Path(configuration.detector.name).stem.replace(":", "-"), scorer.detector, scorer.batch_size
    )
    attack = trained_attack(options, setup.selection, target, folder, configuration.preset, overrides)
    attacks = {**scorer.attacks, MALAFIDE: attack}
    described = {**configuration.attacks, MALAFIDE: {**describe_attack(attack), "attack": MALAFIDE}}  # wherever it lies
    names = list(dict.fromkeys(options.attacks))
    return replace(
        setup,
        scorer=replace(scorer, attacks={name: attacks[name] for name in names}),
        configuration=replace(configuration, attacks={name: described[name] for name in names}),
    )


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


def chosen_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods that the names stand for, each once.

    Raises InputError for an unknown name, and for two methods that tables would call the same.
    """
    wanted = dict.fromkeys(method for name in names for method in (ALL if name == EVERY else (name,)))
    methods = tuple(parse_method(name) for name in wanted)
    titles = [method.name for method in methods]
    if twice := [name for name in titles if titles.count(name) > 1]:
        raise InputError(f"two methods are called {twice[0]}: a saliency is named after its folder; rename the folder")
    return methods


def require_maps(settings: ExplanationSettings, selection: Selection) -> None:
    """Raises InputError where maps made elsewhere are of none of the run's frames."""
    for explainer in settings.explainers.values():
        if isinstance(explainer, SavedMaps) and selection.keys:
            explainer.require_any(selection.keys)


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


def without_random_model(protocol: Protocol, options: EvaluationOptions, silent: bool) -> Protocol:
    """The protocol without the baseline "random-model", said in a warning unless `silent`.

    Raises InputError where the options name it: there are no weights that could be drawn anew.
    """
    if RANDOM_MODEL in options.baselines:
        raise InputError(f"--baseline {RANDOM_MODEL}: {options.detector} has no weights that could be drawn anew")
    if not silent:
        warn(f"the baseline {RANDOM_MODEL} is left out: {options.detector} has no weights that could be drawn anew")
    return replace(protocol, baselines=tuple(name for name in protocol.baselines if name != RANDOM_MODEL))


def divided(settings: ExplanationSettings, texts: Sequence[str]) -> dict[str, ExplanationSettings]:
    """The settings for each way to divide frames, by its name. Raises InputError for a text that names none."""
    ways = [parse_segments(text) for text in texts]
    return {way.name: replace(settings, segments=way) for way in ways}


def results_name(methods: Sequence[str]) -> str:
    """What the files of a run of these methods are named after: the names joined by "+", safe in a file name.

    Of many names, the first and a hash of all of them: a file's name has room for 255 bytes.
    """
    name = safe_name("+".join(methods))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def files_name(names: Sequence[str]) -> str:
    """What the files of a run are named after: "All", or the titles of the methods joined by "+"."""
    return EVERY if EVERY in names else results_name([title(name) for name in dict.fromkeys(names)])


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
            raise InputError(f"{text}: the run does not use the attack {component}; add --attack {component}")
        kind.setdefault(component, {})[field] = value
    return own, others


def run_name(given: str | None, options: EvaluationOptions) -> str:
    """The name of the run's folder: as given, or by default after the frames and methods.

    Raises InputError for a name that is not a plain folder's.
    """
    if given is not None:
        return folder_name(given)
    name = files_name(options.every_method)
    base = "demo" if options.frames is None else "evaluation"
    return base if name == EVERY else f"{base}-{name}"


def folder_name(given: str) -> str:
    """The name of a run's folder. Raises InputError for one that is not a plain folder's."""
    if given in ("", ".", "..") or Path(given).name != given:
        raise InputError(f"--run {given!r} is not the name of a folder; --results says where the folders are")
    return given


def open_selection(options: EvaluationOptions, keep_real: bool = False, fingerprinted: bool = True) -> Selection:
    """The frames that the options name, with the real ones where asked for; see `select_frames`.

    Raises InputError for none.
    """
    if options.frames is not None:
        source = open_frames(options.frames, options.images, options.split)
        return select_frames(source, options.split, options.limit, keep_real, fingerprinted)
    for name, value in (("--images", options.images), ("--split", options.split)):
        if value is not None:
            raise InputError(f"{name} needs --frames: the demo's frames have their own")
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
