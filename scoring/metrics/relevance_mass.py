"""Relevance mass accuracy: how much of the saliency lies on manipulated pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import EMPTY_MASK, NO_MASK, About, Case, Value, undefined


@dataclass(frozen=True)
class RelevanceMass:
    """The share of the positive saliency that lies in the mask of manipulated pixels (Arras et al. 2022).

    Negative saliency speaks against the class and counts as none. A map that is positive everywhere, as RISE's is,
    cannot score much above the mask's share of the frame.
    """

    about: ClassVar[About] = About(
        summary="Share of the positive saliency on manipulated pixels.",
        values=(Value("relevance-mass", 0.0, 1.0, "higher"),),
        needs="mask",
        paper='Arras et al., "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network '
        'explanations", Information Fusion 2022 (arXiv 2003.07258)',
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """The share in [0, 1]; a map that points nowhere scores the mask's share of the frame on average."""
        if case.mask is None:
            return undefined(self.about, NO_MASK)
        if not case.mask.any():
            return undefined(self.about, EMPTY_MASK)
        positive = np.clip(case.saliency.astype(np.float64), 0.0, None)
        if not positive.any():
            return undefined(self.about, "no saliency is above 0")
        return {"relevance-mass": float(positive[case.mask].sum() / positive.sum())}
