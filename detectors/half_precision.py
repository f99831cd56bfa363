"""Whether a detector computes in half precision, wherever in its forward pass."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from common.errors import InputError
from detectors.base import Detector
from detectors.gradients import differentiable, untouched
from detectors.queries import Queries

HALF = (torch.float16, torch.bfloat16)


def require_float32(detector: Detector, image: Tensor) -> None:
    """Refuses a detector that computes in half precision: its rounding hides what attacks go by.

    One forward pass, in which every operation is watched: weights in half precision and an autocast inside the forward
    pass are both found; weights that are only stored so and converted first are fine, and so is an autocast around
    it, which attacks switch off.

    Args:
        detector: in any mode.
        image: (3, S, S) float32 in [0, 1].

    Raises:
        InputError: an operation gave float16 or bfloat16.
    """
    if kinds := half_types(detector, image):
        raise InputError(
            f"{type(detector).__name__} computes in {' and '.join(kinds)}, and attacks (the adversarial fill is one) "
            "need float32: call .float() on it, and take half() and autocast out of its forward"
        )


def half_types(detector: Detector, image: Tensor) -> list[str]:
    """The half-precision types that a detector computes in, by name; found as `require_float32` says.

    Args:
        detector: in any mode.
        image: (3, S, S) float32 in [0, 1].
    """
    device, watch = Queries(detector).device, _Watch()
    with differentiable(device), untouched(detector), torch.no_grad(), watch:
        detector(image[None].to(device))
    return sorted(str(kind).removeprefix("torch.") for kind in watch.halves)


class _Watch(TorchDispatchMode):
    """Notes the half-precision types that operations give."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: set[torch.dtype] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs the operation as it is."""
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor) and tensor.dtype in HALF:
                self.halves.add(tensor.dtype)
        return result
