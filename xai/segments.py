"""The superpixels that every method's explanation of a frame is ranked over."""

from dataclasses import dataclass

import numpy as np
from skimage.segmentation import slic
from torch import Tensor

from common.errors import InputError

FEWEST = 3  # regions of the top 1, 2 and 3 segments are attacked


@dataclass(frozen=True)
class Segments:
    """Divides an image into superpixels by SLIC (Achanta et al. 2012), as scikit-image implements it.

    Attributes:
        count: about how many segments; SLIC makes somewhat fewer or more.
        compactness: weight of nearness in space against nearness in colour (CIELAB); higher is squarer.
        sigma: width in pixels of the Gaussian that smooths the image first; 0 is none.
    """

    count: int = 50
    compactness: float = 10.0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.count < FEWEST:
            raise ValueError(f"count must be at least {FEWEST}, got {self.count}")
        if not self.compactness > 0 or not self.sigma >= 0:
            raise ValueError(f"compactness must be above 0 and sigma at least 0, got {self.compactness}, {self.sigma}")

    def __call__(self, image: Tensor) -> np.ndarray:
        """The segment of each pixel, (H, W) int32: labels 0..K-1, none of them empty.

        `image` is (3, H, W) float32 RGB in [0, 1]. Raises InputError for an image that falls into fewer than three
        segments, as one of pure noise may.
        """
        pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
        labels = slic(
            pixels,
            n_segments=self.count,
            compactness=self.compactness,
            sigma=self.sigma,
            start_label=0,
            channel_axis=-1,
        )
        found, consecutive = np.unique(labels, return_inverse=True)
        if len(found) < FEWEST:
            raise InputError(
                f"the image falls into {len(found)} segment(s) and at least {FEWEST} are needed: is it noise, or too "
                f"small? Otherwise raise segments.sigma or segments.compactness"
            )
        return consecutive.reshape(labels.shape).astype(np.int32)
