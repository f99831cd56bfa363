"""Tensors that a detector computes with and that are none of its own, found by watching a pass through it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from common.errors import FAILED
from detectors.base import Detector
from detectors.queries import evaluating

LEAST = 64
"""Fewer numbers are no layer's weights."""


def foreign_tensors(detector: Detector, images: Tensor) -> list[tuple[int, ...]]:
    """The shapes of floating tensors that a pass computes with and does not make, which are no part of the detector.

    Torch does not see what is kept in a plain attribute or container, a global, a class or a closure: no device, no
    SHA-256 and no drawing of random weights reaches it. One pass of the images; nothing where they cannot be asked
    about so.

    Args:
        detector: in any mode.
        images: (N, 3, S, S) float32 in [0, 1], on its device.
    """
    watch = _Watch([images, *detector.parameters(), *detector.buffers()])
    try:
        with evaluating(detector), torch.no_grad(), watch:
            detector(images)
    except FAILED:
        return []
    return watch.shapes


class _Watch(TorchDispatchMode):
    """Keeps the shapes of large floating inputs of operations that are neither known nor outputs of others."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self._known = {_memory(tensor) for tensor in known}
        self._kept: list[Tensor] = []  # so that no memory is used again meanwhile

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        for tensor in _tensors((args, kwargs)):
            if tensor.is_floating_point() and tensor.numel() >= LEAST and _memory(tensor) not in self._known:
                self.shapes.append(tuple(tensor.shape))
                self._know(tensor)
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            self._know(tensor)
        return made

    def _know(self, tensor: Tensor) -> None:
        self._known.add(_memory(tensor))
        self._kept.append(tensor)


def _tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _memory(tensor: Tensor) -> int:
    """What is the same for a tensor and its views."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse, or of a transformation: by itself
        return id(tensor)
