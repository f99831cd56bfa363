"""Insertion: how soon the score rises when the most salient pixels come first."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import torch
from torch import Tensor

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.removal import area, even_counts, pixel_ranks, scores_by_rank


@dataclass(frozen=True)
class Insertion:
    """Area under p(target) while a blurred frame gets its pixels back, most salient first (Petsiuk et al. 2018).

    Costs steps + 1 forwards.

    Attributes:
        steps: in how many even steps all pixels are shown.
        sigma: width in pixels of the Gaussian blur that the curve starts from, over kernel x kernel pixels; 0 starts
            from the case's background instead.
        kernel: an odd number.
    """

    about: ClassVar[About] = About(
        summary="Area under p(target) while a blurred frame gets its pixels back, most salient first.",
        values=(Value("insertion", 0.0, 1.0, "higher"),),
        needs="model",
        paper='Petsiuk et al., "RISE", BMVC 2018',
    )

    steps: int = 224
    sigma: float = 5.0
    kernel: int = 11

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"steps must be at least 1, got {self.steps}")
        require(self.sigma >= 0, f"sigma must be at least 0, got {self.sigma}")
        require(self.kernel % 2 == 1, f"kernel must be odd, got {self.kernel}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The area in [0, 1]."""
        start = self.blurred(case.image) if self.sigma > 0 else case.background
        counts = even_counts(case.saliency.size, self.steps)
        scores = scores_by_rank(case, pixel_ranks(case.saliency), counts, start=start, end=case.image)
        return {"insertion": area(scores, counts)}

    def blurred(self, image: Tensor) -> Tensor:
        """The frame (3, H, W) that the curve starts from."""
        pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
        blurred = cv2.GaussianBlur(pixels, (self.kernel, self.kernel), self.sigma)
        return torch.from_numpy(blurred).permute(2, 0, 1).contiguous().to(image)
