"""Pixel-flipping: the score's curve with the most relevant pixels removed first, last, and the area between."""

from dataclasses import dataclass
from typing import ClassVar

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.faithfulness.removal import area, even_counts, pixel_ranks, reversed_ranks, scores_by_rank


@dataclass(frozen=True)
class PixelFlipping:
    """Areas under p(target) while pixels are removed in two orders (Bach et al. 2015; Samek et al. 2017).

    `morf` removes the most relevant first, `lerf` the least relevant first, `between` is lerf - morf: what the order
    is worth. Costs 2 (steps + 1) forwards.

    Attributes:
        steps: in how many even steps all pixels are removed.
    """

    about: ClassVar[About] = About(
        summary="Areas under p(target) while pixels are removed, most or least relevant first, and their difference.",
        values=(
            Value("morf", 0.0, 1.0, "lower"),
            Value("lerf", 0.0, 1.0, "higher"),
            Value("between", -1.0, 1.0, "higher"),
        ),
        needs="model",
        paper='Bach et al., PLoS ONE 2015; Samek et al., "Evaluating the visualization of what a DNN has learned", '
        "TNNLS 2017",
        category="faithfulness",
    )

    steps: int = 100

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"steps must be at least 1, got {self.steps}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The areas in [0, 1], and `between` in [-1, 1]."""
        counts = even_counts(case.saliency.size, self.steps)
        morf = area(scores_by_rank(case, pixel_ranks(case.saliency), counts), counts)
        lerf = area(scores_by_rank(case, reversed_ranks(case.saliency), counts), counts)
        return {"morf": morf, "lerf": lerf, "between": lerf - morf}
