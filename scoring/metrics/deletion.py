"""Deletion: how soon the score falls when the most salient pixels go first."""

from dataclasses import dataclass
from typing import ClassVar

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.removal import area, even_counts, pixel_ranks, scores_by_rank


@dataclass(frozen=True)
class Deletion:
    """Area under p(target) while pixels are removed, most salient first (Petsiuk et al., BMVC 2018).

    Costs steps + 1 forwards.

    Attributes:
        steps: in how many even steps all pixels are removed; the paper removes 224 of 224 x 224 at a time.
    """

    about: ClassVar[About] = About(
        summary="Area under p(target) while pixels are removed, most salient first.",
        values=(Value("deletion", 0.0, 1.0, "lower"),),
        needs="model",
        paper='Petsiuk et al., "RISE", BMVC 2018',
    )

    steps: int = 224

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"steps must be at least 1, got {self.steps}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The area in [0, 1]."""
        counts = even_counts(case.saliency.size, self.steps)
        return {"deletion": area(scores_by_rank(case, pixel_ranks(case.saliency), counts), counts)}
