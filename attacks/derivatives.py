"""Attacks as they can run on a detector: what its gradient is worth decides, once, before the first frame."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from attacks.base import RegionAttack
from attacks.nes import EXACT, FINITE, NES
from attacks.pgd import PGD
from attacks.probe_range import remark_on_range
from attacks.probe_size import remark_on_probes
from attacks.torchattacks_bridge import WITHOUT_GRADIENTS, TorchAttack
from common.console import warn
from common.errors import InputError
from detectors.base import Detector
from detectors.checks.gradient_check import ATTACKS, GradientFault, gradient_fault, gradients_at, note_misleading
from detectors.gradients import NoGradientError
from detectors.half_precision import require_float32
from detectors.queries import Queries

PLACES = 33
"""Pictures on the way from an image to one that is called Real, among which the less sure ones are sought."""

LEFT = (0.75, 0.4, 0.1)
"""What is left there of the log-odds of Real."""

LESS_SURE = "where an attack has made the verdict less sure"

_WAY = PGD(alpha=2 / 255, steps=10, random_start=False)


def usable_attacks(
    attacks: Mapping[str, RegionAttack],
    detector: Detector,
    image: Tensor,
    batch_size: int = 32,
    optional: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, RegionAttack]:
    """The attacks with finite differences where they take exact derivatives and the detector's gradient is of no use.

    Their probes are then at least as long as the detector notices (`Detector.least_noise`).

    The gradient is compared with finite differences (`followed_fault`), once for all attacks, and only if one of them
    uses it. One line warns of what is changed, or of what follows a gradient that misleads.

    Args:
        attacks: by the name in messages and settings.
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
        batch_size: images in a forward pass.
        optional: attacks by gradients that are rather left out than misled, by name the option that leaves them out.

    Raises:
        InputError: the detector computes in half precision, or has no gradient that an attack without another way
            could follow.
    """
    usable = _usable(attacks, detector, image, batch_size, optional)
    remark_on_probes(usable, detector, image, batch_size)
    remark_on_range(usable, detector, image)
    return usable


def _usable(
    attacks: Mapping[str, RegionAttack],
    detector: Detector,
    image: Tensor,
    batch_size: int,
    optional: Mapping[str, str],
) -> dict[str, RegionAttack]:
    require_float32(detector, image)
    exact = [name for name, attack in attacks.items() if isinstance(attack, NES) and attack.derivatives == EXACT]
    following = [name for name, attack in attacks.items() if name not in exact and _needs_gradients(attack)]
    fault = followed_fault(detector, image, batch_size) if exact or following else None
    if fault is None:
        return dict(attacks)
    bound = [name for name in following if name not in optional]
    if bound and not fault.misleads:
        raise InputError(
            f"{_what(detector, fault)}; {_listed(bound)} can follow none: attack with nes, which takes finite "
            "differences then, or torchattacks:Square"
        )
    if bound:
        warn(f"{_what(detector, fault)}; what {_listed(bound)} cannot flip by following it says little")
        note_misleading(detector, ATTACKS)
    left_out = [name for name in following if name in optional]
    if exact or left_out:
        done = [f"finite differences are used for {_listed(exact)}"] if exact else []
        done += [f"{_listed(left_out)} {'are' if len(left_out) > 1 else 'is'} left out"] if left_out else []
        options = [f"--set {name}.derivatives={FINITE}" for name in exact]
        options += [f"--set {name}.sigma={detector.least_noise:.3g}" for name in exact if detector.least_noise]
        options += [optional[name] for name in left_out]
        warn(f"{_what(detector, fault)}; {', '.join(done)}, as with {' '.join(options)}")
    return {
        name: by_finite_differences(attack, detector) if isinstance(attack, NES) and name in exact else attack
        for name, attack in attacks.items()
        if name not in left_out
    }


def followed_fault(detector: Detector, image: Tensor, batch_size: int = 32) -> GradientFault | None:
    """What is wrong with a detector's gradient where attacks follow it; None where finite differences agree with it.

    It is tried at the image (`detectors.checks.gradient_check`), and where an attack by it leads: at pictures between
    the image and one that the detector calls Real, or where it gets no further. There the verdict is less sure, and a
    detector may go another way, through a part that gives no gradient or another one.

    Args:
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
        batch_size: images in a forward pass.
    """
    as_it_is = gradients_at(Queries(detector, batch_size), image[None])  # not pulled from 0 and 1, where some are NaN
    if isinstance(as_it_is, GradientFault):
        return as_it_is
    fault = gradient_fault(detector, image, batch_size)
    if fault is not None:
        return fault
    try:
        pictures = _less_sure(detector, image, batch_size)
    except NoGradientError as error:
        return GradientFault(f"it {error.reason} {LESS_SURE}")
    for picture in pictures:
        if (fault := gradient_fault(detector, picture, batch_size)) is not None:
            return dataclasses.replace(fault, reason=f"{fault.reason} {LESS_SURE}")
    return None


def _less_sure(detector: Detector, image: Tensor, batch_size: int) -> list[Tensor]:
    """Pictures (3, S, S) of which the detector is less sure than of an image that it does not call Real.

    An attack on all of it says where they lie: of PLACES on the straight way to a flip, the ones at which what is LEFT
    of the log-odds of Real comes closest.
    """
    whole = torch.ones(1, *image.shape[1:], dtype=torch.bool)
    attacked = _WAY(detector, image[None], whole, [0], batch_size)
    if not attacked.flipped[0]:
        return [attacked.images[0]]
    if not attacked.steps[0]:
        return []
    shares = torch.linspace(0, 1, PLACES)[:, None, None, None]
    way = image.cpu() + shares * (attacked.images - image.cpu())
    odds = Queries(detector, batch_size).log_odds(way, detector.real)
    return [way[int((odds / odds[0] - left).abs().argmin())] for left in LEFT]


def by_finite_differences(attack: NES, detector: Detector) -> NES:
    """An attack that takes finite differences, by probes of at least `Detector.least_noise`."""
    return dataclasses.replace(attack, derivatives=FINITE, sigma=max(attack.sigma, detector.least_noise))


def _needs_gradients(attack: RegionAttack) -> bool:
    if isinstance(attack, TorchAttack):
        return attack.algorithm.__name__ not in WITHOUT_GRADIENTS
    return attack.uses_gradients


def _what(detector: Detector, fault: GradientFault) -> str:
    return f"{type(detector).__name__}: {fault.reason}"


def _listed(names: list[str]) -> str:
    return " and ".join(names)
