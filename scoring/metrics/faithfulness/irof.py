"""IROF: how far the score falls while whole segments are removed, the most relevant first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import About, Case, Value, undefined
from scoring.metrics.faithfulness.removal import area, scores_by_rank, segment_ranks


@dataclass(frozen=True)
class IROF:
    """Area over the curve of p(x after l segments) / p(x), most relevant segment first (Rieger and Hansen 2020).

    The segments are the frame's, ranked by their mean saliency as everywhere here. The area is over the share of
    segments removed, so that frames with more segments do not count more. Costs K + 1 forwards for K segments.
    """

    about: ClassVar[About] = About(
        summary="Area over the relative score while segments are removed, most relevant first.",
        values=(Value("irof", -np.inf, 1.0, "higher"),),
        needs="model",
        paper='Rieger and Hansen, "IROF: a low resource evaluation metric for explanation methods", 2020',
        category="faithfulness",
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """At most 1; below 0 where removing segments raises the score."""
        curve = self.curve(case)
        if curve is None:
            return undefined(self.about, "p(target) of the frame is 0")
        return {"irof": 1.0 - area(curve, range(len(curve)))}

    def curve(self, case: Case) -> np.ndarray | None:
        """p(x after l segments) / p(x) for l = 0..K, (K + 1,) float64; None where p(x) is 0."""
        ranks = segment_ranks(case.saliency, case.segments)
        scores = scores_by_rank(case, ranks, range(int(ranks.max()) + 2))
        return scores / scores[0] if scores[0] > 0 else None
