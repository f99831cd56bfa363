"""Stability: whether the explanation survives what every upload does to a picture, compression and resizing."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from detectors.training.augment import compressed
from scoring.metrics.agreement import mean_agreement
from scoring.metrics.base import CANNOT_EXPLAIN, About, Case, Value, require, undefined

PAPER = (
    'no single one; the property of Alvarez-Melis and Jaakkola, "On the robustness of interpretability methods", 2018, '
    "under a perturbation that happens"
)
VALUES = (Value("correlation", -1.0, 1.0, "higher"), Value("overlap", 0.0, 1.0, "higher"))


@dataclass(frozen=True)
class _Stability(ABC):
    """How far the saliency agrees with those of changed copies of the frame, on average.

    `correlation` is Spearman's, of all pixels; `overlap` the intersection over union of the `top` best segments. Costs
    one whole explanation for each copy.
    """

    about: ClassVar[About]
    top: int = 3

    def __post_init__(self) -> None:
        require(self.top >= 1, f"top must be at least 1, got {self.top}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The two means."""
        if case.explain is None:
            return undefined(self.about, CANNOT_EXPLAIN)
        return mean_agreement(case, [case.explain(copy, case.detector) for copy in self._copies(case.image)], self.top)

    @abstractmethod
    def _copies(self, image: Tensor) -> Iterator[Tensor]:
        """Changed copies (3, H, W) of the frame, in [0, 1]."""


@dataclass(frozen=True)
class StabilityJpeg(_Stability):
    """How far the saliency agrees with that of the frame after JPEG compression, on average over qualities.

    Attributes:
        top: how many segments are compared.
        qualities: of the JPEG files, 1 to 95.
    """

    about: ClassVar[About] = About(
        summary="Agreement of the saliency with that of the frame after JPEG compression.",
        values=VALUES,
        needs="explaining",
        paper=PAPER,
        category="robustness",
    )

    qualities: tuple[int, ...] = (90, 75, 50)

    def __post_init__(self) -> None:
        super().__post_init__()
        qualities = self.qualities
        require(bool(qualities) and all(1 <= quality <= 95 for quality in qualities), "qualities must be 1 to 95")

    def _copies(self, image: Tensor) -> Iterator[Tensor]:
        return (jpeg(image, quality) for quality in self.qualities)


@dataclass(frozen=True)
class StabilityResize(_Stability):
    """How far the saliency agrees with that of the frame shrunk and brought back to the detector's size.

    Attributes:
        top: how many segments are compared.
        scales: of the smaller copy's sides, below 1.
    """

    about: ClassVar[About] = About(
        summary="Agreement of the saliency with that of the frame shrunk and enlarged again.",
        values=VALUES,
        needs="explaining",
        paper=PAPER,
        category="robustness",
    )

    scales: tuple[float, ...] = (0.75, 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.scales) and all(0 < scale < 1 for scale in self.scales), "scales must lie between 0 and 1")

    def _copies(self, image: Tensor) -> Iterator[Tensor]:
        return (shrunk(image, scale) for scale in self.scales)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """An image (3, H, W) in [0, 1] after JPEG compression at a quality."""
    pixels = (image.detach().cpu() * 255).round().byte().permute(1, 2, 0).numpy()
    return torch.from_numpy(compressed(pixels, quality)).permute(2, 0, 1).contiguous().to(image) / 255


def shrunk(image: Tensor, scale: float) -> Tensor:
    """An image (3, H, W) in [0, 1] resized to `scale` of its sides and back, bicubically, smoothed on the way down."""
    height, width = image.shape[1:]
    small = [max(1, round(scale * side)) for side in (height, width)]
    less = functional.interpolate(image[None], small, mode="bicubic", antialias=True, align_corners=False)
    back = functional.interpolate(less.clamp(0, 1), (height, width), mode="bicubic", align_corners=False)
    return back[0].clamp(0, 1)
