"""Tensors that a detector computes with and that are none of its own, found by watching a pass through it."""

from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from common.console import warn
from common.errors import FAILED, described
from detectors.base import Detector
from detectors.queries import Queries, evaluating

LEAST = 64
"""Fewer numbers are no layer's weights."""

_LAYERS = ("conv", "mm", "linear", "embedding", "lstm", "gru", "rnn")
"""What is in the names of torch's operations that compute with weights."""

_FRESH = "lift_fresh"
"""What torch calls for a tensor that is made of numbers, in a pass as elsewhere."""


def foreign_tensors(detector: Detector, images: Tensor) -> list[tuple[int, ...]]:
    """The shapes of tensors that the layers of a pass compute with and that are no part of the detector.

    Torch does not see what is kept in a plain attribute or container, a global, a class or a closure: no device, no
    SHA-256 and no drawing of random weights reaches it. What only shifts or scales (tables of positions, a mean) does
    not count. One pass of the images.

    Args:
        detector: in any mode.
        images: (N, 3, S, S) float32 in [0, 1], on its device.

    Raises whatever a pass raises that is watched, which not every detector can be.
    """
    watch = _Watch([images, *detector.parameters(), *detector.buffers()])
    with evaluating(detector), torch.no_grad(), watch:
        detector(images)
    return watch.shapes


_REMARKED: WeakSet[Detector] = WeakSet()
"""The detectors that were warned of."""


def remark_foreign_tensors(detector: Detector, name: str, images: Tensor) -> None:
    """Warns, once for a detector, of `foreign_tensors` at images (N, 3, S, S), or that they cannot be found."""
    if detector in _REMARKED:
        return
    try:
        shapes = foreign_tensors(detector, images.to(Queries(detector).device))
    except FAILED as error:
        _REMARKED.add(detector)
        warn(
            f"detector {name} cannot be watched ({described(error)}): whether it computes with weights that are none "
            "of its own, which random weights leave out, is not known"
        )
        return
    if not shapes:
        return
    _REMARKED.add(detector)
    warn(
        f"detector {name} computes with tensors that are none of its parameters or buffers ({len(shapes)}, such as one "
        f"of {shapes[0]}): where they are weights (a network in a global or a class, folded or averaged ones), its "
        "SHA-256, its device and random weights leave them out; make them nn.Parameter, or register_buffer what is "
        "fixed"
    )


class _Watch(TorchDispatchMode):
    """Keeps the shapes of what layers compute with and that is made of nothing known.

    Known are the images, what the detector owns, what is made in the pass, and what is computed with any of that.
    """

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self._known = {_memory(tensor) for tensor in known}
        self._kept: list[Tensor] = []  # so that no memory is used again meanwhile

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        given = [tensor for tensor in _tensors((args, kwargs)) if tensor.is_floating_point()]
        unknown = [tensor for tensor in given if _memory(tensor) not in self._known]
        made = func(*args, **(kwargs or {}))
        name = str(func)
        is_layer = any(word in name for word in _LAYERS)
        if is_layer:
            self.shapes += [tuple(tensor.shape) for tensor in unknown if tensor.numel() >= LEAST]
        if is_layer or not given or len(unknown) < len(given) or _FRESH in name:
            self._kept += (outputs := list(_tensors(made)))
            self._known |= {_memory(tensor) for tensor in outputs}
        return made


def _tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _memory(tensor: Tensor) -> int:
    """What is the same for a tensor and its views."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse, or of a transformation: by itself
        return id(tensor)
