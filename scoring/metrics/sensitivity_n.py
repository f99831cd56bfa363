"""Sensitivity-n: whether the saliency of n random pixels foretells what removing them does."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from scoring.metrics.agreement import pearson
from scoring.metrics.base import CONSTANT, About, Case, Value, require, undefined
from xai.base import chunks, score_masks
from xai.fills import composite


@dataclass(frozen=True)
class SensitivityN:
    """Correlation of the summed saliency of n random pixels with the fall of p(target) without them (Ancona 2018).

    Pearson's, over `subsets` random subsets of each size, then its mean over the sizes, which lie evenly on a
    logarithmic scale. Costs sizes x subsets + 1 forwards.

    Attributes:
        sizes: how many sizes n.
        subsets: random subsets of each size.
        fewest: the smallest n as a share of the pixels.
        most: the largest.
    """

    about: ClassVar[About] = About(
        summary="Correlation of the summed saliency of random pixel subsets with the fall of p(target) without them.",
        values=(Value("sensitivity-n", -1.0, 1.0, "higher"),),
        needs="model",
        paper='Ancona et al., "Towards better understanding of gradient-based attribution methods", ICLR 2018',
    )

    sizes: int = 10
    subsets: int = 100
    fewest: float = 0.01
    most: float = 0.8

    def __post_init__(self) -> None:
        require(self.sizes >= 1, f"sizes must be at least 1, got {self.sizes}")
        require(self.subsets >= 3, f"at least 3 subsets are needed for a correlation, got {self.subsets}")
        require(0 < self.fewest <= self.most < 1, "sizes must be 0 < fewest <= most < 1")

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean correlation over the sizes at which there is one."""
        if np.ptp(case.saliency) == 0:
            return undefined(self.about, CONSTANT)
        found = [number for number in self.correlations(case) if not math.isnan(number)]
        if not found:
            return undefined(self.about, "removing pixels does not change p(target)")
        return {"sensitivity-n": float(np.mean(found))}

    def correlations(self, case: Case) -> list[float]:
        """Pearson's correlation at each size; `Undefined` where the sums or the falls are all the same."""
        draws = case.draws("sensitivity-n")
        before = float(case.score(case.image[None]).double())
        return [self._correlation(case, count, before, draws) for count in self.counts(case.saliency.size)]

    def counts(self, total: int) -> list[int]:
        """The sizes n, of `total` pixels."""
        shares = np.geomspace(self.fewest, self.most, self.sizes)
        return [max(1, round(share * total)) for share in shares]

    def _correlation(self, case: Case, count: int, before: float, draws: np.random.Generator) -> float:
        saliency = case.saliency.ravel().astype(np.float64)
        sums, scores = np.empty(self.subsets), np.empty(self.subsets)
        for at in chunks(self.subsets, case.score.batch_size):
            chosen = [draws.choice(saliency.size, count, replace=False) for _ in range(at.start, at.stop)]
            sums[at] = [saliency[subset].sum() for subset in chosen]
            keep = np.ones((len(chosen), 1, *case.saliency.shape), dtype=np.float32)
            for mask, subset in zip(keep, chosen, strict=True):
                mask.reshape(-1)[subset] = 0.0
            masks = torch.from_numpy(keep).to(case.image.device)
            scores[at] = score_masks(case.score, composite(case.image, case.background), [masks])
        return pearson(sums, before - scores)
