"""Stability under JPEG: whether the explanation survives what every upload does to a picture."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from detectors.training.augment import compressed
from scoring.metrics.agreement import mean_agreement
from scoring.metrics.base import CANNOT_EXPLAIN, About, Case, Value, require, undefined


@dataclass(frozen=True)
class StabilityJpeg:
    """How far the saliency agrees with that of the frame after JPEG compression.

    `correlation` is Spearman's, of all pixels; `overlap` the intersection over union of the `top` best segments. Both
    are means over the qualities. Costs one whole explanation for each quality.

    Attributes:
        qualities: of the JPEG files, 1 to 95.
        top: how many segments are compared.
    """

    about: ClassVar[About] = About(
        summary="Agreement of the saliency with that of the frame after JPEG compression.",
        values=(Value("correlation", -1.0, 1.0, "higher"), Value("overlap", 0.0, 1.0, "higher")),
        needs="explaining",
        paper='no single one; the property of Alvarez-Melis and Jaakkola, "On the robustness of interpretability '
        'methods", 2018, under a perturbation that happens',
    )

    qualities: tuple[int, ...] = (90, 75, 50)
    top: int = 3

    def __post_init__(self) -> None:
        require(bool(self.qualities) and all(1 <= each <= 95 for each in self.qualities), "qualities must be 1 to 95")
        require(self.top >= 1, f"top must be at least 1, got {self.top}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The two means."""
        if case.explain is None:
            return undefined(self.about, CANNOT_EXPLAIN)
        others = [case.explain(jpeg(case.image, quality), case.detector) for quality in self.qualities]
        return mean_agreement(case, others, self.top)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """An image (3, H, W) in [0, 1] after JPEG compression at a quality."""
    pixels = (image.detach().cpu() * 255).round().byte().permute(1, 2, 0).numpy()
    return torch.from_numpy(compressed(pixels, quality)).permute(2, 0, 1).contiguous().to(image) / 255
