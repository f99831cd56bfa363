"""Complexity: over how many pixels the saliency is spread."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import entr

from scoring.metrics.base import About, Case, Value, undefined


@dataclass(frozen=True)
class Complexity:
    """The entropy, in nats, of each pixel's share of the absolute saliency (Bhatt et al., IJCAI 2020)."""

    about: ClassVar[About] = About(
        summary="Entropy in nats of each pixel's share of the absolute saliency, from 0 to ln(H W).",
        values=(Value("complexity", 0.0, np.inf, "lower"),),
        needs="saliency",
        paper='Bhatt et al., "Evaluating and aggregating feature-based model explanations", IJCAI 2020',
        category="complexity",
    )

    def __call__(self, case: Case) -> dict[str, float]:
        """The entropy, from 0 (one pixel) to ln(H W) (all alike)."""
        values = np.abs(case.saliency.astype(np.float64))
        if not values.any():
            return undefined(self.about, "the saliency is 0 everywhere")
        return {"complexity": float(entr(values / values.sum()).sum())}
