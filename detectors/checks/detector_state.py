"""What a detector computes by, part by part: to see that what asks it does not change it."""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from common.console import some
from common.errors import FAILED, InputError
from common.torch_patches import hooks_of_every_module
from detectors.base import Detector
from detectors.checks.consistency import hooks_of, probes, weights_seen
from detectors.queries import Queries

_TORCHS = set(vars(nn.Module()))
"""Those that torch keeps in every module."""

_SAID = ("class_names", "real", "input_size", "mean", "std", "antialias", "least_noise")
_METHODS = ("forward", "prepare", "prepare_mask", "label_of")


def state_of(detector: Detector) -> Mapping[str, object]:
    """What a detector computes by, each by its name in words.

    That is its weights and hooks, what it says of itself, its methods, and of each of its modules the class, the
    forward of the class and its own, the mode, and the attributes that are numbers, words or switches; the detector's
    own attributes may be set by its `prepare`. A rectifier has no mode and no attributes: the libraries that replace
    those put new ones back, or one for all.
    """
    state: dict[str, object] = {
        "its weights": weights_seen(detector),
        "its hooks": hooks_of(detector),
        "the hooks of every module": hooks_of_every_module(),
    }
    state |= {f"its {name}": repr(getattr(detector, name)) for name in _SAID}
    state |= {f"its {name}": (vars(detector).get(name), getattr(type(detector), name)) for name in _METHODS}
    for name, module in detector.named_modules(remove_duplicate=False):
        where = f" of its {name}" if name else ""
        kind, own = type(module), vars(module)
        methods = () if isinstance(module, torch.jit.ScriptModule) else (kind.forward, own.get("forward"))
        state[f"the class{where}"] = kind, *methods  # a script makes its forward when it is first asked
        state[f"the mode{where}"] = None if kind is nn.ReLU else getattr(module, "training", None)
        if name and kind is not nn.ReLU:
            attributes = {key: value for key, value in own.items() if key not in _TORCHS and _is_plain(value)}
            state |= {f"{key}{where}": repr(value) for key, value in attributes.items()}
    return state


def changed(detector: Detector, before: Mapping[str, object]) -> list[str]:
    """What is no longer as it was, by the names of `state_of`; but for attributes that change by asking, as a counter.

    Where something is, the detector is asked about pictures of noise, if it still answers them.
    """
    now = state_of(detector)
    if not (names := _different(before, now)):
        return []
    by_asking, last = set[str](), now
    with contextlib.suppress(*FAILED):
        for images in (probes(detector), probes(detector)[:1]):  # of another number, which it may keep
            Queries(detector).logits(images)
            by_asking |= {*_different(last, last := state_of(detector))}
    return [name for name in names if name not in by_asking or name.startswith(("its ", "the "))]


def require_unchanged(detector: Detector, before: Mapping[str, object], who: str) -> None:
    """Raises InputError, saying what and `who` may have done it, where a detector is no longer as it was."""
    if found := changed(detector, before):
        raise InputError(
            f"detector {type(detector).__name__} is no longer as it was loaded: {who}, or its own forward, has changed "
            f"{some(found)}; leave that part out, or mend the detector, and score again"
        )


def _different(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    missing = object()
    return [name for name in {**one, **other} if one.get(name, missing) != other.get(name, missing)]


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | complex | str)
