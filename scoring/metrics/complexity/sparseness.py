"""Sparseness: on how few pixels the saliency rests."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.metrics.base import About, Case, Value, undefined


@dataclass(frozen=True)
class Sparseness:
    """The Gini index of the absolute saliency (Chalasani et al., ICML 2020): 0 all alike, towards 1 one pixel only."""

    about: ClassVar[About] = About(
        summary="Gini index of the absolute saliency.",
        values=(Value("sparseness", 0.0, 1.0, "higher"),),
        needs="saliency",
        paper='Chalasani et al., "Concise explanations of neural networks using adversarial training", ICML 2020',
        category="complexity",
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """The index, from 0 to 1 - 1 / (H W)."""
        values = np.sort(np.abs(case.saliency.ravel().astype(np.float64)))
        if not values.any():
            return undefined(self.about, "the saliency is 0 everywhere")
        count = values.size
        weights = 2 * np.arange(1, count + 1) - count - 1
        return {"sparseness": float(max(0.0, (weights * values).sum() / (count * values.sum())))}
