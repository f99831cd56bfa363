"""RISE's pair: how soon the score falls when the most salient pixels go first, and rises when they come first."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import cv2
import torch
from torch import Tensor

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.faithfulness.removal import area, even_counts, pixel_ranks, scores_by_rank

PAPER = 'Petsiuk et al., "RISE", BMVC 2018'


@dataclass(frozen=True)
class _CurveArea(ABC):
    """The area under p(target) on the way from one picture to another, most salient pixels first.

    Costs steps + 1 forwards.
    """

    about: ClassVar[About]
    steps: int = 224

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"steps must be at least 1, got {self.steps}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The area in [0, 1]."""
        start, end = self._ends(case)
        counts = even_counts(case.saliency.size, self.steps)
        scores = scores_by_rank(case, pixel_ranks(case.saliency), counts, start=start, end=end)
        return {self.about.values[0].name: area(scores, counts)}

    @abstractmethod
    def _ends(self, case: Case) -> tuple[Tensor, Tensor]:
        """The pictures (3, H, W) that the curve starts from and ends at."""


@dataclass(frozen=True)
class Deletion(_CurveArea):
    """Area under p(target) while pixels are removed, most salient first (Petsiuk et al., BMVC 2018).

    Attributes:
        steps: in how many even steps all pixels are removed; the paper removes 224 of 224 x 224 at a time.
    """

    about: ClassVar[About] = About(
        summary="Area under p(target) while pixels are removed, most salient first.",
        values=(Value("deletion", 0.0, 1.0, "lower"),),
        needs="model",
        paper=PAPER,
        category="faithfulness",
    )

    def _ends(self, case: Case) -> tuple[Tensor, Tensor]:
        return case.image, case.background


@dataclass(frozen=True)
class Insertion(_CurveArea):
    """Area under p(target) while a blurred frame gets its pixels back, most salient first (Petsiuk et al. 2018).

    Attributes:
        steps: in how many even steps all pixels are shown.
        sigma: width in pixels of the Gaussian blur that the curve starts from, over kernel x kernel pixels; 0 starts
            from the case's background instead.
        kernel: side of the blur's window in pixels, an odd number.
    """

    about: ClassVar[About] = About(
        summary="Area under p(target) while a blurred frame gets its pixels back, most salient first.",
        values=(Value("insertion", 0.0, 1.0, "higher"),),
        needs="model",
        paper=PAPER,
        category="faithfulness",
    )

    sigma: float = 5.0
    kernel: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.sigma >= 0, f"sigma must be at least 0, got {self.sigma}")
        require(self.kernel % 2 == 1, f"kernel must be odd, got {self.kernel}")

    def blurred(self, image: Tensor) -> Tensor:
        """The frame (3, H, W) that the curve starts from."""
        pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
        blurred = cv2.GaussianBlur(pixels, (self.kernel, self.kernel), self.sigma)
        return torch.from_numpy(blurred).permute(2, 0, 1).contiguous().to(image)

    def _ends(self, case: Case) -> tuple[Tensor, Tensor]:
        return (self.blurred(case.image) if self.sigma > 0 else case.background), case.image
