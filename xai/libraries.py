"""What the bridges to libraries of attributions share: the score that they explain, and their errors."""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from common.errors import FAILED, InputError, described
from detectors.answers import in_float32
from detectors.base import Detector
from detectors.queries import log_odds

_SAY_ALL = (AssertionError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""Errors whose first line says what is wrong; that of others, as of a KeyError, says little without their type."""


class LogOdds(nn.Module):
    """log p(target) - log(1 - p(target)) of `background + difference`, with gradients.

    A library's input is a frame's difference to what its fill hides pixels with, so that zero, which every library
    takes for "nothing there", is that background: for the mean colour it is zero in the network's normalised input.
    """

    def __init__(self, detector: Detector, target: int, background: Tensor) -> None:
        """`background` is (3, H, W) in [0, 1]."""
        super().__init__()
        self.detector, self.target, self.background = detector, target, background
        # libraries ask a model's first parameter for its device, and some detectors have no parameter
        self.where = nn.Parameter(torch.empty(0, device=background.device), requires_grad=False)

    def forward(self, difference: Tensor) -> Tensor:
        """(N,) of differences (N, 3, H, W)."""
        return log_odds(self.logits(difference), self.target)

    def logits(self, difference: Tensor) -> Tensor:
        """What the detector says, (N, C) float32, of differences (N, 3, H, W)."""
        logits = in_float32(self.detector(self.background + difference))
        if torch.is_grad_enabled() and difference.requires_grad and not logits.requires_grad:
            raise InputError(
                f"{type(self.detector).__name__} gives no gradient, which this method needs: "
                "let its forward run without no_grad or detach"
            )
        return logits


@contextmanager
def one_line_errors(method: str, detector: Detector) -> Iterator[None]:
    """Turns what a library raises on a network that it cannot handle into an InputError; hides its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="captum|pytorch_grad_cam")
            yield
    except (InputError, MemoryError):
        raise
    except FAILED as error:
        first = str(error).strip().splitlines() if isinstance(error, _SAY_ALL) else []
        raise InputError(
            f"{method} cannot explain {type(detector).__name__}: {first[0] if first else described(error)}"
        ) from error


def unknown(name: str, known: Sequence[str], library: str) -> InputError:
    """What to raise for a member that a library does not have, with the nearest it has."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return InputError(f"{library} has no {name!r}{hint}; it has: {', '.join(known)}")
