"""CLEVR-XAI's pair: how much of the saliency, and how many of the most salient pixels, are on manipulated pixels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import EMPTY_MASK, NO_MASK, About, Case, Undefined, Value, undefined

PAPER = (
    'Arras et al., "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network explanations", '
    "Information Fusion 2022 (arXiv 2003.07258)"
)


@dataclass(frozen=True)
class _Relevance(ABC):
    """A share of a saliency map that lies in the mask; undefined without a manipulated pixel."""

    about: ClassVar[About]

    def __call__(self, case: Case) -> dict[str, float]:
        """The share in [0, 1]; a map that points nowhere scores the mask's share of the frame on average."""
        if case.mask is None or not case.mask.any():
            return undefined(self.about, NO_MASK if case.mask is None else EMPTY_MASK)
        return {self.about.values[0].name: self._share(case.saliency, case.mask)}

    @abstractmethod
    def _share(self, saliency: np.ndarray, mask: np.ndarray) -> float:
        """The share of the saliency (H, W) that lies in the mask (H, W) bool, in [0, 1]."""


@dataclass(frozen=True)
class RelevanceMass(_Relevance):
    """The share of the positive saliency that lies in the mask of manipulated pixels (Arras et al. 2022).

    Negative saliency speaks against the class and counts as none. A map that is positive everywhere, as RISE's is,
    cannot score much above the mask's share of the frame.
    """

    about: ClassVar[About] = About(
        summary="Share of the positive saliency on manipulated pixels.",
        values=(Value("relevance-mass", 0.0, 1.0, "higher"),),
        needs="mask",
        paper=PAPER,
        category="localisation",
    )

    def _share(self, saliency: np.ndarray, mask: np.ndarray) -> float:
        positive = np.clip(saliency.astype(np.float64), 0.0, None)
        if not positive.any():
            return Undefined("no saliency is above 0")
        return float(positive[mask].sum() / positive.sum())


@dataclass(frozen=True)
class RelevanceRank(_Relevance):
    """The share of the M most salient pixels that lie in the mask, which has M pixels (Arras et al. 2022).

    Pixels that share the saliency at the border between the first M and the rest count in proportion: what breaking
    the tie by chance scores on average.
    """

    about: ClassVar[About] = About(
        summary="Share of the M most salient pixels that are manipulated, M being how many there are.",
        values=(Value("relevance-rank", 0.0, 1.0, "higher"),),
        needs="mask",
        paper=PAPER,
        category="localisation",
    )

    def _share(self, saliency: np.ndarray, mask: np.ndarray) -> float:
        count = int(mask.sum())
        border = np.partition(saliency.ravel(), -count)[-count]
        above, tied = saliency > border, saliency == border
        hits = mask[above].sum() + (count - above.sum()) * mask[tied].mean()
        return float(hits / count)
