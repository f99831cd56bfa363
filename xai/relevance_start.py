"""What captum's LRP (0.9) needs: a start with each logit's share of the log-odds, and a network without branches."""

from typing import Any
from weakref import WeakSet

import torch
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from detectors.gradients import differentiable, graph_nodes, untouched
from detectors.queries import Queries, log_odds
from xai.libraries import LogOdds

_SMALL = 1e-9

_JOINS = frozenset({"Add", "Sub", "Mul", "Div"})
"""Autograd's names for what joins two branches as a function, which no rule of captum's sees."""

_WITHOUT_JOINS: WeakSet[Detector] = WeakSet()
"""The detectors that were seen to have none."""


class StartedLogOdds(LogOdds):
    """The same log-odds, whose gradient by a logit is that logit's share of them.

    captum divides relevance by a layer's output and multiplies by the score in the end, which is right where the score
    is one output of the last layer. Of the log-odds each logit would start with the same relevance, but for its sign,
    whatever it says: here it starts with its gradient times itself.
    """

    def forward(self, difference: Tensor) -> Tensor:
        """(N,) of differences (N, 3, H, W)."""
        logits = self.logits(difference)
        odds = log_odds(logits, self.target)
        if logits.requires_grad:
            whole = odds.detach()[:, None]
            shares = logits.detach() / torch.where(whole.abs() < _SMALL, _SMALL, whole)
            logits.register_hook(lambda gradient: gradient * shares)
        return odds


def require_no_joins(detector: Detector) -> None:
    """Refuses a detector that adds or multiplies branches by functions: captum gives each branch all of the relevance.

    Found by one forward pass of noise for a detector, charged to no frame. Of captum's own Addition_Module, which has a
    rule, the sum is taken to be right.

    Raises:
        InputError: naming how many joins there are.
    """
    if detector in _WITHOUT_JOINS or any(isinstance(module, Addition_Module) for module in detector.modules()):
        return
    device, side = Queries(detector).device, detector.input_size
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    with differentiable(device), untouched(detector):
        logits = detector.forward(image.requires_grad_().clone())  # past the hooks that count
        joins = sum(_joins(node) for node in graph_nodes(logits.grad_fn))
    if joins:
        name = type(detector).__name__
        raise InputError(
            f"captum:LRP has no rule for what {name} adds or multiplies as a function (shortcuts, gates; {joins} in a "
            "pass): each branch would get all of the relevance; take captum:IntegratedGradients"
        )
    _WITHOUT_JOINS.add(detector)


def _joins(node: Any) -> bool:
    """Whether a node of autograd's graph makes one value of two that both depend on the image."""
    kind = node.name().rstrip("0123456789").removesuffix("Backward")
    return kind in _JOINS and sum(before is not None for before, _ in node.next_functions) > 1
