"""From the names on a command line to a plan."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from attacks.registry import describe
from attacks.torchattacks_bridge import GRADIENT_SHARE
from common.errors import InputError
from data.source import open_frames
from detectors import Detector
from detectors.batch_size import ON_CPU
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.registry import load
from scoring.config import Configuration, describe_device, identify_detector, versions
from scoring.robustness.assault import PGD_STEPS, Assault, assaults, seen_by
from scoring.robustness.dip import DeepImagePrior
from scoring.robustness.running import Plan
from scoring.robustness.security import Check, passes_of
from scoring.robustness.selection import Chosen, Listed, choose, demo, spread
from scoring.robustness.sight import Sight
from scoring.robustness.slopes import gradient_norms
from scoring.robustness.stages import CLEAN, AttackStage, CleanStage, DefenceStage, Stage
from xai.settings import parse_override

BUDGETS = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
REDRAWN = "dip"


@dataclass(frozen=True)
class Named:
    """A detector as the user names it.

    Attributes:
        label: what tables call it.
        detector: its name or checkpoint file.
        checkpoint: the weights of a detector given by name.
        positive: what the logit of a one-logit network stands for, where its file does not say.
    """

    label: str
    detector: str
    checkpoint: Path | None = None
    positive: str | None = None

    def load(self, device: str) -> Detector:
        """The detector. Raises InputError where there is none such."""
        return load(self.detector, self.checkpoint, device, positive=self.positive)


@dataclass(frozen=True)
class Defended:
    """The deep image prior before the detector.

    Attributes:
        prior: its settings.
        frames: on how many fakes, and as many real frames.
        epsilon: the budget of the attacks that it meets.
    """

    prior: DeepImagePrior
    frames: int
    epsilon: float


@dataclass(frozen=True)
class Options:
    """What the user asked for, apart from the detectors.

    Attributes:
        frames: an index file; None for demo faces.
        images: the store or folder that the index's images are in.
        split: of the index.
        limit: how many fakes, and real frames, at most.
        attacks: names of attacks.
        budgets: L-infinity, in pixel units.
        steps: of PGD.
        overrides: ATTACK.FIELD=VALUE, each.
        check: the check against false security, or None. It is for white boxes only.
        defence: a defence that is tried as well, or None.
        seed: of every draw.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: images in a forward pass; None for `batch_size.ON_CPU` on a CPU, 128 elsewhere.
    """

    frames: Path | None = None
    images: Path | None = None
    split: str | None = None
    limit: int | None = None
    attacks: Sequence[str] = ("fgsm", "pgd")
    budgets: Sequence[float] = BUDGETS
    steps: int = PGD_STEPS
    overrides: Sequence[str] = ()
    check: Check | None = None
    defence: Defended | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None


@dataclass(frozen=True, eq=False)
class Setup:
    """A plan, and what its results are told by.

    Attributes:
        label: the detector's name in tables.
        plan: what is done.
        assaults: the attacks of the tables, by the name of their stage.
        check: the check that is part of the plan, or None.
        defence: the defence that is part of the plan, or None.
        source: the name of the detector that is attacked instead, or None in a white box.
        on_demo: whether the frames are demo faces.
    """

    label: str
    plan: Plan
    assaults: dict[str, Assault]
    check: Check | None
    defence: Defended | None
    source: str | None
    on_demo: bool


def open_frames_of(options: Options) -> Chosen:
    """The frames that the options name. Raises InputError where there is no fake among them."""
    if options.frames is not None:
        return choose(open_frames(options.frames, options.images, options.split), options.split, options.limit)
    for name, value in (("--images", options.images), ("--split", options.split)):
        if value is not None:
            raise InputError(f"{name} needs --frames: demo faces have their own")
    return demo(options.limit)


def prepare(options: Options, named: Named, chosen: Chosen, transfer: Named | None = None) -> Setup:
    """Loads the detectors and plans what is done to the frames.

    Raises InputError for anything unknown, contradictory or unreadable, and for an attack that does not suit the
    detector, before any work is done.
    """
    planned = assaults(options.attacks, options.budgets, options.steps, options.seed, _overrides(options))
    device = resolve_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    detector = named.load(options.device)
    source = detector if transfer is None else transfer.load(options.device)
    batch_size = (ON_CPU if device.type == "cpu" else 128) if options.batch_size is None else options.batch_size
    check = options.check if transfer is None else None
    _try_out(source, planned, check, device)
    stages = _stages(options, planned, check, chosen)
    configuration = Configuration(
        preset="robustness",
        methods=(),
        settings=_settings(options, check, transfer, source),
        attacks={assault.label: describe(assault.attack) for assault in planned},
        detector=identify_detector(named.detector, detector),
        frames=chosen.selection.identity,
        seed=options.seed,
        batch_size=batch_size,
        precision="float32",
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions=versions(),
    )
    plan = Plan(configuration, chosen, Sight(detector, source, batch_size), stages, group_size(batch_size))
    return Setup(
        label=named.label,
        plan=plan,
        assaults={assault.label: assault for assault in planned},
        check=check,
        defence=options.defence,
        source=None if transfer is None else transfer.label,
        on_demo=options.frames is None,
    )


def group_size(batch_size: int) -> int:
    """How many frames are attacked together: as many as keep their activations for gradients in a forward pass."""
    return max(1, batch_size // GRADIENT_SHARE)


def _stages(options: Options, planned: Sequence[Assault], check: Check | None, chosen: Chosen) -> tuple[Stage, ...]:
    stages: list[Stage] = [CleanStage(CLEAN, 1)]
    stages += [AttackStage(assault.label, passes_of(assault), assault=assault) for assault in planned]
    if check is not None:
        stages += check.stages(chosen.fakes, [assault.label for assault in planned], options.steps, options.seed)
    if options.defence is not None:
        stages += _defence_stages(options, options.defence, chosen)
    return tuple(stages)


def _defence_stages(options: Options, defence: Defended, chosen: Chosen) -> list[Stage]:
    """The defence on frames as they are, and after every attack at its budget."""
    few: list[Listed] = [*spread(chosen.fakes, defence.frames), *spread(chosen.real, defence.frames)]
    among, passes = frozenset(frame.key for frame in few), 3 * defence.prior.iterations
    met = assaults(options.attacks, [defence.epsilon], options.steps, options.seed, _overrides(options))
    return [
        DefenceStage(
            REDRAWN if assault is None else f"{REDRAWN} {assault.label}",
            passes,
            1,
            defence=defence.prior,
            seed=options.seed,
            among=among,
            assault=assault,
        )
        for assault in (None, *met)
    ]


def _settings(
    options: Options, check: Check | None, transfer: Named | None, source: Detector
) -> dict[str, dict[str, Any]]:
    """What else the results depend on, for the configuration."""
    settings = {}
    if check is not None:
        settings["check"] = asdict(check)
    if options.defence is not None:
        settings["dip"] = asdict(options.defence)
    if transfer is not None:
        settings["transfer"] = asdict(identify_detector(transfer.detector, source))
    return settings


def _overrides(options: Options) -> dict[str, dict[str, str]]:
    """The overrides by the name of the attack. Raises InputError for an attack that is not used."""
    found: dict[str, dict[str, str]] = {}
    for text in options.overrides:
        attack, field, value = parse_override(text)
        if attack not in options.attacks:
            raise InputError(f"--set {text}: the attack {attack} is not used; add --attack {attack}")
        found.setdefault(attack, {})[field] = value
    return found


def _try_out(source: Detector, planned: Sequence[Assault], check: Check | None, device: torch.device) -> None:
    """Raises InputError where an attack cannot lead the detector to Real, or needs gradients and gets none."""
    for assault in planned:
        seen_by(assault.attack, source)
    if check is not None or any(assault.name in ("fgsm", "pgd") for assault in planned):
        size = source.input_size
        gradient_norms(source, torch.full((1, 3, size, size), 0.5, device=device))
