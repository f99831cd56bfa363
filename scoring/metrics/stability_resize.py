"""Stability under resizing: whether the explanation survives a smaller copy of the picture."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from scoring.metrics.agreement import mean_agreement
from scoring.metrics.base import CANNOT_EXPLAIN, About, Case, Value, require, undefined


@dataclass(frozen=True)
class StabilityResize:
    """How far the saliency agrees with that of the frame shrunk and brought back to the detector's size.

    `correlation` is Spearman's, of all pixels; `overlap` the intersection over union of the `top` best segments. Both
    are means over the scales. Costs one whole explanation for each scale.

    Attributes:
        scales: of the smaller copy's sides, below 1.
        top: how many segments are compared.
    """

    about: ClassVar[About] = About(
        summary="Agreement of the saliency with that of the frame shrunk and enlarged again.",
        values=(Value("correlation", -1.0, 1.0, "higher"), Value("overlap", 0.0, 1.0, "higher")),
        needs="explaining",
        paper='no single one; the property of Alvarez-Melis and Jaakkola, "On the robustness of interpretability '
        'methods", 2018, under a perturbation that happens',
    )

    scales: tuple[float, ...] = (0.75, 0.5)
    top: int = 3

    def __post_init__(self) -> None:
        require(bool(self.scales) and all(0 < each < 1 for each in self.scales), "scales must lie between 0 and 1")
        require(self.top >= 1, f"top must be at least 1, got {self.top}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The two means."""
        if case.explain is None:
            return undefined(self.about, CANNOT_EXPLAIN)
        others = [case.explain(shrunk(case.image, scale), case.detector) for scale in self.scales]
        return mean_agreement(case, others, self.top)


def shrunk(image: Tensor, scale: float) -> Tensor:
    """An image (3, H, W) in [0, 1] resized to `scale` of its sides and back, bicubically, smoothed on the way down."""
    height, width = image.shape[1:]
    small = [max(1, round(scale * side)) for side in (height, width)]
    less = functional.interpolate(image[None], small, mode="bicubic", antialias=True, align_corners=False)
    back = functional.interpolate(less.clamp(0, 1), (height, width), mode="bicubic", align_corners=False)
    return back[0].clamp(0, 1)
