"""Baselines that rank a frame's segments without asking the detector."""

from dataclasses import replace

import numpy as np
from skimage.color import rgb2gray
from skimage.filters import sobel
from torch import Tensor

from common.seeds import generator
from scoring.baselines.table import BOTTOM, CENTRE, EDGES, MASK, RANDOM
from xai.ranking import rank
from xai.regions import Ranking


def random(segments: np.ndarray, draws: int, seed: int, key: str) -> list[Ranking]:
    """Rankings that know nothing: a permutation of the segments for each draw.

    Args:
        segments: (H, W) labels 0..K-1.
        draws: how many rankings.
        seed: with `key`, of every draw.
        key: the frame's name.
    """
    count = int(segments.max()) + 1
    return [Ranking(generator(seed, key, RANDOM, draw).permutation(count), RANDOM, draw=draw) for draw in range(draws)]


def bottom(ranking: Ranking) -> Ranking:
    """A ranking read from its end: what the method ranks last (fewer flips than at random, if it knows)."""
    return replace(
        ranking,
        order=ranking.order[::-1].copy(),
        method=BOTTOM,
        of=ranking.method,
        completeness_error=None,
        stability=None,
    )


def face_centre(segments: np.ndarray) -> Ranking:
    """Segments by the distance of their centre of mass to the frame's centre: crops are centred on the face."""
    height, width = segments.shape
    labels, areas = segments.ravel(), np.bincount(segments.ravel())
    rows, columns = np.divmod(np.arange(segments.size), width)
    y, x = (np.bincount(labels, weights=at.astype(float)) / areas for at in (rows, columns))
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return Ranking(np.argsort(distance, kind="stable"), CENTRE)


def edges(segments: np.ndarray, image: Tensor) -> Ranking:
    """Segments by the mean magnitude of the grey image's gradient (Sobel); `image` is (3, H, W) in [0, 1]."""
    grey = rgb2gray(image.detach().cpu().permute(1, 2, 0).numpy())
    return Ranking(rank(sobel(grey).astype(np.float32), segments), EDGES)


def mask(segments: np.ndarray, manipulated: np.ndarray) -> Ranking:
    """Segments by the share of their pixels that was truly manipulated; `manipulated` is (H, W) bool."""
    return Ranking(rank(manipulated.astype(np.float32), segments), MASK)
