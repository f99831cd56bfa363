"""How far a filtered image may be from the image it was: bounds that keep the attack invisible."""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import InputError

PSNR, LINF = "psnr", "linf"
_INSIDE = 1 - 1e-5  # of the bound, so that float32 rounding of image + change does not cross it
_TINY = 1e-12


@dataclass(frozen=True)
class Fidelity:
    """A bound on each image's change, whatever the filter.

    Attributes:
        measure: "psnr", the peak signal-to-noise ratio, or "linf", the largest change of a value.
        bound: the floor in dB, above 0; or the largest change in pixel units, in (0, 1].
    """

    measure: str
    bound: float

    def __post_init__(self) -> None:
        if self.measure not in (PSNR, LINF):
            raise InputError(f"unknown measure of fidelity {self.measure!r}; known: {PSNR}, {LINF}")
        if not (math.isfinite(self.bound) and self.bound > 0) or (self.measure == LINF and self.bound > 1):
            raise InputError(
                f"a fidelity of {self} cannot be kept: {PSNR} is a floor in dB above 0, {LINF} lies in (0, 1]"
            )

    @classmethod
    def parse(cls, text: str) -> "Fidelity":
        """ "psnr:30" (dB) or "linf:8/255" (pixel units). Raises InputError for anything else."""
        match = re.fullmatch(r"(psnr|linf):(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?", text.strip())
        if match is None or (match[3] is not None and float(match[3]) == 0):
            raise InputError(f"fidelity {text!r} is not understood; write psnr:30 (a floor in dB) or linf:8/255")
        return cls(match[1], float(match[2]) / float(match[3] or 1))

    def __str__(self) -> str:
        if self.measure == LINF and math.isclose(255 * self.bound, round(255 * self.bound), abs_tol=1e-9):
            return f"linf:{round(255 * self.bound)}/255"
        return f"{self.measure}:{self.bound:.10g}"

    @property
    def root_mean_square(self) -> float:
        """The root mean square of the largest change that the bound allows."""
        return self.bound if self.measure == LINF else 10 ** (-self.bound / 20)

    def project(self, change: Tensor) -> Tensor:
        """The nearest changes (N, 3, H, W) within the bound, each image's by itself; those within it stay.

        An L-infinity ball's projection clamps values. A PSNR of P dB means a mean square of 10^(-P/10) for values in
        [0, 1], so its ball is Euclidean and the projection scales.
        """
        if self.measure == LINF:
            limit = self.bound * _INSIDE
            # the gradient passes as if nothing were clamped: else a filter at its bound everywhere learns no more
            return change.detach().clamp(-limit, limit) + (change - change.detach())
        largest = 10 ** (-self.bound / 10) * _INSIDE
        square = change.square().mean(dim=(1, 2, 3), keepdim=True)
        return change * (largest / square.clamp_min(_TINY)).clamp_max(1.0).sqrt()


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """The peak signal-to-noise ratio in dB, (N,), of pairs of images (N, 3, H, W) in [0, 1]; infinite where equal."""
    square = (images.double() - others.double()).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(square)
