"""The contracts of an explanation: a score, a fill, an explainer."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from detectors.queries import Queries

Fill = Callable[[Tensor], Tensor]
"""From keep-masks (N, 1, H, W) float32 in [0, 1] to images (N, 3, H, W): where a mask is 1 the frame's own
pixels, where it is 0 what hides them, and a blend between. Built once per frame."""


class Score:
    """The probability of the explained class, for batches of images: the one query path of every explainer."""

    def __init__(self, queries: Queries, target: int) -> None:
        self.queries = queries
        self.target = target

    @property
    def batch_size(self) -> int:
        """How many images an explainer should make at a time, so that memory does not grow with its samples."""
        return self.queries.batch_size

    def __call__(self, images: Tensor) -> Tensor:
        """p(target), (N,) float32, of images (N, 3, H, W) in [0, 1]."""
        return self.queries.probabilities(images)[:, self.target]


class Explainer(Protocol):
    """A method that says how much each pixel matters for a score."""

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The saliency map (H, W) float32, higher is more important.

        `image` is (3, H, W) float32 in [0, 1], `segments` (H, W) labels 0..K-1. Every draw comes from `generator`.
        """
        ...


def torch_generator(generator: np.random.Generator) -> torch.Generator:
    """A torch generator (CPU) seeded by the next draw of a numpy one."""
    return torch.Generator().manual_seed(int(generator.integers(2**63 - 1)))
