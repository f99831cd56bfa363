"""SOBOL: the share of the score's variance that each cell of a grid has a part in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor
from torch.nn import functional

from xai.base import Fill, Score, chunks, score_masks
from xai.designs import ends
from xai.sampling_error import SampledMap, covariance_of_total_indices, of_segments
from xai.stopping import GrowingExplainer


@dataclass(frozen=True)
class SOBOL(GrowingExplainer):
    """Total-order Sobol indices of the cells of a grid (Fel et al. 2021, "Look at the Variance!").

    Each cell is shown to a degree in [0, 1]; its index is the share of the score's variance that is lost when that
    degree alone is held fixed, interactions included. It has no sign.

    Attributes:
        grid: cells along each side.
        designs: points of the Sobol sequence, a power of two; designs * (grid^2 + 2) forwards.
    """

    uses_segments: ClassVar[bool] = False
    grid: int = 8
    designs: int = 32

    def __post_init__(self) -> None:
        if self.grid < 1:
            raise ValueError(f"grid must be at least 1, got {self.grid}")
        if self.designs < 2 or self.designs & (self.designs - 1):
            raise ValueError(f"designs must be a power of two and at least 2, got {self.designs}")

    def growing(
        self,
        score: Score,
        image: Tensor,
        segments: np.ndarray,
        fill: Fill,
        generator: np.random.Generator,
        looks: Sequence[float],
    ) -> Iterator[tuple[float, SampledMap]]:
        """The index of each pixel's cell, with its error over the designs."""
        cells = self.grid**2
        a, b = sobol_points(self.designs, cells, generator)
        c = exchanged(a, b)
        scored, done = np.empty((cells + 2, 0)), 0
        for end in ends(self.designs, looks):
            points = np.concatenate([a[done:end], b[done:end], c[:, done:end].reshape(-1, cells)])
            scores = score_masks(score, fill, self._masks(points, image, score.batch_size))
            scored, done = np.concatenate([scored, scores.reshape(cells + 2, -1)], axis=1), end
            yield end / self.designs, self._map(scored[0], scored[1], scored[2:], segments)

    def _map(self, of_a: np.ndarray, of_b: np.ndarray, of_c: np.ndarray, segments: np.ndarray) -> SampledMap:
        numbers = torch.from_numpy(np.stack([total_indices(of_a, of_b, of_c), np.arange(len(of_c))])).float()
        saliency, cell = upsample(numbers.view(2, 1, self.grid, self.grid), segments.shape)[:, 0].numpy()
        covariance = covariance_of_total_indices(of_a, of_b, of_c)
        return SampledMap(saliency, of_segments(covariance, cell.astype(np.int64), segments))

    def _masks(self, points: np.ndarray, image: Tensor, size: int) -> Iterator[Tensor]:
        grids = torch.from_numpy(points.astype(np.float32)).view(-1, 1, self.grid, self.grid).to(image.device)
        for at in chunks(len(grids), size):
            yield upsample(grids[at], image.shape[1:])


def sobol_points(designs: int, dimensions: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two independent designs A and B, each (designs, dimensions) in [0, 1), of one scrambled Sobol sequence."""
    points = qmc.Sobol(2 * dimensions, scramble=True, rng=generator).random(designs)
    return points[:, :dimensions], points[:, dimensions:]


def exchanged(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The designs C_i, (D, N, D): A with its column i taken from B."""
    designs = np.repeat(a[None], a.shape[1], axis=0)
    column = np.arange(a.shape[1])
    designs[column, :, column] = b.T
    return designs


def total_indices(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Total-order Sobol indices (D,) by Jansen's estimator (Jansen 1999): mean((f(A) - f(C_i))^2) / (2 Var f).

    `a` and `b` are the values (N,) on A and B, `c` those (D, N) on the C_i. The variance is that of A and B together,
    the only use of B's own values. All zero where the values do not vary.
    """
    variance = np.concatenate([a, b]).var(ddof=1)
    if variance == 0:
        return np.zeros(len(c))
    return ((a - c) ** 2).mean(axis=1) / (2 * variance)


def upsample(grids: Tensor, size: tuple[int, ...]) -> Tensor:
    """Grids (N, 1, g, g) as maps (N, 1, H, W): every pixel has the value of its cell."""
    return functional.interpolate(grids, tuple(size), mode="nearest")
