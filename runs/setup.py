"""Prepares a run: resolves the names and settings of a command line into everything that it needs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from attacks.malafide.fitting import TargetDetector
from attacks.malafide.in_run import NAME as MALAFIDE
from attacks.nes import FINITE, NES
from attacks.registry import build_attack, describe_attack
from common.errors import InputError
from common.process_state import kept_process_state
from data.picture_transforms import parse_transforms
from detectors import Queries
from detectors.checks.consistency import probes, require_same_beside, require_same_in
from detectors.checks.foreign_tensors import remark_foreign_tensors
from detectors.checks.fresh_process import require_same_in_fresh_process
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.registry import loaded_as
from runs.as_published import parse_differences
from runs.chosen_parts import (
    chosen_batch_size,
    chosen_budgets,
    chosen_methods,
    chosen_protocol,
    divided,
    no_random_model,
    open_detector,
    open_selection,
    require_maps,
    split_overrides,
    with_stopping,
    without_random_model,
)
from runs.configuration import Configuration, describe_device, identify_detector, versions
from runs.earlier_names import renamed_protocol
from runs.filter_training import trained_attack
from runs.first_given import FirstGiven
from runs.own_code import own_code
from runs.own_parts import try_own_parts
from runs.run_names import files_name
from runs.run_options import DEFAULT_ATTACKS, EvaluationOptions
from runs.selection import Selection
from runs.unused_settings import warn_of_unused, warn_of_unused_protocol
from runs.usable_attacks import (
    PROTOCOL,
    WITHOUT_THRESHOLDS,
    UsableAttacks,
    first_frame,
    names_thresholds,
    usable_on_first_frame,
)
from scoring.frame import Scorer
from scoring.metrics.registry import METRICS, build_metrics, describe_metric
from scoring.protocol import NONE
from xai.explanation_settings import (
    build_settings,
    describe_settings,
    parse_override,
    unsuitable,
)
from xai.methods import ADVERSARIAL


@dataclass(frozen=True, eq=False)
class RunSetup:
    """A run that is ready to start.

    Attributes:
        name: what its files are called.
        configuration: for its folder.
        selection: of its frames.
        scorer: of a frame.
        on_demo: whether the frames are the demo's.
        given: what its own parts gave of the first frame; None without own parts, and where they were not tried.
    """

    name: str
    configuration: Configuration
    selection: Selection
    scorer: Scorer
    on_demo: bool
    given: FirstGiven | None = None

    def require_same_in_fresh_process(self) -> None:
        """Raises InputError where the detector says of some of the frames otherwise in a process that knows none."""
        frames = self.selection
        require_same_in_fresh_process(self.scorer.detector, len(frames.keys), lambda index: frames.frame(index).image)


@kept_process_state("preparing the run")
def prepare_run(
    options: EvaluationOptions,
    keep_real: bool = False,
    folder: Path | None = None,
    as_written: bool = False,
    like: RunSetup | None = None,
) -> RunSetup:
    """Resolves names and settings, opens the frames, loads the detector, and trains a filter where one is asked for.

    Args:
        options: what the user asked for.
        keep_real: whether real frames stay, although there is no fake verdict to explain.
        folder: of the run: the attack "malafide" is trained there first (`runs.filter_training`), and a run that is
            continued keeps the batch size that was measured for it.
        as_written: whether the attacks are taken as the options say, as a worker does with those of `settled`; else the
            detector's gradient is tried first, on the first frame (`attacks.derivatives`).
        like: a run of the same frames and detector, which are then not opened once more.

    Raises:
        InputError: anything is unknown, contradictory, missing or unreadable, or an attack does not suit the detector;
            before any work is done.
    """
    if options.as_published and tuple(options.attacks) == DEFAULT_ATTACKS:
        options = replace(options, attacks=DEFAULT_ATTACKS[:1])  # the published evaluation attacks with NES alone
    begun = own_code((options.detector or "", *options.every_method, *options.attacks, *options.metrics), ())
    preset = options.preset or ("quick" if options.frames is None else "published")
    methods = chosen_methods(options.every_method)
    own, others = split_overrides(options.overrides, options.attacks)
    asked = {name: others.pop(name) for name in (*METRICS, *options.metrics) if name in others}
    metrics = build_metrics(options.metrics, preset, asked)
    if PROTOCOL in others and not options.attacks:
        raise InputError(f"--set {PROTOCOL}.{next(iter(others[PROTOCOL]))}: this command attacks no regions")
    asked_of_protocol = renamed_protocol(others.pop(PROTOCOL, {}))
    protocol = planned = chosen_protocol(preset, options.baselines, asked_of_protocol)
    settings = build_settings(preset, with_stopping(others, options.until_stable), methods)
    later = {MALAFIDE} if folder is not None else set()
    attacks = {
        name: build_attack(name, preset, own.get(name, {}))
        for name in dict.fromkeys(options.attacks)
        if name not in later
    }
    budgets = chosen_budgets(options.budgets, own)
    published = parse_differences(options.as_published, methods, options.attacks)
    if published.names:
        protocol = published.protocol(options, protocol)
    transforms = parse_transforms(options.survives)
    selection = like.selection if like else open_selection(options, keep_real, fingerprinted=not as_written)
    require_maps(settings, selection)
    device = resolve_device(options.device)
    name, detector = (like.configuration.detector.name, like.scorer.detector) if like else open_detector(options)
    methods = published.methods(methods, settings, detector)
    settings, attacks = published.settings(settings, detector), published.attacks(attacks, detector)
    if device.type == "cpu":
        keep_freed_memory()
    batch_size = chosen_batch_size(options, detector, device, folder)
    Queries(detector, batch_size, options.precision)  # refuses what no frame could be scored with
    if not as_written:
        require_same_beside(detector, probes(detector), batch_size)
        require_same_in(options.precision, detector, probes(detector))
    if reason := no_random_model(options, protocol, detector, methods, settings):
        protocol = without_random_model(protocol, options, reason, silent=as_written)
    filled = any(method.fill == ADVERSARIAL for method in methods)
    first = None
    if not as_written:
        thresholds = bool(options.attacks) and protocol.finds_thresholds
        optional = DEFAULT_ATTACKS[1:] if tuple(options.attacks) == DEFAULT_ATTACKS else ()
        wanted = UsableAttacks(attacks, settings.adversarial if filled else None, thresholds, optional)
        first = first_frame(selection, detector)
        image = None if first is None else first[1]
        if image is not None and (loaded := loaded_as(detector)) is not None:
            remark_foreign_tensors(detector, loaded.name, image[None])  # of what it asks for faces alone
        problems = unsuitable(settings, detector, None if keep_real else image)  # `inspect_frame` tries the very frame
        usable = usable_on_first_frame(wanted, image, detector, batch_size, problems)
        attacks = dict(usable.attacks)
        settings = replace(settings, adversarial=usable.adversarial or settings.adversarial)
        if thresholds and not usable.flip_thresholds:
            protocol = replace(protocol, flip_thresholds=(NONE,))
    scorer = Scorer(
        detector, methods, settings, attacks, protocol, metrics, options.seed, options.seeds,
        divided(settings, options.segments, others.get("segments", {})), budgets, batch_size, options.precision,
        transforms, published.mark,
    )  # fmt: skip
    given = None if first is None else try_own_parts(scorer, selection, *first)
    if not (as_written or like):
        warn_of_unused(others, methods, settings, settings.fills if metrics else ())
        warn_of_unused_protocol(asked_of_protocol, planned)
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
            begun,
        ),
        detector=identify_detector(name, detector),
        frames=selection.identity,
        seed=options.seed,
        seeds=options.seeds,
        batch_size=batch_size,
        precision=options.precision,
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions=versions((name, *(method.explainer for method in methods))),
    )
    on_demo = options.frames is None
    setup = RunSetup(files_name(options.every_method), configuration, selection, scorer, on_demo, given)
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
    if setup.scorer.protocol.flip_thresholds == (NONE,):
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
