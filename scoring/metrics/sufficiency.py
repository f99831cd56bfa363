"""Sufficiency in ERASER's sense: how far the score falls when only the most salient pixels are left."""

from dataclasses import dataclass
from typing import ClassVar

from scoring.metrics.base import About, Case, Value
from scoring.metrics.comprehensiveness import check_shares
from scoring.metrics.removal import pixel_ranks, scores_by_rank, shares_to_counts


@dataclass(frozen=True)
class Sufficiency:
    """Mean over shares q of p(x) - p(only the q most salient pixels of x) (DeYoung et al., ACL 2020).

    Not the "Sufficiency" of the published table, which is the drop after an attack. Costs one forward for each share,
    and one.

    Attributes:
        shares: of the frame's pixels.
    """

    about: ClassVar[About] = About(
        summary="Mean fall of p(target) when only the most salient 1, 5, 10, 20 and 50 % of pixels are left.",
        values=(Value("sufficiency", -1.0, 1.0, "lower"),),
        needs="model",
        paper='DeYoung et al., "ERASER: a benchmark to evaluate rationalized NLP models", ACL 2020',
    )

    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)

    def __post_init__(self) -> None:
        check_shares(self.shares)

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean fall, in [-1, 1]."""
        total = case.saliency.size
        counts = [*shares_to_counts(self.shares, total), total]
        scores = scores_by_rank(case, pixel_ranks(case.saliency), counts, start=case.background, end=case.image)
        return {"sufficiency": float(scores[-1] - scores[:-1].mean())}
