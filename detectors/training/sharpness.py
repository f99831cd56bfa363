"""Sharpness-aware minimisation, as a training loop with an ordinary closure can use it."""

from collections.abc import Callable, Iterable

import torch
from pytorch_optimizer import SAM
from torch import nn


class SharpnessAware(SAM):
    """SAM (Foret et al., ICLR 2021) over SGD with momentum, whose step asks for the gradients itself, twice.

    pytorch_optimizer's SAM expects the first gradients before its step. Lightning's automatic optimisation, like
    torch's L-BFGS, leaves every backward pass to the closure; so the closure is called here at the weights w, and once
    more where the loss within a distance of `radius` is about highest, at w + radius g/|g|; the second gradient moves
    w. One step costs two forward and two backward passes, and batch norms see the batch twice.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float = 0.9, radius: float = 0.05
    ) -> None:
        super().__init__(list(parameters), torch.optim.SGD, rho=radius, lr=learning_rate, momentum=momentum)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; returns the loss before it. A closure that leaves no gradient changes nothing.

        `closure` clears the gradients, computes the loss and its gradients, and returns the loss (typed as torch does;
        a scalar tensor is meant). Raises ValueError without one.
        """
        if closure is None:
            raise ValueError("SAM needs a closure that computes the loss and its gradients")
        with torch.enable_grad():
            loss = closure()
        if any(p.grad is not None for group in self.param_groups for p in group["params"]):
            super().step(closure)
        return loss
