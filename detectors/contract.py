"""Whether a detector does what the Detector class says, tried on two grey images."""

import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import REAL, Detector
from detectors.memory import ran_out


def check_contract(detector: Detector, name: str) -> None:
    """Raises InputError, saying what is wrong, where a detector does not do what the Detector class says."""
    for attribute in ("input_size", "class_names", "real"):
        if not hasattr(detector, attribute):
            raise InputError(f"detector {name} does not set {attribute!r}, see detectors/base.py")
    names, real = detector.class_names, detector.real
    if not 0 <= real < len(names) or names[real] != REAL:
        raise InputError(
            f"detector {name}: its class {real} must be named {REAL!r}; its classes are {', '.join(names)}"
        )
    logits = _logits_of_two(detector, name)
    if logits.shape != (2, len(names)):
        raise InputError(
            f"detector {name} returned {tuple(logits.shape)} for two images; expected logits (2, {len(names)})"
        )


def _logits_of_two(detector: Detector, name: str) -> Tensor:
    """What a detector gives for two grey images. Raises InputError where it fails for the type of its weights."""
    size, device = detector.input_size, next(detector.parameters(), torch.empty(0)).device
    kinds = {str(weight.dtype).removeprefix("torch.") for weight in detector.parameters()} - {"float32"}
    try:
        with torch.no_grad():
            logits: Tensor = detector(torch.full((2, 3, size, size), 0.5, device=device))
    except RuntimeError as error:
        if not kinds or ran_out(error):
            raise
        raise InputError(
            f"detector {name} has weights in {' and '.join(sorted(kinds))} and fails on images in float32 ({error}); "
            "call .float() on it"
        ) from None
    return logits
