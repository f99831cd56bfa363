"""The superpixels that every method's explanation of a frame is ranked over."""

from dataclasses import dataclass

import numpy as np
from skimage.segmentation import slic
from torch import Tensor

from common.errors import InputError

FEWEST = 3  # regions of the top 1, 2 and 3 segments are attacked
FEW = 0.5  # of the segments asked for: with fewer, regions are twice as large as those of other frames
SLIC, GRID = "slic", "grid"


@dataclass(frozen=True)
class Segments:
    """Divides an image into superpixels by SLIC (Achanta et al. 2012), as scikit-image implements it, or into a grid.

    Attributes:
        count: about how many segments; SLIC makes somewhat fewer or more, a grid the nearest square number.
        kind: "slic", or "grid" for equal rectangles that know nothing of the image.
        compactness: weight of nearness in space against nearness in colour (CIELAB); higher is squarer.
        sigma: width in pixels of the Gaussian that smooths the image first; 0 is none.
    """

    count: int = 50
    kind: str = SLIC
    compactness: float = 10.0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in (SLIC, GRID):
            raise ValueError(f"kind must be {SLIC} or {GRID}, got {self.kind!r}")
        if self.count < FEWEST:
            raise ValueError(f"count must be at least {FEWEST}, got {self.count}")
        if not self.compactness > 0 or not self.sigma >= 0:
            raise ValueError(f"compactness must be above 0 and sigma at least 0, got {self.compactness}, {self.sigma}")

    @property
    def name(self) -> str:
        """ "slic-50"."""
        return f"{self.kind}-{self.count}"

    @property
    def smoother(self) -> str:
        """The setting that helps where noise leaves few segments, as on a command line."""
        return f"--set segments.sigma={max(1.0, 2 * self.sigma):g}"

    def __call__(self, image: Tensor) -> np.ndarray:
        """The segment of each pixel, (H, W) int32: labels 0..K-1, none of them empty.

        `image` is (3, H, W) float32 RGB in [0, 1]. Raises InputError for an image that falls into fewer than three
        segments, as one of pure noise may.
        """
        if self.kind == GRID:
            return _grid(image.shape[1], image.shape[2], max(2, round(self.count**0.5)))
        pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
        labels = slic(
            pixels,
            n_segments=self.count,
            compactness=self.compactness,
            sigma=self.sigma,
            start_label=0,
            channel_axis=-1,
        )
        distinct, consecutive = np.unique(labels, return_inverse=True)
        if len(distinct) < FEWEST:
            raise InputError(
                f"the image falls into {len(distinct)} segment(s) and at least {FEWEST} are needed: where it is noisy, "
                f"{self.smoother} smooths it first; a higher segments.compactness makes segments squarer"
            )
        return consecutive.reshape(labels.shape).astype(np.int32)


def fewest_expected(segmentation: str) -> float:
    """The number of segments below which a frame fell into far fewer than were asked for, as noisy ones do.

    `segmentation` is the name of a way to divide frames, which says how many those are: "slic-50".
    """
    return FEW * int(segmentation.rpartition("-")[2])


def parse_segments(text: str) -> Segments:
    """A way to divide frames as on a command line: "100" (SLIC), "grid" (7 x 7), "grid-100". Raises InputError."""
    kind, _, count = text.partition("-") if text.startswith(GRID) else (SLIC, "", text)
    if kind == GRID and text == GRID:
        count = "49"
    if not count.isdecimal():
        raise InputError(f"segments {text!r}: write a number (100), {GRID}, or {GRID}-100")
    try:
        return Segments(count=int(count), kind=kind)
    except ValueError as error:
        raise InputError(f"segments {text!r}: {error}") from error


def _grid(height: int, width: int, side: int) -> np.ndarray:
    """side x side rectangles, (H, W) int32."""
    if min(height, width) < side:
        raise InputError(f"an image of {height} x {width} pixels cannot be divided into {side} x {side} rectangles")
    rows, columns = (np.arange(size) * side // size for size in (height, width))
    return (rows[:, None] * side + columns).astype(np.int32)
