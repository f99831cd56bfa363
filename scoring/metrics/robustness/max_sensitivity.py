"""Max-sensitivity: how far the saliency moves under noise that no one sees."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from scoring.metrics.base import CANNOT_EXPLAIN, About, Case, Value, require, undefined


@dataclass(frozen=True)
class MaxSensitivity:
    """Largest |saliency(x + d) - saliency(x)| / |saliency(x)| over small noise d (Yeh et al., NeurIPS 2019).

    The norms are Euclidean. d is uniform in the L-infinity ball, and x + d is cut to [0, 1]. Costs `samples` whole
    explanations.

    Attributes:
        samples: how many noisy frames are explained.
        radius: of the ball, in [0, 1].
    """

    about: ClassVar[About] = About(
        summary="Largest relative change of the saliency under small uniform noise.",
        values=(Value("max-sensitivity", 0.0, np.inf, "lower"),),
        needs="explaining",
        paper='Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019',
        category="robustness",
    )

    samples: int = 10
    radius: float = 0.02

    def __post_init__(self) -> None:
        require(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        require(self.radius > 0, f"radius must be above 0, got {self.radius}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The largest relative change, 0 or more."""
        if case.explain is None:
            return undefined(self.about, CANNOT_EXPLAIN)
        own = case.saliency.astype(np.float64)
        size = float(np.linalg.norm(own))
        if size == 0:
            return undefined(self.about, "the saliency is 0 everywhere")
        draws = case.draws("max-sensitivity")
        changes = []
        for _ in range(self.samples):
            noise = draws.uniform(-self.radius, self.radius, tuple(case.image.shape)).astype(np.float32)
            noisy = (case.image + torch.from_numpy(noise).to(case.image)).clamp(0, 1)
            changes.append(float(np.linalg.norm(case.explain(noisy, case.detector) - own)) / size)
        return {"max-sensitivity": max(changes)}
