"""Small runs on planted frames that the tests share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attacks.budgets import fraction
from detectors import Detector
from robustness.attack_options import AttackOptions, NamedDetector
from robustness.attack_setup import AttackSetup, open_frames_of, prepare_attack
from robustness.attacked_detector import AttackedDetector, attack_detector
from tests.robustness.planted import name

EPSILON = 8 / 255
CHECKED: dict[str, Any] = {
    "check": True, "check_frames": 50, "apgd_steps": 10, "apgd_restarts": 2, "square_queries": 300,
}  # fmt: skip


def options(index: Path, budgets: Sequence[float] = (1 / 255, 2 / 255, 4 / 255, 8 / 255)) -> AttackOptions:
    """FGSM and a short PGD, without a check."""
    return AttackOptions(
        frames=index,
        epsilons=[fraction(budget) for budget in budgets],
        steps=5,
        device="cpu",
        batch_size="8",
        check=False,
    )


def setup(detector: type[Detector], wanted: AttackOptions, transfer: type[Detector] | None = None) -> AttackSetup:
    """A plan for one of the planted detectors."""
    source = None if transfer is None else NamedDetector(transfer.__name__, name(transfer))
    return prepare_attack(wanted, NamedDetector(detector.__name__, name(detector)), open_frames_of(wanted), source)


def attacked(
    folder: Path, detector: type[Detector], wanted: AttackOptions, transfer: type[Detector] | None = None
) -> AttackedDetector:
    """A finished run."""
    return attack_detector(folder, setup(detector, wanted, transfer))


def checked(index: Path) -> AttackOptions:
    """PGD at one budget, with the check."""
    return replace(options(index, (EPSILON,)), attacks=("pgd",), **CHECKED)
