"""Plans a run from the names on a command line."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from attacks.nes import FINITE, NES
from attacks.registry import describe_attack, is_own, unusable
from common.commands import changed_options
from common.errors import InputError
from data.source import open_frames, refuse_without_frames, warn_of_doubt
from detectors import Detector
from detectors.batch_size import AUTO, ON_CPU, fastest, read_batch_size
from detectors.checks.consistency import probes, require_same_beside
from detectors.checks.detector_state import require_unchanged, state_of
from detectors.checks.fresh_process import require_same_in_fresh_process
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.queries import gradient_batch
from robustness.attack_options import AttackOptions, NamedDetector
from robustness.attacked_frames import AttackedFrames, FrameEntry, choose_frames, demo_entries, spread_entries
from robustness.deep_image_prior import DIP, DipDefence
from robustness.gradient_masking import MaskingCheck, passes_of
from robustness.gradient_norms import gradient_norms
from robustness.stage_runner import AttackPlan
from robustness.stages import CLEAN, AttackStage, CleanStage, DefenceStage, Stage
from robustness.threat_model import ThreatModel
from robustness.whole_frame_attack import WholeFrameAttack, check_aim, whole_frame_attacks
from runs.configuration import Configuration, describe_device, identify_detector, versions
from runs.own_attacks import try_attack
from runs.own_code import own_code
from runs.usable_attacks import UsableAttacks, first_frame, usable_on_first_frame
from xai.explanation_settings import parse_override

ELSEWHERE = 128
"""Images in a forward pass where the device is no CPU."""


@dataclass(frozen=True, eq=False)
class AttackSetup:
    """A plan, and what its results are reported with.

    Attributes:
        label: the detector's name in tables.
        plan: what is done.
        frame_attacks: the attacks of the tables, by the name of their stage.
        check: the check that is part of the plan, or None.
        defence: the defence that is part of the plan, or None.
        source: the name of the detector that is attacked instead, or None in a white box.
        on_demo: whether the frames are demo faces.
    """

    label: str
    plan: AttackPlan
    frame_attacks: dict[str, WholeFrameAttack]
    check: MaskingCheck | None
    defence: DipDefence | None
    source: str | None
    on_demo: bool


def open_frames_of(options: AttackOptions) -> AttackedFrames:
    """Opens the frames that the options name. Raises InputError where there is no fake among them."""
    if options.frames is not None:
        source = open_frames(options.frames, options.images, options.split)
        warn_of_doubt(source.entries)
        return choose_frames(source, options.split, options.limit)
    refuse_without_frames(options.images, options.split)
    return demo_entries(options.limit)


def prepare_attack(
    options: AttackOptions, named: NamedDetector, chosen: AttackedFrames, transfer: NamedDetector | None = None
) -> AttackSetup:
    """Loads the detectors and plans what is done to the frames.

    Args:
        options: of the command line.
        named: the detector that judges, and that is attacked unless there is a `transfer`.
        chosen: the frames.
        transfer: the detector that is attacked instead; None for a white box. There is no check in a transfer.

    Raises:
        InputError: something is unknown, contradictory or unreadable, or an attack does not suit the detector; before
            any work is done.
    """
    names = [named.detector] if transfer is None else [named.detector, transfer.detector]
    begun = own_code((*names, *options.attacks), ())
    overrides = _overrides(options)
    planned = whole_frame_attacks(options.attacks, options.budgets, options.steps, options.seed, overrides)
    device = resolve_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    detector = named.load(options.device)
    source = detector if transfer is None else transfer.load(options.device)
    batch_size = _batch_size(options, detector, device)
    for asked in {detector, source}:
        require_same_beside(asked, probes(asked), batch_size)
    check = options.masking_check if transfer is None else None
    defence = options.dip_defence
    _try_out(source, planned, check, device)
    overrides = _on_first_frame(overrides, planned, source, chosen, batch_size, checked=check is not None)
    frames = chosen.selection
    for asked in dict.fromkeys((detector, source)):
        require_same_in_fresh_process(asked, len(frames.keys), lambda index: frames.frame(index).image)
    planned = whole_frame_attacks(options.attacks, options.budgets, options.steps, options.seed, overrides)
    stages = _stages(options, planned, check, chosen, overrides)
    configuration = Configuration(
        preset="robustness",
        methods=(),
        settings=_settings(options, planned, check, transfer, source),
        attacks={
            frame.label: describe_attack(frame.attack) for frame in sorted(planned, key=lambda frame: frame.label)
        },
        detector=identify_detector(named.detector, detector),
        frames=chosen.selection.identity,
        seed=options.seed,
        batch_size=batch_size,
        precision="float32",
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions=versions(names),
        own_code=own_code(
            (*names, *options.attacks),
            (*detector.modules(), *source.modules(), *(frame_attack.attack for frame_attack in planned)),
            begun,
        ),
    )
    plan = AttackPlan(configuration, chosen, ThreatModel(detector, source, batch_size), stages, group_size(batch_size))
    return AttackSetup(
        label=named.label,
        plan=plan,
        frame_attacks={frame_attack.label: frame_attack for frame_attack in planned},
        check=check,
        defence=defence,
        source=None if transfer is None else transfer.label,
        on_demo=options.frames is None,
    )


def group_size(batch_size: int) -> int:
    """How many frames are attacked together: as many as keep their activations for gradients in a forward pass."""
    return gradient_batch(batch_size)


def _batch_size(options: AttackOptions, detector: Detector, device: torch.device) -> int:
    """How many images a forward pass takes: as asked, else a fixed number."""
    asked = read_batch_size(options.batch_size)
    if asked is None:
        return ON_CPU if device.type == "cpu" else ELSEWHERE
    return fastest(detector, device) if asked == AUTO else asked


def _stages(
    options: AttackOptions,
    planned: Sequence[WholeFrameAttack],
    check: MaskingCheck | None,
    chosen: AttackedFrames,
    overrides: Mapping[str, Mapping[str, str]],
) -> tuple[Stage, ...]:
    stages: list[Stage] = [CleanStage(CLEAN, 1)]
    stages += [
        AttackStage(frame_attack.label, passes_of(frame_attack), frame_attack=frame_attack) for frame_attack in planned
    ]
    if check is not None:
        stages += check.stages(
            chosen.fakes, [frame_attack.label for frame_attack in planned], options.steps, options.seed
        )
    if (defence := options.dip_defence) is not None:
        stages += _defence_stages(options, defence, chosen, overrides)
    return tuple(stages)


def _defence_stages(
    options: AttackOptions, defence: DipDefence, chosen: AttackedFrames, overrides: Mapping[str, Mapping[str, str]]
) -> list[Stage]:
    """The defence on frames as they are, and after every attack at its budget."""
    few: list[FrameEntry] = [
        *spread_entries(chosen.fakes, defence.frames),
        *spread_entries(chosen.real, defence.frames),
    ]
    among, passes = frozenset(frame.key for frame in few), 3 * defence.prior.iterations
    attacks = whole_frame_attacks(options.attacks, [defence.epsilon], options.steps, options.seed, overrides)
    return [
        DefenceStage(
            DIP if frame_attack is None else f"{DIP} {frame_attack.label}",
            passes,
            1,
            defence=defence.prior,
            seed=options.seed,
            among=among,
            frame_attack=frame_attack,
        )
        for frame_attack in (None, *attacks)
    ]


def _settings(
    options: AttackOptions,
    planned: Sequence[WholeFrameAttack],
    check: MaskingCheck | None,
    transfer: NamedDetector | None,
    source: Detector,
) -> dict[str, dict[str, Any]]:
    """What else the results depend on, for the configuration."""
    settings = {}
    if check is not None:
        settings["check"] = asdict(check)
        if (pgd := check.own_pgd([frame_attack.label for frame_attack in planned], options.steps)) is not None:
            settings["check"]["pgd"] = describe_attack(pgd.attack)
    if (defence := options.dip_defence) is not None:
        settings["dip"] = asdict(defence)
    if transfer is not None:
        settings["transfer"] = identify_detector(transfer.detector, source).as_values()
    return settings


def _overrides(options: AttackOptions) -> dict[str, dict[str, str]]:
    """The overrides by the name of the attack. Raises InputError for an attack that is not used."""
    by_attack: dict[str, dict[str, str]] = {}
    for text in options.overrides:
        attack, field, value = parse_override(text)
        if attack not in options.attacks:
            raise InputError(f"--set {text}: the attack {attack} is not used; add --attack {attack}")
        if (attack, field) == ("pgd", "steps") and changed_options(options, ("steps",)):
            raise InputError("--steps and --set pgd.steps say the same: give only one of them")
        by_attack.setdefault(attack, {})[field] = value
    return by_attack


def _on_first_frame(
    overrides: Mapping[str, Mapping[str, str]],
    planned: Sequence[WholeFrameAttack],
    source: Detector,
    chosen: AttackedFrames,
    batch_size: int,
    checked: bool,
) -> dict[str, dict[str, str]]:
    """The overrides, with finite differences for NES where the source's gradient is of no use on the first frame.

    FGSM and PGD run all the same where they are `checked`: what a gradient that vanishes or misleads is worth, the
    check says. Without it, as in a transfer, they are refused or warned of as in a run. A user's own attacks that do
    not repeat themselves there, each at one budget, are warned of.

    Raises InputError where one of those changes the detector, and where an attack that is not checked has no gradient
    to follow.
    """
    by_name = {frame_attack.name: frame_attack.attack for frame_attack in planned}
    exact = {name: attack for name, attack in by_name.items() if isinstance(attack, NES)}
    own = {name: attack for name, attack in by_name.items() if is_own(name)}
    tried = exact if checked else by_name
    first = first_frame(chosen.selection, source) if tried or own else None
    image = None if first is None else first[1]
    usable = usable_on_first_frame(UsableAttacks(tried), image, source, batch_size).attacks
    finite = {
        name: {"derivatives": FINITE, "sigma": str(attack.sigma)}
        for name, attack in usable.items()
        if isinstance(attack, NES) and attack != exact[name]
    }
    if own and image is not None:
        before = state_of(source)
        for name, attack in own.items():
            try_attack(name, attack, source, image, batch_size)
            require_unchanged(source, before, f"attack {name}")
    return {name: {**overrides.get(name, {}), **finite.get(name, {})} for name in by_name}


def _try_out(
    source: Detector, planned: Sequence[WholeFrameAttack], check: MaskingCheck | None, device: torch.device
) -> None:
    """Raises InputError where attacks cannot work on the detector, cannot lead it to Real, or get no gradients."""
    if problems := unusable({frame_attack.name: frame_attack.attack for frame_attack in planned}, source):
        raise InputError("; ".join(problems))
    for frame_attack in planned:
        check_aim(frame_attack.attack, source)
    if check is not None or any(frame_attack.name in ("fgsm", "pgd") for frame_attack in planned):
        size = source.input_size
        gradient_norms(source, torch.full((1, 3, size, size), 0.5, device=device))
