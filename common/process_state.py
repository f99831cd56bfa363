"""What belongs to the whole process, and a user's own code must not move: its folder, and how numbers are computed."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from common.console import warn


@contextlib.contextmanager
def kept_process_state(what: str, once: bool = False) -> Iterator[None]:
    """Puts back, with a warning, what of the process has changed inside: else all that follows would be another run.

    Kept are the working folder, where standard output and standard error go, torch's default type, device, gradients
    and threads, and how numpy takes errors. `what` is happening, for the warning, which is said `once` of what happens
    again and again. Other threads see what happens inside, so that whatever they open must have an absolute path.
    """
    before = [read() for _, read, _ in _STATE]
    try:
        yield
    finally:
        changed = []
        for (name, read, put_back), value in zip(_STATE, before, strict=True):
            now = read()
            if value is not None and now != value:
                put_back(value)
                changed.append(f"own code has changed {name} ({what}){_moved(value, now)}")
        for told in changed:  # once standard error is back
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


class _Stream:
    """What `sys.stdout` or `sys.stderr` is: the same where another object writes to the same descriptor."""

    def __init__(self, name: str) -> None:
        self.name, self.stream = name, getattr(sys, name)
        try:
            self.descriptor = int(self.stream.fileno())
        except Exception:  # of no file, closed or detached; a user's stream may raise or return anything
            self.descriptor = -1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Stream) or self.stream is other.stream:
            return isinstance(other, _Stream)
        return self.descriptor == other.descriptor >= 0

    def put_back(self) -> None:
        """Is it again; where it was closed or lost its buffer to another, a new one to the same descriptor."""
        if not _can_write(self.stream) and self.descriptor >= 0:
            self.stream = open(self.descriptor, "w", buffering=1, closefd=False)  # noqa: SIM115 - it stays
        now = getattr(sys, self.name)
        if getattr(now, "buffer", None) is not None and now.buffer is getattr(self.stream, "buffer", None):
            _REPLACED.append(now)
        setattr(sys, self.name, self.stream)


def _can_write(stream: Any) -> bool:
    """Whether a stream is neither closed nor detached, which raises when it is asked."""
    try:
        return not getattr(stream, "closed", False)
    except ValueError:
        return False


_REPLACED: list[object] = []
"""Streams that were replaced, which may share a buffer with ours and would close it when they are forgotten."""


class _Descriptor:
    """Where an open file descriptor leads: kept open, so that it can be put back, until this is forgotten."""

    def __init__(self, number: int) -> None:
        self.number = number
        status = os.fstat(number)
        self.place = status.st_dev, status.st_ino
        self.kept = os.dup(number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descriptor) and self.place == other.place

    def __del__(self) -> None:
        if hasattr(self, "kept"):
            os.close(self.kept)

    def put_back(self) -> None:
        """Has the number lead there again."""
        os.dup2(self.kept, self.number)


def _descriptor(number: int) -> _Descriptor | None:
    """Where a descriptor leads; None where it is closed."""
    try:
        return _Descriptor(number)
    except OSError:
        return None


_SAID: set[str] = set()
"""What was warned of."""

_STATE: tuple[tuple[str, Callable[[], Any], Callable[[Any], object]], ...] = (
    ("the working folder", _folder, os.chdir),
    ("where standard output goes", lambda: _descriptor(1), _Descriptor.put_back),
    ("where standard error goes", lambda: _descriptor(2), _Descriptor.put_back),
    ("sys.stdout", lambda: _Stream("stdout"), _Stream.put_back),
    ("sys.stderr", lambda: _Stream("stderr"), _Stream.put_back),
    ("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
    ("torch's default device", torch.get_default_device, lambda device: torch.set_default_device(_usual(device))),
    ("whether torch keeps gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    ("torch's threads", torch.get_num_threads, torch.set_num_threads),
    ("how numpy takes errors", np.geterr, lambda kinds: np.seterr(**kinds)),
)
"""What is kept, in words; how it is read, and put back."""


def _moved(before: Any, now: Any) -> str:
    """From what to what it was changed, as a clause; of streams, which have no words, nothing."""
    if isinstance(before, _Stream | _Descriptor):
        return ""
    return f" from {_shown(before)} to {_shown(now)}"


def _shown(value: Any) -> str:
    if value is None:
        return "one that is gone"
    return ", ".join(f"{key} {kind}" for key, kind in value.items()) if isinstance(value, dict) else str(value)
