"""Explainers as a user might write them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from xai.base import Fill, Score, chunks, score_masks
from xai.completeness import Completeness


@dataclass(frozen=True)
class Occlusion:
    """How much the score falls when a segment is hidden."""

    scale: float = 1.0

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        count = int(segments.max()) + 1
        keep = np.stack([segments != label for label in range(count)] + [np.ones_like(segments)])[:, None]
        masks = image.new_tensor(keep)
        scores = score_masks(score, fill, (masks[at] for at in chunks(len(masks), score.batch_size)))
        return (self.scale * (scores[-1] - scores[:-1])).astype(np.float32)[segments]


class Promising:
    """Promises that its maps add up to 7."""

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        return np.ones(segments.shape, dtype=np.float32)

    def completeness(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, saliency: np.ndarray
    ) -> Completeness:
        return Completeness(float(saliency.sum()), 7.0)


def darkness(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Dark pixels matter."""
    return 1 - image.mean(dim=0).cpu().numpy()


def undefined(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """A saliency map that is not a number."""
    return np.full(segments.shape, np.nan, dtype=np.float32)


def flat(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """One number per segment instead of a map."""
    return np.zeros(int(segments.max()) + 1, dtype=np.float32)


class NeedsArguments:
    """An explainer that cannot be made without arguments."""

    def __init__(self, network: str) -> None:
        self.network = network


NUMBER = 3
