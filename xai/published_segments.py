"""How the published evaluation divides frames, method by method: quickshift, and SLIC on the normalised image."""

from dataclasses import dataclass

import numpy as np
import torch
from skimage.segmentation import quickshift
from torch import Tensor

from xai.segments import Segments


@dataclass(frozen=True)
class Quickshift:
    """Quickshift (Vedaldi and Soatto 2008) as the lime package divides an image by default.

    Attributes:
        kernel_size: width of the Gaussian kernel, in pixels.
        max_distance: over which two pixels are never joined; higher means fewer segments.
        ratio: weight of nearness in colour against nearness in space, in [0, 1].
    """

    kernel_size: float = 4.0
    max_distance: float = 200.0
    ratio: float = 0.2

    def __call__(self, image: Tensor) -> np.ndarray:
        """The segment of each pixel, (H, W) int32 from 0 without gaps, of an image (3, H, W) in [0, 1].

        There may be fewer than three, even one: the published evaluation then leaves LIME's row of the frame out.
        """
        pixels = image.detach().cpu().permute(1, 2, 0).double().contiguous().numpy()
        labels = quickshift(pixels, ratio=self.ratio, kernel_size=self.kernel_size, max_dist=self.max_distance, rng=0)
        _, consecutive = np.unique(labels, return_inverse=True)
        return consecutive.reshape(labels.shape).astype(np.int32)


@dataclass(frozen=True)
class NormalisedSegments:
    """Divides the image as the detector's normalisation leaves it, (image - mean) / std.

    SLIC stretches its input to [0, 1] and takes it for colours: so every pixel is another colour than in the frame, and
    the segments are others.

    Attributes:
        segments: how it is divided.
        mean, std: of the normalisation, RGB.
    """

    segments: Segments
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor) -> np.ndarray:
        """The segment of each pixel, (H, W) int32, of an image (3, H, W) in [0, 1]. Raises as `Segments` does."""
        mean, std = (torch.tensor(values).to(image).view(3, 1, 1) for values in (self.mean, self.std))
        return self.segments((image - mean) / std)
