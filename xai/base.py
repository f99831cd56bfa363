"""The contracts of an explanation: a score, a fill, explainers; and how masks become scores, a chunk at a time."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries, probabilities
from xai.sampling_error import SampledMap

Fill = Callable[[Tensor], Tensor]
"""From keep-masks (N, 1, H, W) float32 in [0, 1] to images (N, 3, H, W): where a mask is 1 the frame's own
pixels, where it is 0 what hides them, and a blend between. Built once per frame."""


BEYOND = 9.0
"""How far outside of [0, 1] may be asked: some metrics add noise that leads there; pictures in bytes lie far beyond."""


class Score:
    """The probability of the explained class, for batches of images: the one query path of every explainer."""

    def __init__(self, queries: Queries, target: int, softmaxes: int = 1) -> None:
        """Asks for p(target), where the softmax is taken `softmaxes` times: once for a probability."""
        self.queries = queries
        self.target = target
        self.softmaxes = softmaxes

    @property
    def batch_size(self) -> int:
        """How many images an explainer should make at a time, so that memory does not grow with its samples."""
        return self.queries.batch_size

    def copied(self) -> "Score":
        """The same for another part: what that sets in it, no other sees."""
        return Score(copy.copy(self.queries), self.target, self.softmaxes)

    def __call__(self, images: Tensor) -> Tensor:
        """p(target), (N,) float32, of images (N, 3, H, W) in [0, 1]; InputError for others far outside."""
        chances = self.queries.probabilities(self._required(images))
        for _ in range(self.softmaxes - 1):
            chances = probabilities(chances)
        return chances[:, self.target]

    def log_odds(self, images: Tensor) -> Tensor:
        """log p(target) - log(1 - p(target)), (N,) float32, of such images: what does not saturate."""
        return self.queries.log_odds(self._required(images), self.target)

    def _required(self, images: Tensor) -> Tensor:
        """The images in float32, whatever real numbers they are in. Raises InputError as `_require_images` does."""
        _require_images(images, self.queries.detector.input_size)
        return images.to(torch.float32)


def _require_images(images: Tensor, side: int) -> None:
    """Refuses what is no batch (N, 3, side, side), bytes, and values far outside of [0, 1].

    A detector would say something of all of these.
    """
    if images.ndim != 4 or images.shape[1:] != (3, side, side):
        raise InputError(
            f"the detector was asked about images of shape {tuple(images.shape)}; expected (N, 3, {side}, {side})"
        )
    low, high = images.aminmax() if images.numel() else (0.0, 0.0)
    if not images.is_floating_point() or low < -BEYOND or high > 1 + BEYOND:
        raise InputError(
            f"the detector was asked about images of {images.dtype} from {float(low):g} to {float(high):g}; expected "
            "floating values in [0, 1], which it normalises itself"
        )


class Explainer(Protocol):
    """A method that says how much each pixel matters for a score."""

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """Computes the saliency map (H, W) float32, higher is more important.

        Masks are best made on `image.device`, `score.batch_size` at a time (`chunks`).

        Args:
            score: asks the detector for p(target) of images.
            image: (3, H, W) float32 in [0, 1], the frame to explain.
            segments: (H, W) int32 labels 0..K-1, each of at least one pixel.
            fill: makes images of the frame with pixels hidden, from keep-masks (N, 1, H, W) in [0, 1].
            generator: gives every draw.

        Raises:
            InputError: the frame cannot be explained.
        """
        ...


def uses_segments(part: object) -> bool:
    """Whether an explainer or a background looks at the segments: one that does not says so in `uses_segments`."""
    return bool(getattr(part, "uses_segments", True))


@runtime_checkable
class FrameExplainer(Protocol):
    """What explains each frame by something kept for that very frame."""

    def for_frame(self, key: str) -> Explainer:
        """The explainer of the frame of that key. Raises InputError where there is none."""
        ...


@runtime_checkable
class DetectorSpecificExplainer(Protocol):
    """An explainer that does not suit every detector."""

    def check(self, detector: Detector) -> None:
        """Raises InputError where the detector cannot be explained by it."""
        ...


@runtime_checkable
class FrameSpecificExplainer(Protocol):
    """An explainer that may suit a detector for noise, by which `DetectorSpecificExplainer.check` tries it, alone."""

    def check_on_frame(self, detector: Detector, image: Tensor) -> None:
        """Raises InputError where a frame (3, S, S) cannot be explained by it; once for a detector."""
        ...


@runtime_checkable
class CompiledExplainer(Protocol):
    """An explainer of whose work some is done once in a process, and so belongs to no frame's cost."""

    def warm_up(self, height: int, width: int) -> None:
        """Does that, for images of this height and width in pixels; nothing where it is done."""
        ...


@runtime_checkable
class SampledExplainer(Protocol):
    """An explainer that draws samples, and says from them how far other draws would move its map."""

    def sampled(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> SampledMap:
        """The saliency map with its sampling error; arguments and errors as for `Explainer`."""
        ...


def background(fill: Fill, image: Tensor) -> Tensor:
    """What a fill shows where the whole of an image (3, H, W) is hidden, (3, H, W)."""
    return fill(image.new_zeros(1, 1, *image.shape[1:]))[0]


def chunks(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover 0..count-1."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def score_masks(score: Score, fill: Fill, masks: Iterable[Tensor]) -> np.ndarray:
    """The scores (N,) float64 of the images that `fill` makes of chunks of keep-masks, in order.

    `masks` yields chunks (n, 1, H, W) and is consumed lazily, so that one chunk of images exists at a time.
    """
    return torch.cat([score(fill(chunk)) for chunk in masks]).double().numpy()
