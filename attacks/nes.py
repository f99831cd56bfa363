"""Natural evolution strategies: climbs log p(Real) by finite differences along random directions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.base import Batch, RegionAttack
from detectors.queries import Queries


@dataclass(frozen=True)
class NES(RegionAttack):
    """Estimates the gradient of log p(Real) from queries alone and climbs its sign, one step per round.

    The estimate is that of natural evolution strategies (Wierstra et al. 2014) with antithetic pairs, as Ilyas et
    al. (2018, "Black-box adversarial attacks with limited queries and information") attack with it:

        g = 1 / (2 sigma P) * sum_j [ log p(x + sigma u_j) - log p(x - sigma u_j) ] u_j,   u_j ~ N(0, I)

    One draw per pixel is added to its three channels, so g estimates the derivative along a change that the
    channels share: the sum of their gradients. Draws are made for the region's pixels only; elsewhere u is zero,
    as noise there would add variance to g and nothing else. The probes x +- sigma u are not clamped to [0, 1],
    which would bias g on black and white pixels; what the base makes of the step is.

    Climbing log p takes the same direction as p, and does not underflow where p does. In float32 a logit between
    32 and 64 is known to 4e-6 and a difference is of size 2 sigma |g|, so rounding dominates only where
    |g| < 0.002, where the whole budget on a region of 1000 pixels could move log p by less than 0.01.

    Attributes:
        pairs: antithetic pairs per step, P; a step costs 2 P forwards, and one for the verdict.
        sigma: the standard deviation of the probes, in pixel units.
        step: the size of a step, in pixel units.
        steps: how many steps at most.
    """

    pairs: int = 40
    sigma: float = 0.001
    step: float = 1 / 255
    steps: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("pairs", "sigma", "step", "steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def rounds(self) -> int:
        """One round per step."""
        return self.steps

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The images one step further along the sign of the estimated gradient."""
        return batch.images + self.step * self.gradient(queries, batch).sign().to(batch.images.device)

    def gradient(self, queries: Queries, batch: Batch) -> Tensor:
        """The estimate of d log p(Real) / d (pixel, channels together), (n, 1, H, W) on the CPU; 0 off the region.

        Directions of all pairs are put through the detector together, `queries.batch_size` images at a time, and
        added up as they come, so memory does not grow with `pairs`.
        """
        regions = [region.flatten().nonzero()[:, 0] for region in batch.regions.cpu()]
        total = torch.zeros(batch.regions.shape)
        owners = torch.arange(len(regions)).repeat_interleave(self.pairs)
        for owner in owners.split(max(1, queries.batch_size // 2)):
            noise = torch.zeros(len(owner), *total.shape[1:])
            for plane, pair in zip(noise, owner.tolist(), strict=True):
                draw = torch.randn(len(regions[pair]), generator=batch.generators[pair])
                plane.view(-1)[regions[pair]] = draw
            rise = self._rise(queries, batch.images[owner.to(batch.images.device)], noise)
            total.index_add_(0, owner, rise[:, None, None, None] * noise)
        return total / (2 * self.sigma * self.pairs)

    def _rise(self, queries: Queries, images: Tensor, noise: Tensor) -> Tensor:
        """log p(Real | x + sigma u) - log p(Real | x - sigma u), (m,)."""
        shift = self.sigma * noise.to(images.device)
        log_p = queries.log_probability(torch.cat([images + shift, images - shift]), queries.detector.real)
        above, below = log_p.chunk(2)
        return above - below
