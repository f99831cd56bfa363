"""The pointing game: whether the most salient pixel is a manipulated one."""

from dataclasses import dataclass
from typing import ClassVar

from scipy.ndimage import distance_transform_edt

from scoring.metrics.base import EMPTY_MASK, NO_MASK, About, Case, Value, require, undefined


@dataclass(frozen=True)
class PointingGame:
    """Whether the most salient pixel lies in the mask of manipulated pixels (Zhang et al., ECCV 2016): 1 or 0.

    Where several pixels share the highest saliency, as in a map of segments, the share of them that does: what
    pointing at one of them by chance scores on average.

    Attributes:
        tolerance: how far outside the mask still counts, in pixels.
    """

    about: ClassVar[About] = About(
        summary="Whether the most salient pixel was manipulated.",
        values=(Value("pointing-game", 0.0, 1.0, "higher"),),
        needs="mask",
        paper='Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016',
        category="localisation",
    )

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        require(self.tolerance >= 0, f"tolerance must be at least 0, got {self.tolerance}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The share of the most salient pixels that hit."""
        if case.mask is None:
            return undefined(self.about, NO_MASK)
        if not case.mask.any():
            return undefined(self.about, EMPTY_MASK)
        near = distance_transform_edt(~case.mask) <= self.tolerance
        return {"pointing-game": float(near[case.saliency == case.saliency.max()].mean())}
