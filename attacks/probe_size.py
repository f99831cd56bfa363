"""Whether probes of finite differences are long enough to move a detector: measured on the first frame, and said.

Answers that are rounded (logits of one decimal, votes) do not move by short probes; a picture that is rounded (to
bytes, by JPEG) moves them in jumps, which say little of the slope.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from attacks.base import RegionAttack
from attacks.probe_range import astray, finite_attacks
from common.console import warn
from common.errors import InputError
from common.seeds import derive_seed
from detectors.answers import with_chances
from detectors.base import Detector
from detectors.queries import Queries, log_odds

BYTES = 2 / 255
"""Standard deviation, in pixel units, of probes most of which reach another byte: shorter ones may move in jumps."""

LONG = 8 / 255
"""Of probes that move what rounds."""

SIDE = 3
"""A direction is of one of SIDE x SIDE cells of the picture, as attacks move regions of it."""

UNMOVED = 0.5
"""The share of directions along which probes move nothing, of those along which LONG ones do, that is warned of."""

LARGER = 1.6
"""By how many times the size of differences may be another for probes a quarter as long, where nothing jumps."""

_QUARTER = 0.25
_KEPT = 3.0  # standard deviations that draws keep within
_ROUNDING = 5e-6  # of the largest logit: moves that float32 may make


def remark_on_probes(
    attacks: Mapping[str, RegionAttack], detector: Detector, image: Tensor, batch_size: int = 32
) -> None:
    """Warns where probes of finite differences do not move a detector, or move it in jumps.

    Args:
        attacks: by the name in messages and settings; those that take no finite differences are left alone.
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
        batch_size: images in a forward pass.
    """
    probing = finite_attacks(attacks)
    for sigma in dict.fromkeys(nes.sigma for nes in probing.values()):
        names = " and ".join(name for name, nes in probing.items() if nes.sigma == sigma)
        try:
            fault = probes_fault(detector, image, sigma, batch_size)
        except InputError:
            return  # who attacks says what is wrong
        if fault is not None:
            advice = "try longer ones, or attack with torchattacks:Square"
            if sigma < BYTES:
                advice = f"try longer ones (sigma={BYTES:.2g}), or state least_noise = 2 / 255 in its class"
                if astray(detector, image, BYTES, "") is not None:
                    advice += ", and clamp the pictures in its forward, as those lead it astray outside of [0, 1]"
            warn(
                f"{type(detector).__name__}: probes of finite differences of standard deviation {sigma:.2g} {fault}, "
                f"as where its answers or its input are rounded: what {names} cannot flip says little; {advice}"
            )


def probes_fault(detector: Detector, image: Tensor, sigma: float, batch_size: int = 32) -> str | None:
    """What probes of a standard deviation do wrong, in words; None where they tell what moves a detector.

    Compared are antithetic differences of the log-odds of Real along nine fixed random directions, each of one cell and
    alike in all channels, at the image, pulled into [0, 1], and beside the grid of bytes: with those of LONG probes,
    and, of probes that are shorter than BYTES and than what the detector itself states, with those of a quarter of
    their length (108 images at most). Where only kinks (ReLU) lie between, sizes are about the same.

    Args:
        detector: what is attacked.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it.
        sigma: in pixel units.
        batch_size: images in a forward pass.
    """
    asking = _Asking(Queries(detector, batch_size), image)
    here, long = asking.moves(sigma), asking.moves(LONG)
    moving = long > 100 * _ROUNDING * asking.largest
    if bool(moving.any()) and float((here[moving] == 0).double().mean()) >= UNMOVED:
        return "do not move it"
    if sigma >= BYTES or detector.least_noise > 0:
        return None
    short = asking.moves(_QUARTER * sigma)
    rounding = _ROUNDING * asking.largest
    for one, other in zip(here * _QUARTER, short, strict=True):
        smaller, larger = sorted((float(one.norm()), float(other.norm())))
        if larger > LARGER * smaller + rounding:
            return "move it in jumps"
    return None


class _Asking:
    """How far the log-odds of Real are apart for antithetic probes, along fixed directions at two places."""

    def __init__(self, queries: Queries, image: Tensor) -> None:
        self._queries = queries
        self._places, self._directions = _places(image), _directions(image.shape[-1])
        self.largest = 0.0
        """The largest logit so far, of a class that has a chance."""

    def moves(self, sigma: float) -> Tensor:
        """For probes of a standard deviation, (2, SIDE * SIDE) float64."""
        shifts = sigma * self._directions
        probes = [(place + sign * shifts).clamp(0, 1) for place in self._places for sign in (1, -1)]
        logits = self._queries.logits(torch.cat(probes)).double().cpu()
        self.largest = max(self.largest, float(with_chances(logits).abs().max()))
        odds = log_odds(logits, self._queries.detector.real).view(len(self._places), 2, -1)
        return (odds[:, 0] - odds[:, 1]).abs()


def _places(image: Tensor) -> Tensor:
    """Where probes are taken, (2, 3, S, S): the image within their reach, and beside the grid of bytes."""
    reach = _KEPT * LONG
    inside = image.detach().cpu().clamp(reach, 1 - reach)
    aside = torch.rand(inside.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    return torch.stack([inside, inside + aside / 255])


def _directions(side: int) -> Tensor:
    """Fixed random directions (SIDE * SIDE, 3, S, S), alike in all channels, each 0 outside of its cell."""
    draws = torch.Generator().manual_seed(derive_seed(0, "probe size"))
    noise = torch.randn(SIDE * SIDE, 1, side, side, generator=draws).clamp(-_KEPT, _KEPT)
    cells = torch.eye(SIDE * SIDE).view(-1, 1, SIDE, SIDE)
    return (noise * functional.interpolate(cells, (side, side))).expand(-1, 3, -1, -1)
