"""Where captum's LRP (0.9) starts: relevance of a logit is what it gives to the log-odds, not the log-odds itself."""

import torch
from torch import Tensor

from detectors.queries import log_odds
from xai.libraries import LogOdds

_SMALL = 1e-9


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
