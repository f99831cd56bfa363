"""LIME: a weighted linear model of the score over which segments are shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from xai.base import Fill, Score, chunks, score_masks
from xai.designs import PLAIN, check_draws, coins, ends
from xai.sampling_error import SampledMap, covariance_of_ridge
from xai.stopping import GrowingExplainer


@dataclass(frozen=True)
class LIME(GrowingExplainer):
    """LIME for images (Ribeiro et al. 2016), equal to the lime package's on the same draws.

    Random subsets of the segments are shown, the rest is hidden by the fill. The saliency of a segment is its weight
    in a ridge regression of the score on the subset, where subsets near the whole image count more.

    Attributes:
        samples: how many subsets; the first is the whole image.
        kernel_width: of the exponential kernel on the cosine distance to the whole image.
        alpha: the ridge penalty.
        draws: how subsets are drawn (`xai.designs`): "plain" as published, "complementary" or "balanced"; the weights'
            limit is the same.
    """

    samples: int = 2000
    kernel_width: float = 0.25
    alpha: float = 1.0
    draws: str = PLAIN

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2, got {self.samples}")
        if not self.kernel_width > 0 or not self.alpha >= 0:
            raise ValueError(
                f"kernel_width must be above 0 and alpha at least 0, got {self.kernel_width} and {self.alpha}"
            )
        check_draws(self.draws)

    def growing(
        self,
        score: Score,
        image: Tensor,
        segments: np.ndarray,
        fill: Fill,
        generator: np.random.Generator,
        looks: Sequence[float],
    ) -> Iterator[tuple[float, SampledMap]]:
        """The weight of each pixel's segment, with the regression's error; `samples` forwards in all."""
        design = subsets(self.samples, int(segments.max()) + 1, generator, self.draws)
        labels = torch.from_numpy(segments).to(image.device)
        near = proximity(design, self.kernel_width)
        pairs = None if self.draws == PLAIN else np.arange(self.samples - 1) // 2
        scores = np.empty(0)
        for end in ends(self.samples, looks):
            masks = keep_masks(design[len(scores) : end], labels, score.batch_size)
            scores = np.concatenate([scores, score_masks(score, fill, masks)])
            weights = fit(design[:end], scores, near[:end], self.alpha)
            covariance = covariance_of_ridge(
                design[:end], scores, near[:end], self.alpha, groups=None if pairs is None else pairs[: end - 1]
            )
            yield end / self.samples, SampledMap(weights.astype(np.float32)[segments], covariance)


def subsets(samples: int, features: int, generator: np.random.Generator, draws: str = PLAIN) -> np.ndarray:
    """Random subsets of the features, (samples, features) of 0 and 1, each shown with probability 1/2; first, all."""
    if draws == PLAIN:
        design = coins(samples, features, draws, generator)
        design[0] = 1
        return design
    return np.concatenate([np.ones((1, features), dtype=np.int64), coins(samples - 1, features, draws, generator)])


def keep_masks(design: np.ndarray, segments: Tensor, size: int) -> Iterator[Tensor]:
    """The subsets as keep-masks over the pixels, in chunks (n, 1, H, W) float32 of at most `size`."""
    rows, labels = torch.from_numpy(design).float().to(segments.device), segments.flatten()
    for at in chunks(len(rows), size):
        yield rows[at].index_select(1, labels).view(-1, 1, *segments.shape)


def proximity(design: np.ndarray, kernel_width: float) -> np.ndarray:
    """How near each subset is to the whole image, (samples,) in (0, 1]: sqrt(exp(-d^2 / width^2)).

    The cosine distance d between a subset of m of K features and the whole is 1 - sqrt(m / K).
    """
    distance = 1 - np.sqrt(design.mean(axis=1))
    return np.sqrt(np.exp(-(distance**2) / kernel_width**2))


def fit(design: np.ndarray, scores: np.ndarray, proximities: np.ndarray, alpha: float) -> np.ndarray:
    """The weights (features,) of the ridge regression with intercept of `scores` (samples,) on `design`.

    Scores are taken relative to the whole image's: the intercept takes that up, and weights are exactly zero where
    the scores are all equal.

    Args:
        design: (samples, features) of 0 and 1, the subsets; the first is the whole image.
        scores: (samples,), the score of each subset.
        proximities: (samples,) in (0, 1], the weight of each subset.
        alpha: the ridge penalty, at least 0.
    """
    model = Ridge(alpha=alpha).fit(design, scores - scores[0], sample_weight=proximities)
    return model.coef_
