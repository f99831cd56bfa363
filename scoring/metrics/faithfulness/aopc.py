"""AOPC: how far the score falls, on average, over the first patches removed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.faithfulness.removal import scores_by_rank

REPLACEMENTS = ("uniform", "background")


@dataclass(frozen=True)
class AOPC:
    """Area over the perturbation curve of square patches (Samek et al. 2017).

    The mean of p(x) - p(x after k patches) over k = 0..L, with the patches of the highest summed saliency first
    (`morf`) or of the lowest (`lerf`); `between` is morf - lerf. Costs 2 (L + 1) forwards, L being `regions` or the
    number of patches, where that is smaller.

    Attributes:
        regions: L, how many patches are removed.
        patch: their side in pixels, on a grid from the top left corner; those at the far edges are smaller.
        replace: what a removed pixel shows: "uniform" noise in [0, 1], as in the paper, or the case's "background".
    """

    about: ClassVar[About] = About(
        summary="Mean fall of p(target) over the first patches removed, most or least relevant first.",
        values=(
            Value("morf", -1.0, 1.0, "higher"),
            Value("lerf", -1.0, 1.0, "lower"),
            Value("between", -2.0, 2.0, "higher"),
        ),
        needs="model",
        paper='Samek et al., "Evaluating the visualization of what a DNN has learned", TNNLS 2017',
        category="faithfulness",
    )

    regions: int = 100
    patch: int = 9
    replace: str = "uniform"

    def __post_init__(self) -> None:
        require(self.regions >= 1 and self.patch >= 1, "regions and patch must be at least 1")
        require(self.replace in REPLACEMENTS, f"replace must be {' or '.join(REPLACEMENTS)}, got {self.replace!r}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The two areas in [-1, 1] and their difference."""
        end = self._replacement(case)
        morf, lerf = (self._area(case, end, sign) for sign in (-1, 1))
        return {"morf": morf, "lerf": lerf, "between": morf - lerf}

    def _area(self, case: Case, end: Tensor, sign: int) -> float:
        patches = grid(case.saliency.shape, self.patch)
        sums = np.bincount(patches.ravel(), weights=case.saliency.ravel().astype(np.float64))
        order = np.argsort(sign * sums, kind="stable")
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        counts = range(min(self.regions, len(order)) + 1)
        scores = scores_by_rank(case, ranks[patches], counts, end=end)
        return float((scores[0] - scores).mean())

    def _replacement(self, case: Case) -> Tensor:
        if self.replace == "background":
            return case.background
        noise = case.draws("aopc").random(tuple(case.image.shape), dtype=np.float32)
        return torch.from_numpy(noise).to(case.image)


def grid(shape: tuple[int, ...], side: int) -> np.ndarray:
    """The number of each pixel's square, row by row, (H, W)."""
    rows, columns = (np.arange(length) // side for length in shape)
    return rows[:, None] * (columns[-1] + 1) + columns
