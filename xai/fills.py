"""What hides a pixel: backgrounds for a frame, and the one composition that all fills share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from xai.base import Fill

Background = Callable[[Tensor, np.ndarray, Sequence[float]], Tensor]
"""From a frame's image (3, H, W) in [0, 1], its segments (H, W) and the detector's mean colour to the image
(3, H, W) float32 that shows where the frame is hidden."""

_BEYOND = 1e-4  # how far from [0, 1] rounding may bring masks, as where they are enlarged


def composite(image: Tensor, background: Tensor) -> Fill:
    """The fill keep * image + (1 - keep) * background; exactly the image where keep is 1, the background where 0.

    `image` and `background` are (3, H, W); the masks may be on another device. It refuses masks outside of [0, 1]
    (InputError), which would go beyond both.
    """

    def fill(keep: Tensor) -> Tensor:
        low, high = keep.aminmax() if keep.numel() else (0.0, 1.0)
        if low < -_BEYOND or high > 1 + _BEYOND:
            raise InputError(f"masks from {float(low):g} to {float(high):g} hide pixels; expected numbers in [0, 1]")
        return torch.lerp(background, image, keep.to(image))

    return fill


@dataclass(frozen=True)
class Zero:
    """Hides pixels in black."""

    uses_segments: ClassVar[bool] = False

    def __call__(self, image: Tensor, segments: np.ndarray, mean: Sequence[float]) -> Tensor:
        """A black image, (3, H, W)."""
        return torch.zeros_like(image)


@dataclass(frozen=True)
class Mean:
    """Hides pixels in the detector's mean colour: what zero means to its normalised input."""

    uses_segments: ClassVar[bool] = False

    def __call__(self, image: Tensor, segments: np.ndarray, mean: Sequence[float]) -> Tensor:
        """An image of one colour, (3, H, W)."""
        return torch.tensor(mean).to(image)[:, None, None].expand_as(image).contiguous()


@dataclass(frozen=True)
class SegmentMean:
    """Hides a segment in its own mean colour, as LIME does for images by default (Ribeiro et al. 2016)."""

    def __call__(self, image: Tensor, segments: np.ndarray, mean: Sequence[float]) -> Tensor:
        """Each segment in one colour, (3, H, W)."""
        labels = segments.ravel()
        channels = image.detach().cpu().double().numpy().reshape(3, -1)
        sums = np.stack([np.bincount(labels, weights=channel) for channel in channels])
        colours = (sums / np.bincount(labels))[:, segments]
        return torch.from_numpy(colours).float().to(image)


@dataclass(frozen=True)
class Blur:
    """Hides pixels in a box blur of the image, as shap's image masker "blur(kernel,kernel)" does.

    Attributes:
        kernel: the side of the box in pixels.
    """

    uses_segments: ClassVar[bool] = False
    kernel: int = 128

    def __post_init__(self) -> None:
        if self.kernel < 1:
            raise ValueError(f"kernel must be at least 1, got {self.kernel}")

    def __call__(self, image: Tensor, segments: np.ndarray, mean: Sequence[float]) -> Tensor:
        """The blurred image, (3, H, W)."""
        pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
        blurred = cv2.blur(pixels, (self.kernel, self.kernel))
        return torch.from_numpy(blurred).permute(2, 0, 1).contiguous().to(image)
