"""From the names on a command line to everything that a run needs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from attacks.base import RegionAttack
from attacks.malafide.fitting import Opponent
from attacks.malafide.in_run import NAME as MALAFIDE
from attacks.malafide.in_run import demo_training, index_training, run_settings, train_for_run
from attacks.malafide.material import TEST
from attacks.registry import ATTACKS
from attacks.registry import build as build_attack
from attacks.registry import describe as describe_attack
from common.console import warn
from common.errors import InputError
from common.settings import override
from data.source import open_frames
from detectors import Detector, Queries
from detectors.batch_size import AUTO, BatchSize, fastest, usual
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.registry import load
from scoring.config import Configuration, describe_device, identify_detector, stored_batch_size, versions
from scoring.folder import Folder
from scoring.frame import Scorer
from scoring.metrics.registry import METRICS
from scoring.metrics.registry import build_all as build_metrics
from scoring.metrics.registry import describe as describe_metric
from scoring.protocol import PRESETS as PROTOCOLS
from scoring.protocol import Protocol, chosen_arms
from scoring.selection import Selection, demo, select
from scoring.tables import results_name
from xai.methods import ALL, Method, parse, title
from xai.segments import parse as parse_segments
from xai.settings import Settings, parse_override
from xai.settings import build as build_settings
from xai.settings import check as check_settings
from xai.settings import describe as describe_settings

EVERY = "All"
PROTOCOL = "protocol"  # the component that `--set protocol.draws=5` overrides


@dataclass(frozen=True)
class Options:
    """What the user asked for; None stands for the default.

    Attributes:
        methods: "All", or names of methods.
        frames: an index file or a folder of pictures; None for the demo's frames.
        images: the store or folder that the index's images are in.
        detector: a detector's name or checkpoint file; None for the demo's.
        checkpoint: the weights of a detector given by name.
        positive: what a high logit means, "fake" or "real", of a network with just one; None for what it says itself.
        attacks: names of attacks.
        split: of the index.
        limit: how many frames at most.
        seed: of every draw.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: images in a forward pass, or "auto" for what is measured to be fastest; None for that on a GPU,
            and a fixed number on a CPU.
        precision: of the explanations' forward passes.
        preset: of the settings; None for "quick" on the demo's frames, "published" on others.
        overrides: COMPONENT.FIELD=VALUE, each.
        metrics: names of standard metrics, "All", or nothing.
        arms: reference arms, "All" or "none"; nothing for the preset's.
        seeds: how many repeats with new draws.
        segments: ways to divide frames, as `xai.segments.parse` reads them; nothing for the settings' own.
        budgets: L-infinity budgets of every attack; nothing for their own.
    """

    methods: Sequence[str] = (EVERY,)
    frames: Path | None = None
    images: Path | None = None
    detector: str | None = None
    checkpoint: Path | None = None
    positive: str | None = None
    attacks: Sequence[str] = ("nes",)
    split: str | None = None
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: BatchSize | None = None
    precision: str = "float32"
    preset: str | None = None
    overrides: Sequence[str] = ()
    metrics: Sequence[str] = ()
    arms: Sequence[str] = ()
    seeds: int = 1
    segments: Sequence[str] = ()
    budgets: Sequence[float] = ()


@dataclass(frozen=True, eq=False)
class Setup:
    """A run that is ready to start."""

    name: str
    configuration: Configuration
    selection: Selection
    scorer: Scorer
    on_demo: bool


def prepare(options: Options, keep_real: bool = False, folder: Path | None = None) -> Setup:
    """Resolves every name and setting, opens the frames and loads the detector.

    Real frames are left out unless `keep_real`, as there is no fake verdict to explain. The attack "malafide" is
    trained first, in the run's `folder`, and a batch size that was measured for a run is taken again where that goes
    on. Raises InputError for anything unknown, contradictory, missing or unreadable, before any work is done.
    """
    on_demo = options.frames is None
    preset = options.preset or ("quick" if on_demo else "published")
    methods = chosen_methods(options.methods)
    own, others = split_overrides(options.overrides, options.attacks)
    asked = {name: others.pop(name) for name in METRICS if name in others}
    metrics = build_metrics(options.metrics, preset, asked)
    protocol = chosen_protocol(preset, options.arms, others.pop(PROTOCOL, {}))
    settings = build_settings(preset, others, methods)
    names = list(dict.fromkeys(options.attacks))
    later = {MALAFIDE} if folder is not None else set()
    built = {name: build_attack(name, preset, own.get(name, {})) for name in names if name not in later}
    selection = open_selection(options, keep_real)
    device = resolve_device(options.device)
    name, detector = open_detector(options)
    check_settings(settings, detector)
    if device.type == "cpu":
        keep_freed_memory()
    batch_size = chosen_batch_size(options, detector, device, folder)
    Queries(detector, batch_size, options.precision)  # refuses what no frame could be scored with
    described = {each: describe_attack(attack) for each, attack in built.items()}
    if folder is not None and MALAFIDE in names:
        opponent = Opponent(Path(name).stem.replace(":", "-"), detector, batch_size)
        built[MALAFIDE] = _trained(options, selection, opponent, folder, preset, own.get(MALAFIDE, {}))
        described[MALAFIDE] = {**describe_attack(built[MALAFIDE]), "attack": MALAFIDE}  # wherever the folder lies
        built = {each: built[each] for each in names}
    scorer = Scorer(
        detector,
        methods,
        settings,
        built,
        protocol,
        metrics,
        options.seed,
        options.seeds,
        divided(settings, options.segments),
        tuple(options.budgets),
        batch_size,
        options.precision,
    )
    configuration = Configuration(
        preset=preset,
        methods=tuple(method.name for method in methods),
        settings=describe_settings(settings),
        attacks=described,
        protocol=asdict(protocol),
        metrics={name: describe_metric(metric) for name, metric in metrics.items()},
        segmentations=tuple(scorer.segmentations),
        budgets=scorer.budgets,
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
    return Setup(files_name(options.methods), configuration, selection, scorer, on_demo)


def _trained(
    options: Options, selection: Selection, opponent: Opponent, folder: Path, preset: str, overrides: Mapping[str, Any]
) -> RegionAttack:
    """The attack by a filter that is trained for the run, on the training split of its frames."""
    settings = run_settings(preset, overrides)
    manipulations = selection.manipulations
    if options.frames is None:
        material = demo_training(manipulations, settings.limit)
    else:
        material = index_training(options.frames, options.images)
        if set(selection.keys) & {entry.key for entry in material.entries}:
            warn(f"the run scores frames that its filter is trained on; --split {TEST} leaves them out")
    stored = train_for_run(folder, opponent, material, manipulations, settings, options.seed)
    return build_attack(f"{MALAFIDE}:{stored.path}", preset, {"epsilon": settings.epsilon})


def chosen_batch_size(options: Options, detector: Detector, device: torch.device, folder: Path | None) -> int:
    """How many images a forward pass takes: as asked; else as the run in `folder` was begun with, or as measured."""
    asked = usual(device) if options.batch_size is None else options.batch_size
    if asked != AUTO:
        return asked
    begun = None if folder is None else stored_batch_size(Folder(folder).config)
    return begun or fastest(detector, device, options.precision)


def chosen_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods that the names stand for, each once.

    Raises InputError for an unknown name, and for two methods that tables would call the same.
    """
    wanted = dict.fromkeys(each for name in names for each in (ALL if name == EVERY else (name,)))
    methods = tuple(parse(name) for name in wanted)
    titles = [method.name for method in methods]
    if twice := [name for name in titles if titles.count(name) > 1]:
        raise InputError(f"two methods are called {twice[0]}: a saliency is named after its folder; rename the folder")
    return methods


def chosen_protocol(preset: str, arms: Sequence[str], overrides: Mapping[str, Any]) -> Protocol:
    """The preset's protocol with the arms asked for and the overrides. Raises InputError for what it does not know."""
    if preset not in PROTOCOLS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PROTOCOLS)}")
    return override(replace(PROTOCOLS[preset], arms=chosen_arms(arms, preset)), overrides, PROTOCOL)


def divided(settings: Settings, texts: Sequence[str]) -> dict[str, Settings]:
    """The settings for each way to divide frames, by its name. Raises InputError for a text that names none."""
    ways = [parse_segments(text) for text in texts]
    return {way.name: replace(settings, segments=way) for way in ways}


def files_name(names: Sequence[str]) -> str:
    """What the files of a run are named after: "All", or the methods joined by "+"."""
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


def run_name(given: str | None, options: Options) -> str:
    """The name of the run's folder: as given, or by default after the frames and methods.

    Raises InputError for a name that is not a plain folder's.
    """
    if given is not None:
        return folder_name(given)
    name = files_name(options.methods)
    base = "demo" if options.frames is None else "evaluation"
    return base if name == EVERY else f"{base}-{name}"


def folder_name(given: str) -> str:
    """The name of a run's folder. Raises InputError for one that is not a plain folder's."""
    if given in ("", ".", "..") or Path(given).name != given:
        raise InputError(f"--run {given!r} is not the name of a folder; --results says where the folders are")
    return given


def open_selection(options: Options, keep_real: bool = False) -> Selection:
    """The frames that the options name, with the real ones where asked for. Raises InputError for none."""
    if options.frames is not None:
        source = open_frames(options.frames, options.images, options.split)
        return select(source, options.split, options.limit, keep_real)
    for name, value in (("--images", options.images), ("--split", options.split)):
        if value is not None:
            raise InputError(f"{name} needs --frames: the demo's frames have their own")
    return demo(options.limit)


def open_detector(options: Options) -> tuple[str, Detector]:
    """The detector that the options name, and its name. Raises InputError where there is none, or none is named."""
    if options.detector is not None:
        return options.detector, load(options.detector, options.checkpoint, options.device, positive=options.positive)
    if options.checkpoint is not None:
        return options.checkpoint.name, load(str(options.checkpoint), None, options.device, positive=options.positive)
    if options.frames is not None:
        raise InputError("--frames needs --detector, a name or a checkpoint: the demo's detector knows demo faces only")
    return "demo", load("demo", None, options.device, positive=options.positive)
