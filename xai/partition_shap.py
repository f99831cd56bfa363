"""SHAP: Owen values of the pixels over a tree of ever smaller rectangles."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
import shap
import torch
from torch import Tensor

from xai.base import Fill, Score, background, chunks, score_masks
from xai.completeness import Completeness


@dataclass(frozen=True)
class SHAP:
    """Partition SHAP (Lundberg & Lee 2017; Owen values), computed by shap's PartitionExplainer.

    The image is split in two again and again; the search goes on where the score changes most, until the evaluations
    are spent, and a part that was not split shares its value equally among its pixels.

    shap's own image masker splits a pixel further into its three channels. Here a pixel is shown or hidden whole, so
    a saliency is what shap's values sum to over the channels, for a third of the memory. The two searches ask for
    the same images, unless shap's reaches single pixels and spends evaluations below them.

    Attributes:
        evaluations: forwards at most (one more where the last split needs two).
        batch: how many evaluations the search plans before it sees their results. That shapes the search, so it
            belongs to the method and does not follow the detector's batch size; 50 is the published code's.
    """

    uses_segments: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True  # its draws only break ties between equal parts

    evaluations: int = 2000
    batch: int = 50

    def __post_init__(self) -> None:
        if self.evaluations < 4:
            raise ValueError(f"evaluations must be at least 4, got {self.evaluations}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """Each pixel's value, (H, W) float32; they sum to score(image) - score(everything hidden)."""
        height, width = image.shape[1:]

        def scores(shown: np.ndarray) -> np.ndarray:
            masks = torch.from_numpy(shown).view(-1, 1, height, width)
            return score_masks(
                score, fill, (masks[at].to(image.device).float() for at in chunks(len(masks), score.batch_size))
            )

        explainer = shap.PartitionExplainer(scores, _PixelMasker(height, width))
        with _global_numpy_seed(int(generator.integers(2**32))):
            result = explainer(
                np.ones((1, height, width), dtype=bool), max_evals=self.evaluations, batch_size=self.batch, silent=True
            )
        return result.values[0].astype(np.float32)

    def warm_up(self, height: int, width: int) -> None:
        """Has numba compile what shap runs, and splits an image of this height and width: many seconds, once."""
        _compile()
        _rectangles(height, width)

    def completeness(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, saliency: np.ndarray
    ) -> Completeness:
        """What a map adds up to, and what it should (`xai.completeness`)."""
        frame, hidden = score(torch.stack([image, background(fill, image)])).tolist()
        return Completeness(float(saliency.sum(dtype=np.float64)), frame - hidden)


class _PixelMasker:
    """A masker, as shap calls it, whose masked input is the mask itself: the fill makes the images."""

    immutable_outputs = True

    def __init__(self, height: int, width: int) -> None:
        self.shape = (1, height * width)
        self.clustering = _rectangles(height, width)

    def __call__(self, mask: np.ndarray, image: np.ndarray) -> tuple[np.ndarray]:
        return (mask[None],)


@lru_cache(maxsize=4)
def _rectangles(height: int, width: int) -> np.ndarray:
    """shap's tree of axis-aligned splits, down to single pixels."""
    return shap.maskers.Image(0, (height, width, 1)).clustering


@cache
def _compile() -> None:
    explainer = shap.PartitionExplainer(lambda shown: shown.mean(axis=-1), _PixelMasker(2, 4))
    with _global_numpy_seed(0):
        explainer(np.ones((1, 2, 4), dtype=bool), max_evals=8, batch_size=4, silent=True)


@contextmanager
def _global_numpy_seed(seed: int) -> Iterator[None]:
    """Seeds numpy's global state, by which shap breaks ties between equal parts, and gives it back as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
