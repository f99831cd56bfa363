"""How a filter is trained: the published settings, and those of a filter with a fidelity."""

import math
from dataclasses import dataclass

from attacks.malafide.filter import FilterSpec
from common.errors import InputError

PUBLISHED_RATE, PUBLISHED_STOP = 1e-4, 0.5
FIDELITY_STOP = 0.9
FIRST_STEP = 0.5
"""How much of its bound, in the root mean square, a filter with a fidelity uses up in the first step."""


@dataclass(frozen=True)
class FilterTrainingSettings:
    """How a filter is trained; the defaults are published, where the filter has no fidelity to keep.

    One with a fidelity learns by steps of a stated length (see NormalisedMomentum) in whitened coordinates (see
    Whitening) instead of Adam's: at the same bound that fools a detector many times as well.

    Attributes:
        epochs: passes over the fakes, at most.
        max_minutes: the training ends after this time; None for no limit. The schedule does not follow it.
        batch_size: fakes per step.
        learning_rate: of the first epoch; a cosine leads to a tenth of it in the last. None for 1e-4, as published.
            Of a filter with a fidelity it is the root mean square by which one step changes images in [0, 1], and
            None is half of what the bound allows.
        weight_decay: Adam's; a filter with a fidelity has none.
        penalty: the weight of the sum of squared coefficients in the loss.
        stop: the training ends once the training EER is above this. None for 0.5, as published, or 0.9 for a filter
            with a fidelity, whose EER on other frames is the better the longer it learns.
        seed: of the first coefficients and the order of the frames.
    """

    epochs: int = 100
    max_minutes: float | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    weight_decay: float = 1e-4
    penalty: float = 1e-4
    stop: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InputError(f"epochs and batch size must be at least 1, got {self.epochs} and {self.batch_size}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise InputError(f"the minutes must be above 0, got {self.max_minutes}")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise InputError(f"the learning rate must be above 0, got {self.learning_rate}")
        if not (0 <= self.weight_decay < math.inf and 0 <= self.penalty < math.inf and 0 <= (self.stop or 0) <= 1):
            raise InputError("weight decay and penalty must be at least 0, and the EER to stop at lie in [0, 1]")

    def enough(self, spec: FilterSpec) -> float:
        """The training EER above which the training of a filter ends."""
        return self.stop if self.stop is not None else PUBLISHED_STOP if spec.fidelity is None else FIDELITY_STOP

    def rate(self, spec: FilterSpec, epoch: int) -> float:
        """The learning rate of an epoch, from 0: a cosine from the first rate to a tenth of it."""
        usual = PUBLISHED_RATE if spec.fidelity is None else FIRST_STEP * spec.fidelity.root_mean_square
        first = self.learning_rate or usual
        done = epoch / max(1, self.epochs - 1)
        return first * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
