"""The control: an explanation that knows nothing must score like one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from xai.base import Fill, Score


@dataclass(frozen=True)
class Random:
    """Gives each segment a random saliency, without asking the detector anything."""

    hides: ClassVar[bool] = False

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """One uniform draw per segment, (H, W) float32 in [0, 1)."""
        return generator.random(int(segments.max()) + 1).astype(np.float32)[segments]
