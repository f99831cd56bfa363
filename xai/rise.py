"""RISE: how high the score is, on average, when a pixel is shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xai.base import Fill, Score, chunks
from xai.designs import PLAIN, block_size, check_draws, coins, ends
from xai.sampling_error import Covariance, SampledMap, covariance_of_masks
from xai.stopping import GrowingExplainer

LEAST_BLOCKS = 6  # of masks that were drawn together, to say from their spread how far others would move the map


@dataclass(frozen=True)
class RISE(GrowingExplainer):
    """Randomized input sampling for explanation (Petsiuk et al. 2018).

    Coarse random grids are upsampled, shifted at random and used as masks; the saliency is the sum of the masks
    weighted by their scores, over samples * keep: an estimate of the score's mean given that a pixel is shown.

    Attributes:
        samples: how many masks, and forwards.
        cells: cells of a grid along each side.
        keep: the probability that a cell is shown.
        centred: weight by the scores' deviations from their mean, and add the mean back. The expectation is the same,
            without the noise of how often a pixel happened to be shown, which outweighs the rest where the score
            varies little from mask to mask. The paper's estimator is not centred.
        draws: how grids are drawn (`xai.designs`): "plain" as published, "complementary" or "balanced", where a grid
            and its complement are shifted alike; the expectation is the same. All but plain need keep = 0.5.
    """

    uses_segments: ClassVar[bool] = False
    samples: int = 4000
    cells: int = 7
    keep: float = 0.5
    centred: bool = False
    draws: str = PLAIN

    def __post_init__(self) -> None:
        if self.samples < 1 or self.cells < 1:
            raise ValueError(f"samples and cells must be at least 1, got {self.samples} and {self.cells}")
        if not 0 < self.keep < 1:
            raise ValueError(f"keep must be between 0 and 1, got {self.keep}")
        check_draws(self.draws)
        if self.draws != PLAIN and self.keep != 0.5:
            raise ValueError(f"draws must be {PLAIN} where keep is not 0.5, got {self.draws!r} and {self.keep}")

    def growing(
        self,
        score: Score,
        image: Tensor,
        segments: np.ndarray,
        fill: Fill,
        generator: np.random.Generator,
        looks: Sequence[float],
    ) -> Iterator[tuple[float, SampledMap]]:
        """The weighted mean of the masks, with its error over them."""
        height, width = image.shape[1:]
        block = block_size(self.cells**2, self.draws)
        grids, shifts = self._drawn((height, width), generator)
        means = membership(segments).to(image.device)
        weighted, shown = np.zeros((height, width)), np.zeros((height, width))
        scores, kept, done = [], [], 0
        for end in ends(self.samples, looks, block):
            for at in (slice(done + part.start, done + part.stop) for part in chunks(end - done, score.batch_size)):
                masks = upsample(grids[at].to(image.device), shifts[at], (height, width))
                chunk = score(fill(masks)).to(image.device)
                weighted += torch.tensordot(chunk, masks[:, 0], dims=1).cpu().numpy()
                shown += masks[:, 0].sum(dim=0).cpu().numpy()
                scores.append(chunk.double().cpu())
                kept.append((masks[:, 0].flatten(1) @ means).double().cpu())
            done = end
            every = torch.cat(scores).numpy()
            mean = float(every.mean()) if self.centred else 0.0
            saliency = (mean + (weighted - mean * shown) / (end * self.keep)).astype(np.float32)
            yield end / self.samples, SampledMap(saliency, self._covariance(torch.cat(kept).numpy(), every, block))

    def _drawn(self, size: tuple[int, int], generator: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        """The grids (samples, 1, cells, cells) and the shifts (samples, 2); a grid's complement has its shift."""
        if self.draws == PLAIN:
            grids = draw_grids(self.samples, self.cells, self.keep, generator)
            return grids, draw_shifts(self.samples, self.cells, size, generator)
        subsets = coins(self.samples, self.cells**2, self.draws, generator)
        shifts = draw_shifts(-(-self.samples // 2), self.cells, size, generator)
        grids = torch.from_numpy(subsets).float().view(-1, 1, self.cells, self.cells)
        return grids, np.repeat(shifts, 2, axis=0)[: self.samples]

    def _covariance(self, kept: np.ndarray, scores: np.ndarray, block: int) -> Covariance:
        if block == 1:
            return covariance_of_masks(kept, scores, self.keep, self.centred)
        groups = np.arange(len(scores)) // block
        if groups[-1] + 1 < LEAST_BLOCKS:
            return None
        return covariance_of_masks(kept, scores, self.keep, self.centred, groups)


def draw_grids(samples: int, cells: int, keep: float, generator: np.random.Generator) -> Tensor:
    """Draws coarse masks (samples, 1, cells, cells) float32 of 0 and 1.

    Args:
        samples: how many, at least 1.
        cells: along each side, at least 1.
        keep: the probability that a cell is 1, in (0, 1).
        generator: gives the draws.
    """
    return torch.from_numpy((generator.random((samples, 1, cells, cells)) < keep).astype(np.float32))


def draw_shifts(samples: int, cells: int, size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Draws where each mask is cropped, (samples, 2): row and column, uniform over the pixels of one upsampled cell.

    Args:
        samples: how many masks, at least 1.
        cells: of a mask along each side, at least 1.
        size: height and width of the image in pixels.
        generator: gives the draws.
    """
    return generator.integers(0, _cell_sides(cells, size), size=(samples, 2))


def upsample(grids: Tensor, shifts: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Masks (N, 1, H, W) in [0, 1]: grids upsampled bilinearly to one cell more than the image, cropped at `shifts`."""
    height, width = size
    cells = grids.shape[-1]
    sides = [(cells + 1) * side for side in _cell_sides(cells, size)]
    large = functional.interpolate(grids, sides, mode="bilinear", align_corners=False)
    crops = [mask[:, y : y + height, x : x + width] for mask, (y, x) in zip(large, shifts.tolist(), strict=True)]
    return torch.stack(crops)


def membership(segments: np.ndarray) -> Tensor:
    """What a map's pixels are multiplied by to give its means in the segments, (H * W, K) float32.

    `segments` is (H, W) with labels 0..K-1.
    """
    labels = torch.from_numpy(segments).long().flatten()
    of_segment = functional.one_hot(labels).float()
    return of_segment / of_segment.sum(dim=0)


def _cell_sides(cells: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of an upsampled cell, rounded up so that every crop lies inside."""
    return -(-size[0] // cells), -(-size[1] // cells)
