"""The global generators of torch, numpy and Python: seeded for a while, and put back."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seeds the global generators of torch (every device in use), numpy and Python, and restores them afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state to put back
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    mps_state = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with torch.random.fork_rng(devices, device_type="cuda"):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - some attacks draw from numpy's global state
            random.seed(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if mps_state is not None:
            torch.mps.set_rng_state(mps_state)


@contextlib.contextmanager
def other_seeds() -> Iterator[None]:
    """While it lasts, code that seeds a global generator seeds it by another number: what it draws is another then."""
    setters = ((torch, "manual_seed"), (torch.random, "manual_seed"), (np.random, "seed"), (random, "seed"))
    originals = [getattr(module, name) for module, name in setters]
    try:
        for (module, name), original in zip(setters, originals, strict=True):
            setattr(module, name, _other(original))
        yield
    finally:
        for (module, name), original in zip(setters, originals, strict=True):
            setattr(module, name, original)


def _other(set_seed: Callable[..., Any]) -> Callable[..., Any]:
    def set_another(seed: Any = None, *args: Any, **kwargs: Any) -> Any:
        return set_seed(seed ^ 1 if isinstance(seed, int) else seed, *args, **kwargs)

    return set_another
