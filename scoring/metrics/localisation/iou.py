"""IoU: how well the best segments cover the manipulated pixels, and nothing else."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import EMPTY_MASK, NO_MASK, About, Case, Value, undefined
from xai.ranking import rank, top_region


@dataclass(frozen=True)
class IoU:
    """Intersection over union of the mask and as many of the best segments as come closest to its area.

    At least one segment; of two numbers as close, the smaller. So no threshold has to be chosen, and a map is judged by
    the regions that are attacked. Segments follow the picture's edges and not the mask's, so 1 is seldom within reach.
    """

    about: ClassVar[About] = About(
        summary="Intersection over union of the manipulated pixels and as large a region of the best segments.",
        values=(Value("iou", 0.0, 1.0, "higher"),),
        needs="mask",
        paper='the measure of Everingham et al., "The Pascal visual object classes challenge", IJCV 2010, against the '
        "masks as in Arras et al. 2022",
        category="localisation",
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """The IoU in [0, 1]."""
        if case.mask is None:
            return undefined(self.about, NO_MASK)
        if not case.mask.any():
            return undefined(self.about, EMPTY_MASK)
        ranking = rank(case.saliency, case.segments)
        areas = np.cumsum(np.bincount(case.segments.ravel())[ranking])
        region = top_region(case.segments, ranking, int(np.argmin(np.abs(areas - case.mask.sum()))) + 1)
        return {"iou": float((region & case.mask).sum() / (region | case.mask).sum())}
