"""Comprehensiveness: how far the score falls without the most salient pixels."""

from dataclasses import dataclass
from typing import ClassVar

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.removal import pixel_ranks, scores_by_rank, shares_to_counts


@dataclass(frozen=True)
class Comprehensiveness:
    """Mean over shares q of p(x) - p(x without its q most salient pixels) (DeYoung et al., ACL 2020).

    Costs one forward for each share, and one.

    Attributes:
        shares: of the frame's pixels; ERASER's of a text's tokens.
    """

    about: ClassVar[About] = About(
        summary="Mean fall of p(target) without the most salient 1, 5, 10, 20 and 50 % of pixels.",
        values=(Value("comprehensiveness", -1.0, 1.0, "higher"),),
        needs="model",
        paper='DeYoung et al., "ERASER: a benchmark to evaluate rationalized NLP models", ACL 2020',
    )

    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)

    def __post_init__(self) -> None:
        check_shares(self.shares)

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean fall, in [-1, 1]."""
        counts = [0, *shares_to_counts(self.shares, case.saliency.size)]
        scores = scores_by_rank(case, pixel_ranks(case.saliency), counts)
        return {"comprehensiveness": float(scores[0] - scores[1:].mean())}


def check_shares(shares: tuple[float, ...]) -> None:
    """Raises ValueError unless every share is above 0 and at most 1."""
    require(bool(shares) and all(0 < share <= 1 for share in shares), f"shares must lie in (0, 1], got {shares}")
