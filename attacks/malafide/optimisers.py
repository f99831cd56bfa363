"""Steps of a stated length along the mean gradient."""

from collections.abc import Iterable

import torch
from torch import Tensor


class NormalisedMomentum(torch.optim.Optimizer):
    """Moves each tensor by `lr` against the running mean of its gradient directions (Cutkosky and Mehta, ICML 2020).

    Where Adam divides every coefficient by its own gradient's size, so that thousands of coefficients with little
    but noise move as much as the few that matter, this keeps the gradient's direction and sets only its length.
    Gradients are normalised, too, so that images that are fooled already weigh the later steps no less.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.9) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step; a tensor whose gradient or mean is zero stays."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None or not bool(parameter.grad.any()):
                    continue
                mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                mean.lerp_(parameter.grad / parameter.grad.norm(), 1 - group["momentum"])
                length = mean.norm()
                if float(length) > 0:
                    parameter.sub_(group["lr"] * mean / length)
