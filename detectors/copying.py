"""Copies of detectors with weights of their own; what no copy can have, such as an open file, they share."""

import copy
import io
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from common.errors import FAILED, InputError, described
from detectors.base import Detector
from detectors.memory import ran_out

_SHARED = (
    io.IOBase, socket.socket, ModuleType, type(threading.Lock()), type(threading.RLock()), threading.Condition,
    threading.Event, threading.Semaphore, threading.Barrier, threading.Thread, queue.Queue, queue.SimpleQueue,
)  # fmt: skip
"""What cannot be copied and holds no weights, so that a copy may use the original's."""

_CONTAINERS = (dict, list, tuple)
_TORCHS = ("_parameters", "_buffers", "_modules")
"""Where torch keeps a module's tensors and parts, which are found under their own names."""


@dataclass(frozen=True, eq=False)
class _Stuck:
    """A part of a detector that can be neither copied nor shared, by its path from the detector, and why."""

    path: str
    part: object
    error: BaseException


def copied(detector: Detector) -> Detector:
    """A deep copy of a detector, whose weights are its own.

    Open files, locks, threads and whatever else belongs to the process are shared with the original, where a module of
    it holds them, by themselves or in a list or mapping. Raises InputError, naming the attribute, for anything else
    that cannot be copied.
    """
    shared: dict[int, object] = {}
    try:
        return copy.deepcopy(detector)
    except FAILED as error:
        if ran_out(error):
            raise
        if stuck := next(_stuck(detector, "", (), True, shared), None):
            raise InputError(_refusal(detector, stuck)) from error
    return copy.deepcopy(detector, shared)


def _refusal(detector: Detector, stuck: _Stuck) -> str:
    advice = (
        "detach it where it is kept"
        if isinstance(stuck.part, Tensor)
        else "make that in forward, or give the class that holds it a __deepcopy__ or a __getstate__ that leaves it out"
    )
    return (
        f"detector {type(detector).__name__} cannot be copied, as drawing its weights anew needs: "
        f"{f'its {stuck.path}' if stuck.path else 'it'} does not let itself be copied ({described(stuck.error)}); "
        f"{advice}"
    )


def _stuck(
    part: object, path: str, around: tuple[object, ...], can_share: bool, shared: dict[int, object]
) -> Iterator[_Stuck]:
    """The innermost parts of an object that can be neither copied nor shared.

    Args:
        part: the object.
        path: to it from the detector, as Python writes it.
        around: what holds it, from the detector on.
        can_share: whether that is modules and plain containers alone, whose copies close nothing when they are gone.
        shared: by their ids the parts that a copy is to share; what is found here is added.
    """
    if _failure(part, around, shared) is None:
        return
    if can_share and isinstance(part, _SHARED):
        shared[id(part)] = part
        return
    plain = isinstance(part, nn.Module) or type(part) in _CONTAINERS
    inside_shares = can_share and plain and not hasattr(type(part), "__del__")
    is_inside = False
    for name, inner in () if isinstance(part, _SHARED) else _parts(part, path):
        for each in _stuck(inner, name, (*around, part), inside_shares, shared):
            is_inside = True
            yield each
    failure = None if is_inside else _failure(part, around, shared)
    if failure is not None:
        yield _Stuck(path, part, failure)


def _failure(part: object, around: tuple[object, ...], shared: Mapping[int, object]) -> BaseException | None:
    """Why a part cannot be copied by itself, without what holds it; None where it can."""
    known = {**shared, **{id(other): other for other in (*around, *_weights(part))}}
    try:
        copy.deepcopy(part, known)
    except FAILED as error:
        if ran_out(error):
            raise
        return error
    return None


def _weights(part: object) -> Iterator[nn.Parameter]:
    """The parameters of a module, which can be copied and are large."""
    return part.parameters() if isinstance(part, nn.Module) else iter(())


def _parts(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What an object holds, each by its path."""
    if isinstance(part, Mapping):
        yield from ((f"{path}[{key!r}]", inner) for key, inner in part.items())
    elif isinstance(part, list | tuple):
        yield from ((f"{path}[{number}]", inner) for number, inner in enumerate(part))
    own = dict(getattr(part, "__dict__", {}))
    if isinstance(part, nn.Module):
        for kept in _TORCHS:
            own |= own.pop(kept, {})
    yield from ((f"{path}.{name}".lstrip("."), inner) for name, inner in own.items())
