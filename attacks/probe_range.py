"""Whether a detector answers of the same picture where probes of finite differences leave [0, 1]."""

from collections.abc import Mapping

import torch
from torch import Tensor

from attacks.base import RegionAttack
from attacks.nes import FINITE, NES
from common.console import warn
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries

_SOME = 0.1  # of the pixels
_BORDER = 8  # of the side, the width of a border
_PROBED = 3.0  # standard deviations that most probes keep within

_SPECKLED = (4.0, 0.2, 0.0)
"""Of the way in, and of the log-odds of Real: how far pixels a little outside of the range may move them.

Where they move them further, they are wrong if they do so half as far out, by at least the last number of it.
"""

_BORDERED = (10.0, 0.5, 0.75)
"""The same of half of a border's pixels, which are another texture there: a sound detector moves by half then."""


def finite_attacks(attacks: Mapping[str, RegionAttack]) -> dict[str, NES]:
    """Those that take finite differences."""
    return {name: nes for name, nes in attacks.items() if isinstance(nes, NES) and nes.derivatives == FINITE}


def remark_on_range(attacks: Mapping[str, RegionAttack], detector: Detector, image: Tensor) -> None:
    """Warns where finite differences lead a detector astray that cannot do with pixels a little outside of [0, 1].

    Their probes are not clamped (`attacks.nes.NES`). One that guesses a picture's range by its least or largest value,
    or makes bytes of it without a clamp, answers of another picture then.

    Args:
        attacks: by the name in the message; those that take no finite differences are left alone.
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
    """
    probing = finite_attacks(attacks)
    if not probing:
        return
    sigma = max(nes.sigma for nes in probing.values())
    where = f"where finite differences of {' and '.join(probing)} ask"
    if (said := astray(detector, image, sigma, where)) is not None:
        warn(said)


def astray(detector: Detector, image: Tensor, sigma: float, where: str) -> str | None:
    """What goes wrong with pixels outside of [0, 1] by three standard deviations of probes; None where nothing does.

    Asked is about the image with some pixels black and some white, with a black border, and with a white one, and these
    pixels, or half of the border's, moved so far out of the range, half as far, and into it: twelve images. Where black
    pixels are as many as white ones, a detector that makes either of the other sees about the same picture; of a border
    it does not, half as far out as little as further out.

    Args:
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
        sigma: of the probes, in pixel units.
        where: pixels lie there, in words.
    """
    far = _PROBED * sigma
    asked = f"for pixels {far:.2g} below 0 and above 1"
    drawn = torch.rand(image.shape[1:], generator=torch.Generator().manual_seed(0))
    border = torch.ones(image.shape[1:], dtype=torch.bool)
    width = max(1, image.shape[-1] // _BORDER)
    border[width:-width, width:-width] = False
    none, half = torch.zeros_like(border), border & (drawn < 0.5)
    for black, white, moved, (share, part, same) in (
        (drawn < _SOME, drawn > 1 - _SOME, ~none, _SPECKLED),
        (border, none, half, _BORDERED),
        (none, border, half, _BORDERED),
    ):
        picture = torch.where(black, 0.0, torch.where(white, 1.0, image.cpu()))
        outward = far * moved * (white.float() - black.float())
        asked_about = torch.stack([picture, picture + outward, picture - outward, picture + outward / 2])
        try:
            odds = Queries(detector).log_odds(asked_about, detector.real)
        except InputError as error:
            return (
                f"{type(detector).__name__} gives no answer {asked}, {where}: clamp the pictures in its forward "
                f"({error})"
            )
        out, into, half_out = (odds[1:] - odds[0]).abs()
        if out > share * into + part * odds[0].abs() and half_out >= same * out:
            return (
                f"{type(detector).__name__} answers otherwise {asked} (log-odds of Real {odds[1]:.2g} for "
                f"{odds[0]:.2g}), {where}: clamp the pictures in its forward, and do not guess their range"
            )
    return None
