"""Small runs on planted frames that the tests share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from detectors import Detector
from scoring.robustness.attacking import Results, attack_detector
from scoring.robustness.security import Check
from scoring.robustness.setup import Named, Options, Setup, open_frames_of, prepare
from tests.scoring.robustness.planted import name

EPSILON = 8 / 255
CHECK = Check(EPSILON, frames=50, apgd_steps=10, apgd_restarts=2, square_queries=300)


def options(index: Path, budgets: Sequence[float] = (1 / 255, 2 / 255, 4 / 255, 8 / 255)) -> Options:
    """FGSM and a short PGD, without a check."""
    return Options(frames=index, budgets=budgets, steps=5, device="cpu", batch_size=8)


def setup(detector: type[Detector], wanted: Options, transfer: type[Detector] | None = None) -> Setup:
    """A plan for one of the planted detectors."""
    source = None if transfer is None else Named(transfer.__name__, name(transfer))
    return prepare(wanted, Named(detector.__name__, name(detector)), open_frames_of(wanted), source)


def attacked(
    folder: Path, detector: type[Detector], wanted: Options, transfer: type[Detector] | None = None
) -> Results:
    """A finished run."""
    return attack_detector(folder, setup(detector, wanted, transfer))


def checked(index: Path) -> Options:
    """PGD at one budget, with the check."""
    return replace(options(index, (EPSILON,)), attacks=("pgd",), check=CHECK)
