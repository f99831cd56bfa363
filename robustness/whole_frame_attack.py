"""An attack on whole frames at one budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from attacks import AttackResult, RegionAttack, build_attack
from attacks.budgets import fraction, pgd_at, with_budget
from attacks.proposals import remark_on_proposals
from attacks.torchattacks_bridge import TorchAttack
from common.console import count, warn
from common.errors import InputError
from common.seeds import derive_seed
from common.settings import override
from detectors import Detector

PGD_STEPS = 40
_MANY_CLASSES = ("APGDT", "AutoAttack")


@dataclass(frozen=True)
class WholeFrameAttack:
    """A named attack at one L-infinity budget, on the whole frame.

    Attributes:
        name: as on the command line: fgsm, pgd, torchattacks:NAME, ...
        attack: with its settings resolved.
        seed: of a run's draws; a frame's do not depend on the budget or on other frames.
    """

    name: str
    attack: RegionAttack
    seed: int

    @property
    def epsilon(self) -> float:
        """The L-infinity budget in pixel units."""
        return self.attack.epsilon

    @property
    def label(self) -> str:
        """The attack and its budget, as "pgd 2/255"."""
        return f"{self.name} {fraction(self.epsilon)}"

    def __call__(self, detector: Detector, images: Tensor, keys: Sequence[str], batch_size: int) -> AttackResult:
        """Attacks images everywhere until the detector says Real or the attack's rounds are used up.

        Args:
            detector: what is attacked.
            images: (N, 3, S, S) float32 in [0, 1].
            keys: the N frames' names, which their draws depend on.
            batch_size: images in a forward pass.

        Raises:
            InputError: the attack cannot lead this detector to Real, or all that it proposes is NaN or infinite.
        """
        everywhere = torch.ones(len(images), *images.shape[2:], dtype=torch.bool)
        seeds = [derive_seed(self.seed, key, "robustness", self.name) for key in keys]
        check_aim(self.attack, detector)
        result = self.attack(detector, images, everywhere, seeds, batch_size)
        made, broken, lost = (int(total) for total in result.proposals.sum(dim=0))
        if remark := remark_on_proposals(self.label, made, broken, lost):
            warn(f"{remark} (on {count(len(keys), 'frame')} from {keys[0]} on)")
        return result


def check_aim(attack: RegionAttack, detector: Detector) -> None:
    """Raises InputError for an attack of torchattacks that can only leave a verdict for any of many other classes."""
    if isinstance(attack, TorchAttack) and len(detector.class_names) > 2:
        name = attack.algorithm.__name__
        if name in _MANY_CLASSES:
            raise InputError(
                f"torchattacks:{name} leads from one manipulation to another, not to Real; "
                f"use its parts torchattacks:APGD and torchattacks:Square"
            )


def whole_frame_attacks(
    names: Sequence[str],
    budgets: Sequence[float],
    steps: int = PGD_STEPS,
    seed: int = 0,
    overrides: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> list[WholeFrameAttack]:
    """Builds every named attack at every budget, budgets ascending.

    Args:
        names: of attacks, as on the command line; a repeated one counts once.
        budgets: L-infinity, in pixel units, in (0, 1].
        steps: of PGD, each of 2.5 budgets / steps.
        seed: of the run's draws.
        overrides: settings by the attack's name, then by field. A step size `alpha` that they do not give keeps its
            proportion to the budget.

    Raises:
        InputError: an attack or a setting is unknown, a value does not fit, or a setting is `epsilon`.
    """
    return [
        WholeFrameAttack(name, attack_at(name, epsilon, steps, overrides.get(name, {})), seed)
        for name in dict.fromkeys(names)
        for epsilon in sorted(set(budgets))
    ]


def attack_at(
    name: str, epsilon: float, steps: int = PGD_STEPS, overrides: Mapping[str, Any] = MappingProxyType({})
) -> RegionAttack:
    """Builds the named attack at a budget.

    Args:
        name: as on the command line.
        epsilon: the L-infinity budget in pixel units, in (0, 1].
        steps: of PGD, each of 2.5 budgets / steps.
        overrides: other settings, by field. A step size `alpha` that they do not give keeps its proportion to the
            budget.

    Raises:
        InputError: the attack or a setting is unknown, a value does not fit, or a setting is `epsilon`.
    """
    if "epsilon" in overrides:
        raise InputError(f"{name}: the budget is set by --epsilon")
    own = build_attack(name)
    if name == "pgd":
        steps = int(override(own, overrides, name).steps) if "steps" in overrides else steps  # type: ignore[attr-defined]
        scaled = pgd_at(epsilon, steps)
    else:
        scaled = with_budget(own, epsilon)
    return override(scaled, overrides, name)
