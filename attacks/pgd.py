"""Projected gradient descent and the fast gradient sign method: the attacks of one that sees the gradients."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.base import Batch, RegionAttack
from detectors.queries import Queries


@dataclass(frozen=True)
class PGD(RegionAttack):
    """Climbs log p(Real) by the sign of its gradient, from a random start (Madry et al. 2018).

    The base judges the start and every step, stops at the first that the detector calls Real and keeps the best: steps
    that overshoot the verdict's edge, or that are too long for the ball, do not undo what an earlier one reached.

    Attributes:
        alpha: the size of a step, in pixel units; another budget keeps its proportion (`attacks.budgets.with_budget`).
        steps: how many steps at most; a step costs a forward and a backward.
        random_start: whether it starts from uniform noise in the ball, which is a round of its own, or from the image.
    """

    alpha: float = 1 / 255
    steps: int = 40
    random_start: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def rounds(self) -> int:
        """One for each step, and one for the start."""
        return self.steps + self.random_start

    @property
    def uses_gradients(self) -> bool:
        """Always."""
        return True

    def wants_gradient(self, rounds: int) -> bool:
        """Before every step, not before the start."""
        return rounds >= self.random_start

    def steps_taken(self, rounds: int) -> int:
        """The rounds but for the start; 1 where the start itself flips."""
        return max(min(1, rounds), rounds - self.random_start)

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The images one step further, or where a pair is new, its random start."""
        images = batch.images + self.alpha * batch.gradients.sign()
        for pair, rounds in enumerate(batch.rounds):
            if self.random_start and rounds == 0:
                images[pair] = batch.images[pair] + self._noise(batch, pair)
        return images

    def _noise(self, batch: Batch, pair: int) -> Tensor:
        """Uniform noise in the ball on a pair's region, (3, H, W)."""
        noise = torch.zeros(batch.images[pair].shape)
        region = batch.regions[pair].expand(noise.shape).cpu()
        draws = torch.empty(int(region.sum())).uniform_(-self.epsilon, self.epsilon, generator=batch.generators[pair])
        return noise.masked_scatter_(region, draws).to(batch.images.device)


@dataclass(frozen=True)
class FGSM(RegionAttack):
    """One step along the sign of the gradient of log p(Real) (Goodfellow et al. 2015), of the smallest size that flips.

    The published step is the whole budget, and passes over a verdict that a shorter one would have turned: the larger
    the region, the more so (docs/methods.md). Any step within the budget is the attacker's to take, so sizes are judged
    from the smallest up, and the first that flips is kept.

    Attributes:
        grid: how much longer a size is than the one before, in pixel units; the last is the budget.
    """

    grid: float = 1 / 255

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.grid > 0:
            raise ValueError(f"grid must be above 0, got {self.grid}")

    @property
    def rounds(self) -> int:
        """One for each size."""
        return max(1, math.ceil(self.epsilon / self.grid - 1e-6))

    @property
    def uses_gradients(self) -> bool:
        """Always."""
        return True

    def wants_gradient(self, rounds: int) -> bool:
        """Once, of the input."""
        return rounds == 0

    def steps_taken(self, rounds: int) -> int:
        """One, whatever its size."""
        return min(1, rounds)

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The originals, further by the next size."""
        sizes = [min((rounds + 1) * self.grid, self.epsilon) for rounds in batch.rounds]
        return batch.originals + torch.tensor(sizes).to(batch.images)[:, None, None, None] * batch.gradients.sign()
