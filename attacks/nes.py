"""Natural evolution strategies: climbs log p(Real) by its derivatives along random directions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.base import Batch, RegionAttack
from detectors.queries import Queries

EXACT, FINITE = "exact", "finite"
DERIVATIVES = (EXACT, FINITE)
"""How derivatives along a direction are taken."""


@dataclass(frozen=True)
class NES(RegionAttack):
    """Estimates the gradient of log p(Real) along random directions and climbs its sign, one step per round.

    The estimate is that of natural evolution strategies (Wierstra et al. 2014) with antithetic pairs, as Ilyas et
    al. (2018, "Black-box adversarial attacks with limited queries and information") attack with it:

        g = 1 / (2 sigma P) * sum_j [ log p(x + sigma u_j) - log p(x - sigma u_j) ] u_j,   u_j ~ N(0, I)
          = 1 / P * sum_j (u_j . d) u_j + O(sigma^2),   d = d log p(x) / d (pixel, channels together)

    The first line is what an attacker measures who can only ask. Whoever evaluates holds the detector, and takes the
    second with the same draws: one pass backward in place of 2 P forward, and no error of differences
    (docs/methods.md). `queries` counts what the attacker would have needed either way.

    One draw per pixel is added to its three channels, so g estimates the derivative along a change that the
    channels share: the sum of their gradients. Draws are made for the region's pixels only; elsewhere u is zero,
    as noise there would add variance to g and nothing else. The probes x +- sigma u are not clamped to [0, 1],
    which would bias g on black and white pixels; what the base makes of the step is.

    Climbing log p takes the same direction as p, and does not underflow where p does. Finite differences: in float32
    a logit between 32 and 64 is known to 4e-6 and a difference is of size 2 sigma |g|, so rounding dominates only
    where |g| < 0.002, where the whole budget on a region of 1000 pixels could move log p by less than 0.01.

    Attributes:
        pairs: antithetic pairs per step, P; a step is worth 2 P queries, and one for the verdict.
        sigma: the standard deviation of the probes, in pixel units; of finite differences alone.
        step: the size of a step, in pixel units.
        steps: how many steps at most.
        derivatives: "exact", along the draws by one pass backward; or "finite", for a detector without gradients.
    """

    pairs: int = 40
    sigma: float = 0.001
    step: float = 1 / 255
    steps: int = 50
    derivatives: str = EXACT

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("pairs", "sigma", "step", "steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.derivatives not in DERIVATIVES:
            raise ValueError(f"derivatives must be {' or '.join(DERIVATIVES)}, got {self.derivatives!r}")

    @property
    def rounds(self) -> int:
        """One round per step."""
        return self.steps

    @property
    def uses_gradients(self) -> bool:
        """Where derivatives are exact."""
        return self.derivatives == EXACT

    def queries_per_round(self, forwards: int) -> int:
        """Two for each pair, however the derivatives are taken."""
        return 2 * self.pairs

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The images one step further along the sign of the estimated gradient."""
        return batch.images + self._in_channels(
            self.step * self.gradient(queries, batch).sign().to(batch.images.device)
        )

    def gradient(self, queries: Queries, batch: Batch) -> Tensor:
        """The estimate of d log p(Real) / d (pixel, channels together), (n, 1, H, W) on the CPU; 0 off the region."""
        pixels = [region.flatten().nonzero()[:, 0] for region in batch.regions.cpu()]
        sums = self._exact(queries, batch, pixels) if self.uses_gradients else self._finite(queries, batch, pixels)
        gradient = torch.zeros(len(pixels), batch.regions[0].numel())
        for row, pixels_of_pair, total in zip(gradient, pixels, sums, strict=True):
            row[pixels_of_pair] = total / self.pairs
        return gradient.view(batch.regions.shape)

    def _in_channels(self, change: Tensor) -> Tensor:
        """What a change of the pixels, (n, 1, H, W), is in each channel, (n, 1 or 3, H, W): the same in all."""
        return change

    def _slopes(self, queries: Queries, batch: Batch) -> Tensor:
        """d of every pair, (n, H, W): how what is climbed rises with a change that the channels share."""
        return batch.gradients.sum(dim=1)

    def _height(self, queries: Queries, images: Tensor) -> Tensor:
        """What is climbed, (n,), at images (n, 3, H, W)."""
        return queries.log_probability(images, queries.detector.real)

    def _exact(self, queries: Queries, batch: Batch, pixels: list[Tensor]) -> list[Tensor]:
        """sum_j (u_j . d) u_j of every pair, on its region's pixels."""
        slopes = self._slopes(queries, batch).flatten(1).cpu()
        sums = []
        for slopes_of_pair, pixels_of_pair, generator in zip(slopes, pixels, batch.generators, strict=True):
            noise = torch.empty(self.pairs, len(pixels_of_pair))
            for draw in noise:  # one by one: the numbers that finite differences draw
                torch.randn(len(draw), generator=generator, out=draw)
            sums.append((noise @ slopes_of_pair[pixels_of_pair]) @ noise)
        return sums

    def _finite(self, queries: Queries, batch: Batch, pixels: list[Tensor]) -> list[Tensor]:
        """sum_j [ log p(x + sigma u_j) - log p(x - sigma u_j) ] / (2 sigma) u_j of every pair, on its region's pixels.

        Directions of all pairs go through the detector together, `queries.batch_size` images at a time, and are
        added up as they come: memory does not grow with `pairs`, and a pair's sum has the same order in any batch.
        """
        sums = [torch.zeros(len(pixels_of_pair)) for pixels_of_pair in pixels]
        owners = [pair for pair in range(len(pixels)) for _ in range(self.pairs)]
        size = max(1, queries.batch_size // 2)
        for start in range(0, len(owners), size):
            chunk = owners[start : start + size]
            noise = [torch.randn(len(pixels[pair]), generator=batch.generators[pair]) for pair in chunk]
            probes = self._probes(batch.images[chunk], [pixels[pair] for pair in chunk], noise)
            above, below = self._height(queries, probes).chunk(2)
            for pair, draw, rise in zip(chunk, noise, ((above - below) / (2 * self.sigma)).tolist(), strict=True):
                sums[pair].add_(draw, alpha=rise)
        return sums

    def _probes(self, images: Tensor, pixels: list[Tensor], noise: list[Tensor]) -> Tensor:
        """x + sigma u of every direction, then x - sigma u of every direction: (2 m, 3, H, W), from (m, 3, H, W)."""
        count, _, height, width = images.shape
        indices = torch.cat([row * height * width + pixels_of_pair for row, pixels_of_pair in enumerate(pixels)])
        shifts = torch.zeros(count * height * width, device=images.device)
        shifts.index_copy_(0, indices.to(images.device), self.sigma * torch.cat(noise).to(images.device))
        shifts = self._in_channels(shifts.view(count, 1, height, width))
        return torch.cat([images + shifts, images - shifts])
