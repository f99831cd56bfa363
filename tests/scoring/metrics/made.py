"""Cases with known answers: a detector whose probability is linear in the pixels, and its true contributions."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from common.seeds import generator
from detectors import Detector, Queries
from scoring.metrics.base import Case, Explain
from tests.toys import LinearProbability
from xai.base import Score

SIDE = 12


def linear(seed: int = 0, side: int = SIDE, signed: bool = False) -> LinearProbability:
    """p = 0.05 + w . x with w >= 0 that sums to 0.9, alike in the three channels; `signed` makes half of w negative."""
    weight = np.tile(np.random.default_rng(seed).random((1, side, side)), (3, 1, 1))
    weight *= 0.9 / weight.sum()
    if signed:
        weight[:, ::2] *= -1
    return LinearProbability(torch.from_numpy(weight).float(), 0.5 if signed else 0.05)


def frame(seed: int = 0, side: int = SIDE) -> Tensor:
    """A grey random frame, (3, side, side): its channels are alike."""
    grey = np.random.default_rng(seed + 100).uniform(0.2, 0.9, (1, side, side)).astype(np.float32)
    return torch.from_numpy(np.tile(grey, (3, 1, 1)))


def contributions(detector: LinearProbability, image: Tensor, background: Tensor) -> np.ndarray:
    """What each pixel adds to p over the background, (H, W): the one true attribution."""
    return (detector.weight.detach() * (image - background)).sum(0).double().numpy()


def squares(side: int = SIDE, count: int = 4) -> np.ndarray:
    """A grid of count x count segments."""
    rows = np.arange(side) * count // side
    return rows[:, None] * count + rows


def case(
    detector: Detector,
    image: Tensor,
    saliency: np.ndarray,
    mask: np.ndarray | None = None,
    segments: np.ndarray | None = None,
    background: Tensor | None = None,
    explain: Explain | None = None,
    batch_size: int = 16,
    target: int = 1,
    seed: int = 0,
    draws: Callable[[str], np.random.Generator] | None = None,
) -> Case:
    """A case on a black background, with 16 square segments, unless told otherwise."""
    return Case(
        score=Score(Queries(detector, batch_size), target),
        image=image,
        saliency=saliency,
        segments=squares(image.shape[-1]) if segments is None else segments,
        mask=mask,
        background=torch.zeros_like(image) if background is None else background,
        explain=explain,
        draws=draws or (lambda purpose: generator(seed, "frame", purpose)),
    )


def linear_case(seed: int = 0, saliency: np.ndarray | None = None, mask: np.ndarray | None = None) -> Case:
    """The linear detector on a frame, explained by its true contributions unless another map is given."""
    detector, image = linear(seed), frame(seed)
    true = contributions(detector, image, torch.zeros_like(image))
    return case(detector, image, true if saliency is None else saliency, mask)
