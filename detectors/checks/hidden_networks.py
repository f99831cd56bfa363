"""Networks that a detector computes with and torch does not see: in plain containers, objects and functions."""

import functools
import inspect
from collections.abc import Iterable, Iterator
from itertools import islice
from types import CellType
from typing import Any

import torch
from torch import nn

from common.errors import InputError
from detectors.base import Detector
from detectors.black_box import BlackBox

DEEPEST = 3
"""How deep a network is looked for: that of an object in a list in an attribute is three deep."""

MOST = 1000
"""How many parts of a container are looked at."""

_OWN = frozenset(vars(nn.Module()))
"""What torch keeps in a module."""


def require_networks_seen(detector: Detector, name: str) -> None:
    """Refuses networks that are no part of the detector for torch, with weights that it does not have itself.

    Nothing puts them in a mode or on a device; the weights' SHA-256 and the detector of random weights leave them out.
    A `BlackBox` may hold what it likes: it is asked for answers alone.

    Raises InputError that names the attribute.
    """
    if isinstance(detector, BlackBox):
        return
    seen = {id(module) for module in detector.modules()}
    for module in detector.modules():
        if isinstance(module, torch.jit.ScriptModule):  # compiled: nothing of Python's is in it
            continue
        for attribute, value in vars(module).items():
            lost = (part for part in _modules_in(value, DEEPEST) if id(part) not in seen)
            if attribute not in _OWN and any(part.state_dict() for part in lost):
                raise InputError(
                    f"detector {name} keeps a network in {attribute!r} where torch does not see it, so that its modes, "
                    "device and weights are not the detector's: name it as an attribute, or put it into nn.ModuleList "
                    "or nn.ModuleDict"
                )


def _modules_in(value: Any, deeper: int) -> Iterator[nn.Module]:
    """The modules in a value, itself among them, in its order."""
    if isinstance(value, nn.Module):
        yield value
    elif deeper:
        for part in islice(_held(value), MOST):
            yield from _modules_in(part, deeper - 1)


def _held(value: Any) -> Iterable[Any]:
    """What a container, a function or an object of a user's class holds."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set)):
        return value
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if inspect.ismethod(value):
        return (value.__self__,)
    if inspect.isfunction(value):
        return map(_content, value.__closure__ or ())
    if inspect.isclass(value) or inspect.ismodule(value):
        return ()
    return list(getattr(value, "__dict__", {}).values())


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None
