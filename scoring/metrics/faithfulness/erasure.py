"""ERASER's pair: how far the score falls without the most salient pixels, and with nothing but them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.faithfulness.removal import pixel_ranks, scores_by_rank, shares_to_counts

PAPER = 'DeYoung et al., "ERASER: a benchmark to evaluate rationalized NLP models", ACL 2020'


@dataclass(frozen=True)
class _Erasure(ABC):
    """p(x) less the mean of p over shares of the most salient pixels; costs one forward for each share, and one."""

    about: ClassVar[About]
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)

    def __post_init__(self) -> None:
        shares = self.shares
        require(bool(shares) and all(0 < share <= 1 for share in shares), f"shares must lie in (0, 1], got {shares}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean fall, in [-1, 1]."""
        whole, erased = self._scores(case, shares_to_counts(self.shares, case.saliency.size))
        return {self.about.values[0].name: float(whole - erased.mean())}

    @abstractmethod
    def _scores(self, case: Case, counts: list[int]) -> tuple[float, np.ndarray]:
        """p of the frame, and p after each count of pixels (N,)."""


@dataclass(frozen=True)
class Comprehensiveness(_Erasure):
    """Mean over shares q of p(x) - p(x without its q most salient pixels) (DeYoung et al., ACL 2020).

    Attributes:
        shares: of the frame's pixels, in (0, 1]; ERASER's of a text's tokens.
    """

    about: ClassVar[About] = About(
        summary="Mean fall of p(target) without the most salient 1, 5, 10, 20 and 50 % of pixels.",
        values=(Value("comprehensiveness", -1.0, 1.0, "higher"),),
        needs="model",
        paper=PAPER,
        category="faithfulness",
    )

    def _scores(self, case: Case, counts: list[int]) -> tuple[float, np.ndarray]:
        scores = scores_by_rank(case, pixel_ranks(case.saliency), [0, *counts])
        return scores[0], scores[1:]


@dataclass(frozen=True)
class Sufficiency(_Erasure):
    """Mean over shares q of p(x) - p(only the q most salient pixels of x) (DeYoung et al., ACL 2020).

    Not the "Sufficiency" of the published table, which is the drop after an attack.

    Attributes:
        shares: of the frame's pixels, in (0, 1].
    """

    about: ClassVar[About] = About(
        summary="Mean fall of p(target) when only the most salient 1, 5, 10, 20 and 50 % of pixels are left.",
        values=(Value("sufficiency", -1.0, 1.0, "lower"),),
        needs="model",
        paper=PAPER,
        category="faithfulness",
    )

    def _scores(self, case: Case, counts: list[int]) -> tuple[float, np.ndarray]:
        steps, ranks = [*counts, case.saliency.size], pixel_ranks(case.saliency)
        scores = scores_by_rank(case, ranks, steps, start=case.background, end=case.image)
        return scores[-1], scores[:-1]
