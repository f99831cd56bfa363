"""Removing pixels by rank: the one computation that perturbation metrics share."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scoring.metrics.base import Case
from xai.base import chunks, score_masks
from xai.fills import composite
from xai.ranking import rank


def pixel_ranks(saliency: np.ndarray) -> np.ndarray:
    """Each pixel's place when the most salient comes first, (H, W) int64 from 0; ties by row, then column."""
    return _ranks(-saliency.astype(np.float64))


def reversed_ranks(saliency: np.ndarray) -> np.ndarray:
    """Each pixel's place when the least salient comes first, ties again by row, then column."""
    return _ranks(saliency.astype(np.float64))


def segment_ranks(saliency: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The place of each pixel's segment when the segment of the highest mean saliency comes first, (H, W)."""
    ranking = rank(saliency, segments)
    ranks = np.empty_like(ranking)
    ranks[ranking] = np.arange(len(ranking))
    return ranks[segments]


def scores_by_rank(
    case: Case, ranks: np.ndarray, counts: Sequence[int], start: Tensor | None = None, end: Tensor | None = None
) -> np.ndarray:
    """p(target), (N,) float64, of one picture once its first pixels by rank show another instead.

    Args:
        case: what is judged; its detector is asked in batches.
        ranks: (H, W), each pixel's number from 0 in the order in which pixels change.
        counts: N numbers of pixels: those of a lower rank show `end`.
        start: (3, H, W) in [0, 1]; None for the frame.
        end: (3, H, W) in [0, 1]; None for the case's background.
    """
    first = case.image if start is None else start
    last = case.background if end is None else end
    rank_of_pixel = torch.from_numpy(ranks).to(case.image.device)
    limits = torch.tensor(list(counts), device=case.image.device)[:, None, None, None]
    masks = ((rank_of_pixel >= limits[at]).float() for at in chunks(len(counts), case.score.batch_size))
    return score_masks(case.score, composite(first, last), masks)


def even_counts(total: int, steps: int) -> list[int]:
    """0 to `total` in `steps` even steps (fewer where there is less to count), rounded; both ends included."""
    steps = min(steps, total)
    return [round(step * total / steps) for step in range(steps + 1)]


def area(scores: np.ndarray, counts: Sequence[int]) -> float:
    """The area under a curve over the share removed, 0 to 1, by the trapezoidal rule."""
    return float(np.trapezoid(scores, np.asarray(counts) / counts[-1]))


def shares_to_counts(shares: Sequence[float], total: int) -> list[int]:
    """How many pixels each share of them is, rounded, at least one."""
    return [max(1, round(share * total)) for share in shares]


def _ranks(keys: np.ndarray) -> np.ndarray:
    order = np.argsort(keys, axis=None, kind="stable")
    ranks = np.empty(order.size, dtype=np.int64)
    ranks[order] = np.arange(order.size)
    return ranks.reshape(keys.shape)
