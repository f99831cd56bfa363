"""What belongs to the whole process, and a user's own code must not move: its folder, and how numbers are computed."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from common.console import warn


@contextlib.contextmanager
def kept_process_state(what: str, once: bool = False) -> Iterator[None]:
    """Puts back, with a warning, what of the process has changed inside: else all that follows would be another run.

    Kept are the working folder, torch's default type, device, gradients and threads, and how numpy takes errors. `what`
    is happening, for the warning, which is said `once` of what happens again and again. Other threads see what happens
    inside, so that whatever they open must have an absolute path.
    """
    before = [read() for _, read, _ in _STATE]
    try:
        yield
    finally:
        for (name, read, put_back), value in zip(_STATE, before, strict=True):
            now = read()
            if value is not None and now != value:
                put_back(value)
                told = f"own code has changed {name} ({what}) from {_shown(value)} to {_shown(now)}"
                if not (once and told in _SAID):
                    warn(f"{told}: it is put back; let that code put back what it changes")
                _SAID.add(told)


def _folder() -> str | None:
    """The working folder; None where it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _usual(device: torch.device) -> torch.device | None:
    """None, which sets none, for the CPU."""
    return None if device.type == "cpu" else device


_SAID: set[str] = set()
"""What was warned of."""

_STATE: tuple[tuple[str, Callable[[], Any], Callable[[Any], object]], ...] = (
    ("the working folder", _folder, os.chdir),
    ("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
    ("torch's default device", torch.get_default_device, lambda device: torch.set_default_device(_usual(device))),
    ("whether torch keeps gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    ("torch's threads", torch.get_num_threads, torch.set_num_threads),
    ("how numpy takes errors", np.geterr, lambda kinds: np.seterr(**kinds)),
)
"""What is kept, in words; how it is read, and put back."""


def _shown(value: Any) -> str:
    if value is None:
        return "one that is gone"
    return ", ".join(f"{key} {kind}" for key, kind in value.items()) if isinstance(value, dict) else str(value)
