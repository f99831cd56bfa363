"""Relevance rank accuracy: how many of the most salient pixels are manipulated ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import EMPTY_MASK, NO_MASK, About, Case, Value, undefined


@dataclass(frozen=True)
class RelevanceRank:
    """The share of the M most salient pixels that lie in the mask, which has M pixels (Arras et al. 2022).

    Pixels that share the saliency at the border between the first M and the rest count in proportion: what breaking
    the tie by chance scores on average.
    """

    about: ClassVar[About] = About(
        summary="Share of the M most salient pixels that are manipulated, M being how many there are.",
        values=(Value("relevance-rank", 0.0, 1.0, "higher"),),
        needs="mask",
        paper='Arras et al., "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network '
        'explanations", Information Fusion 2022 (arXiv 2003.07258)',
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """The share in [0, 1]; a random ranking scores the mask's share of the frame on average."""
        if case.mask is None:
            return undefined(self.about, NO_MASK)
        count = int(case.mask.sum())
        if count == 0:
            return undefined(self.about, EMPTY_MASK)
        border = np.partition(case.saliency.ravel(), -count)[-count]
        above, tied = case.saliency > border, case.saliency == border
        hits = case.mask[above].sum() + (count - above.sum()) * case.mask[tied].mean()
        return {"relevance-rank": float(hits / count)}
