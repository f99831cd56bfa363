"""What an examination attacks with: what a detector's gradient is worth decides, on one picture, once."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from attacks.budgets import PGD_REACH
from attacks.derivatives import PLACES, by_finite_differences, followed_fault
from attacks.nes import FINITE, NES
from attacks.pgd import PGD
from attacks.probe_range import remark_on_range
from attacks.probe_size import remark_on_probes
from common.console import warn
from detectors import Detector, Queries
from detectors.checks.gradient_check import GradientFault, gradient_fault
from detectors.gradients import NoGradientError
from detectors.half_precision import require_float32
from detectors.preparing import prepared
from examination.moves import LIFT, Unflippable
from xai.explanation_settings import ExplanationSettings, check_settings
from xai.methods import ADVERSARIAL

STEPS = 4
EVIDENCE_PAIRS = 10  # of NES by finite differences, where there are no gradients
ON_REGIONS = "the attacks on regions"

REACHED = (0.1, 0.4, 1.0)
"""Of the log-odds of Real that an attack on a whole picture reaches: where the gradient is tried beyond the flip."""

BEYOND = "where an attack has made the verdict Real, and goes on"


def usable_examination(
    detector: Detector,
    settings: ExplanationSettings,
    picture: np.ndarray,
    batch_size: int,
    budget: float,
) -> tuple[ExplanationSettings, RegionAttack]:
    """The settings, and the attack on regions, that suit a detector: by its gradient, or else by finite differences.

    Finite differences are taken where the adversarial image is asked to be made by them, and where the gradient is of
    no use on the way of an attack, to the flip or beyond it.

    Args:
        detector: what is examined.
        settings: of the explanations.
        picture: (H, W, 3) uint8, at which the gradient and the methods are tried; best one that is not called Real.
        batch_size: images in a forward pass.
        budget: L-infinity, in (0, 1], of the attack on regions.

    Raises:
        InputError: the detector computes in half precision, or a method does not suit it for that picture.
    """
    image, step = prepared(detector, picture), PGD_REACH * budget / STEPS
    require_float32(detector, image)
    check_settings(settings, detector, image)
    exact = PGD(epsilon=budget, alpha=step, steps=STEPS, random_start=False)
    if settings.adversarial.derivatives != FINITE:
        fault = followed_fault(detector, image, batch_size) or _fault_beyond(detector, image, exact, batch_size)
        if fault is None:
            return settings, exact
        warn(
            f"{type(detector).__name__}: {fault.reason}; finite differences are used for the adversarial image and "
            f"{ON_REGIONS}, which take longer, and the smallest budgets that flip its verdict are not sought, as with "
            f"--set {ADVERSARIAL}.derivatives={FINITE}"
        )
    on_regions = by_finite_differences(NES(epsilon=budget, step=step, steps=STEPS, pairs=EVIDENCE_PAIRS), detector)
    settings = dataclasses.replace(settings, adversarial=by_finite_differences(settings.adversarial, detector))
    probing = {ADVERSARIAL: settings.adversarial, ON_REGIONS: on_regions}
    remark_on_probes(probing, detector, image, batch_size)
    remark_on_range(probing, detector, image)
    return settings, on_regions


def _fault_beyond(detector: Detector, image: Tensor, attack: PGD, batch_size: int) -> GradientFault | None:
    """What is wrong with a detector's gradient beyond the flip, where attacks on regions go on; None where nothing is.

    It is tried on the straight way to where the attack leads on the whole image, which is further than on a region.
    """
    view, whole = Unflippable(detector, LIFT), torch.ones(1, *image.shape[1:], dtype=torch.bool)
    try:
        attacked = attack(view, image[None], whole, [0], batch_size).images
    except NoGradientError as error:
        return GradientFault(f"it {error.reason} {BEYOND}")
    way = image.cpu() + torch.linspace(0, 1, PLACES)[:, None, None, None] * (attacked - image.cpu())
    odds = Queries(detector, batch_size).log_odds(way, detector.real)
    if odds[-1] <= 0:
        return None  # no attack on a region gets beyond the flip either
    for share in REACHED:
        picture = way[int((odds - share * odds[-1]).abs().argmin())]
        if (fault := gradient_fault(detector, picture, batch_size)) is not None:
            return dataclasses.replace(fault, reason=f"{fault.reason} {BEYOND}")
    return None
