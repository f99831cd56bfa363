"""Sensitivity-n: whether the saliency of n random segments foretells what removing them does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from scoring.metrics.agreement import pearson
from scoring.metrics.base import CONSTANT, About, Case, Value, require, undefined
from xai.base import chunks, score_masks
from xai.fills import composite

PARTS = ("segments", "pixels")


@dataclass(frozen=True)
class SensitivityN:
    """Correlation of the summed saliency of n random segments with the fall of p(target) without them (Ancona 2018).

    Pearson's, over `subsets` random sets of each size, then its mean over the sizes, which lie evenly on a logarithmic
    scale. The paper removes pixels (`over` "pixels"). For maps of regions that says little: a set of scattered pixels
    has about the same sum as any other, and its removal is noise all over the frame. Costs 1 + sizes x subsets
    forwards at most, as sizes that fall together count once.

    Attributes:
        sizes: how many sizes n.
        subsets: random sets of each size.
        fewest: the smallest n as a share of all segments or pixels, but at least one.
        most: the largest.
        over: what is removed, "segments" or "pixels".
    """

    about: ClassVar[About] = About(
        summary="Correlation of the summed saliency of random segments with the fall of p(target) without them.",
        values=(Value("sensitivity-n", -1.0, 1.0, "higher"),),
        needs="model",
        paper='Ancona et al., "Towards better understanding of gradient-based attribution methods", ICLR 2018',
        category="faithfulness",
    )

    sizes: int = 10
    subsets: int = 100
    fewest: float = 0.02
    most: float = 0.8
    over: str = "segments"

    def __post_init__(self) -> None:
        require(self.sizes >= 1, f"sizes must be at least 1, got {self.sizes}")
        require(self.subsets >= 3, f"at least 3 subsets are needed for a correlation, got {self.subsets}")
        require(0 < self.fewest <= self.most < 1, "sizes must be 0 < fewest <= most < 1")
        require(self.over in PARTS, f"over must be {' or '.join(PARTS)}, got {self.over!r}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean correlation over the sizes at which there is one."""
        if np.ptp(case.saliency) == 0:
            return undefined(self.about, CONSTANT)
        correlations = [number for number in self.correlations(case) if not math.isnan(number)]
        if not correlations:
            return undefined(self.about, f"removing {self.over} does not change p(target)")
        return {"sensitivity-n": float(np.mean(correlations))}

    def correlations(self, case: Case) -> list[float]:
        """Pearson's correlation at each size; `Undefined` where the sums or the falls are all the same."""
        draws = case.draws("sensitivity-n")
        before = float(case.score(case.image[None]).double())
        shape = case.saliency.shape
        parts = case.segments if self.over == "segments" else np.arange(case.saliency.size).reshape(shape)
        sums = np.bincount(parts.ravel(), weights=case.saliency.ravel().astype(np.float64))
        return [self._correlation(case, parts, sums, count, before, draws) for count in self.counts(len(sums))]

    def counts(self, total: int) -> list[int]:
        """The sizes n, of `total` parts."""
        shares = np.geomspace(self.fewest, self.most, self.sizes)
        return sorted({max(1, round(share * total)) for share in shares})

    def _correlation(
        self,
        case: Case,
        parts: np.ndarray,
        sums: np.ndarray,
        count: int,
        before: float,
        draws: np.random.Generator,
    ) -> float:
        """The correlation over sets of `count` parts (H, W), whose saliency sums to `sums` each."""
        foretold: list[float] = []

        def masks() -> Iterator[Tensor]:
            for at in chunks(self.subsets, case.score.batch_size):
                keep = np.ones((at.stop - at.start, len(sums)), dtype=np.float32)
                for row in keep:
                    removed = draws.choice(len(sums), count, replace=False)
                    row[removed] = 0.0
                    foretold.append(float(sums[removed].sum()))
                yield torch.from_numpy(keep[:, None, parts]).to(case.image.device)

        scores = score_masks(case.score, composite(case.image, case.background), masks())
        return pearson(foretold, before - scores)
