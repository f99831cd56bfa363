"""Attacks as they can run on a detector: what its gradient is worth decides, once, before the first frame."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from attacks.base import RegionAttack
from attacks.nes import EXACT, FINITE, NES
from attacks.torchattacks_bridge import WITHOUT_GRADIENTS, TorchAttack
from common.console import warn
from common.errors import InputError
from detectors.base import Detector
from detectors.gradient_check import GradientFault, gradient_fault
from detectors.half_precision import require_float32


def usable_attacks(
    attacks: Mapping[str, RegionAttack],
    detector: Detector,
    image: Tensor,
    batch_size: int = 32,
    optional: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, RegionAttack]:
    """The attacks with finite differences where they take exact derivatives and the detector's gradient is of no use.

    Their probes are then at least as long as the detector notices (`Detector.least_noise`).

    The gradient is compared with finite differences at one image (`detectors.gradient_check`), once for all attacks,
    and only if one of them uses it. One line warns of what is changed, or of what follows a gradient that misleads.

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
    require_float32(detector, image)
    exact = [name for name, attack in attacks.items() if isinstance(attack, NES) and attack.derivatives == EXACT]
    following = [name for name, attack in attacks.items() if name not in exact and _needs_gradients(attack)]
    fault = gradient_fault(detector, image, batch_size) if exact or following else None
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
    left_out = [name for name in following if name in optional]
    if exact or left_out:
        done = [f"finite differences are used for {_listed(exact)}"] if exact else []
        done += [f"{_listed(left_out)} {'are' if len(left_out) > 1 else 'is'} left out"] if left_out else []
        options = [f"--set {name}.derivatives={FINITE}" for name in exact]
        options += [f"--set {name}.sigma={detector.least_noise:.3g}" for name in exact if detector.least_noise]
        options += [optional[name] for name in left_out]
        warn(f"{_what(detector, fault)}; {', '.join(done)}, as with {' '.join(options)}")
    return {
        name: _finite(attack, detector) if isinstance(attack, NES) and name in exact else attack
        for name, attack in attacks.items()
        if name not in left_out
    }


def _finite(attack: NES, detector: Detector) -> NES:
    return dataclasses.replace(attack, derivatives=FINITE, sigma=max(attack.sigma, detector.least_noise))


def _needs_gradients(attack: RegionAttack) -> bool:
    if isinstance(attack, TorchAttack):
        return attack.algorithm.__name__ not in WITHOUT_GRADIENTS
    return attack.uses_gradients


def _what(detector: Detector, fault: GradientFault) -> str:
    return f"{type(detector).__name__}: {fault.reason}"


def _listed(names: list[str]) -> str:
    return " and ".join(names)
