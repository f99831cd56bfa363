"""Whether code has replaced what all networks of a process compute with: functions, layers' classes, global hooks."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

from common.console import some, warn

_WRAPPED = {"torch.compile", "torch.manual_seed"}
"""What lightning replaces when it is imported, by what does the same."""


def hooks_of_every_module() -> int:
    """How many hooks torch calls for every module of the process (`register_module_forward_hook` and the like)."""
    names = [name for name in vars(torch_module) if name.startswith("_global_") and name.endswith("hooks")]
    return sum(len(getattr(torch_module, name)) for name in names)


def _layers(kind: type[nn.Module]) -> Iterator[type[nn.Module]]:
    """A class of layers and all that are made of it so far, of whichever library."""
    yield kind
    for other in kind.__subclasses__():
        yield from _layers(other)


def shared() -> Mapping[str, object]:
    """What all networks of the process share, by name: functions, methods of tensors and of layers, global hooks."""
    spaces = {"torch": torch, "torch.nn.functional": functional, "numpy.random": np.random}
    functions = {f"{space}.{name}": value for space, of in spaces.items() for name, value in vars(of).items()}
    return (
        {name: value for name, value in functions.items() if callable(value)}
        | {f"torch.Tensor.{name}": getattr(torch.Tensor, name) for name in dir(torch.Tensor) if name[0] != "_"}
        | {
            f"{layer.__module__}.{layer.__qualname__}.{name}": value
            for layer in _layers(nn.Module)
            for name, value in vars(layer).items()
            if callable(value)
        }
        | {"the hooks of every module": hooks_of_every_module()}
    )


def remark_replaced(before: Mapping[str, object], what: str) -> None:
    """Warns of what is no longer as it was `before` (`shared`), and that `what` has done it, as "importing 'mine'"."""
    if changed := replaced(before):
        warn(
            f"{what} replaces {some(changed, 3)} for the whole process: every detector, explanation and "
            "attack computes with that, too; let it change classes and functions of its own"
        )


def replaced(before: Mapping[str, object]) -> list[str]:
    """The names of what is no longer as it was, sorted."""
    now = shared()
    return sorted(name for name in before.keys() & now.keys() - _WRAPPED if now[name] is not before[name])
