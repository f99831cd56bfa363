"""Randomness for code that draws from global generators: seeded per pair, and put back afterwards."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class PairDraws(TorchFunctionMode):
    """Gives each pair of a batch the random numbers that it would draw alone.

    Inside this mode, a draw of a tensor with one row per pair takes row i from pair i's own generator, seeded by
    `seeds[i]`: the numbers that the global generator gives after `torch.manual_seed(seeds[i])` when pair i is
    the whole batch. Draws of another kind or shape pass through to the global generator, whose state then changes.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Serves the draws it knows, row by row; everything else runs as it is."""
        kwargs = dict(kwargs or {})
        if func not in _FILL or not args or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        if args[0].shape[:1] != (len(self._generators),):
            return func(*args, **kwargs)
        fill, in_place = _FILL[func]
        target = args[0] if in_place else torch.empty_like(args[0], **kwargs)
        settings = kwargs if in_place else {}
        for row, generator in zip(target.split(1), self._generators, strict=True):
            fill(row, *args[1:], **{**settings, "generator": generator})
        return target


_FILL: dict[Callable[..., Any], tuple[Callable[..., Tensor], bool]] = {
    torch.Tensor.uniform_: (torch.Tensor.uniform_, True),
    torch.Tensor.normal_: (torch.Tensor.normal_, True),
    torch.rand_like: (torch.Tensor.uniform_, False),
    torch.randn_like: (torch.Tensor.normal_, False),
}
