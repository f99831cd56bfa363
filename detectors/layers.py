"""Which layers of a detector give feature maps, and which of them is the last that everything passes through."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from common.console import warn
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries, log_odds

BORDER = 16
"""A layer must see a border of one in so many parts of the image's side: that of 224 pixels cut out of 256."""

ASIDE = 0.1
"""How far, of half the map, changes may lie aside: in 31 networks of timm with random weights it is 0.05 at most, in
six that get the image mirrored, turned or rolled from 0.08 to 1.2."""

FOLLOWS = 0.15
"""Where changes follow by less, a remark is made: tokens reshaped without a transpose follow by 0.1, and so do four of
those 31, with random weights, by less."""

_MOST_PREFIX_TOKENS = 8  # class, distillation and register tokens before those of the image's patches


def feature_layer(detector: Detector, layer: str | None, option: str, transformers: bool = False) -> str:
    """The named layer, or by default the last feature map that everything passes through.

    That is the last layer whose output decides the verdict alone (where it is cut off, the verdict no longer depends
    on the image) and whose map (N, C, h, w), h and w above 1, has a gradient. In a timm network it is what enters the
    pooling; a side branch after it (CADDM's anchors) is none, as the verdict goes past it. With `transformers`, in a
    vision transformer that judges by its class token, it is what enters the last block, since the patches' tokens
    after that block have no part in the verdict. It runs under the caller's autograd mode and the detector's own.

    Args:
        detector: whose layers are searched, on its own device.
        layer: the dotted name of a module; None for the default.
        option: how the user names a layer, for messages.
        transformers: whether outputs of other shapes count too, where `as_maps` makes a map of them.

    Raises:
        InputError: the detector does not have the named layer, the layer gives no feature map, or no layer is one
            that everything passes through, or it sees the image mirrored, turned, moved or cropped.
    """
    probe = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))
    probe = probe.to(Queries(detector).device)
    maps_of = as_maps if transformers else _plain
    candidates = _feature_maps(detector, probe, maps_of)
    if layer is not None:
        module(detector, layer)
        if layer not in candidates:
            near = f"; it has, among others, {', '.join(candidates[-3:])}" if candidates else ""
            raise InputError(f"the layer {layer!r} gives no feature map that Grad-CAM could weigh{near}")
        _require_in_place(detector, layer, probe, maps_of, option)
        return layer
    for name in reversed(candidates):
        if _decides(detector, name, probe, maps_of):
            _require_in_place(detector, name, probe, maps_of, option)
            return name
    raise InputError(
        f"{type(detector).__name__} has no feature map that everything passes through; name a layer with {option}"
    )


def as_maps(output: Tensor) -> Tensor | None:
    """A layer's output as feature maps (N, C, h, w), or None where it holds none.

    It may be (N, C, h, w), channels last (N, h, w, C) as in Swin transformers, or tokens (N, T, C) of which the last
    h * w are the patches of a square grid.
    """
    if (plain := _plain(output)) is not None:
        return plain
    if output.ndim == 4 and output.shape[1] == output.shape[2] > 1:
        return output.permute(0, 3, 1, 2)
    pooled = output.ndim == 3 and output.shape[2] == 1  # (N, C, 1), whose channels are no tokens
    if output.ndim == 3 and not pooled and (grid := patch_grid(output.shape[1])) is not None:
        prefix, side = grid
        return output[:, prefix:].transpose(1, 2).unflatten(2, (side, side))
    return None


def patch_grid(tokens: int) -> tuple[int, int] | None:
    """How many of so many tokens come before those of patches, and the side of their square; None for no square."""
    side = math.isqrt(tokens)
    prefix = tokens - side**2
    return (prefix, side) if side > 1 and prefix <= _MOST_PREFIX_TOKENS else None


def _plain(output: Tensor) -> Tensor | None:
    """An output that is a feature map as it is; None for another. Images are square, so maps of channels last show."""
    if output.ndim != 4 or min(output.shape[2:]) <= 1:
        return None
    return None if output.shape[1] == output.shape[2] != output.shape[3] else output


def module(detector: Detector, name: str) -> nn.Module:
    """The detector's part of that dotted name. Raises InputError where it has none."""
    try:
        return detector.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the detector has no layer {name!r}; its parts: {', '.join(n for n, _ in detector.named_children())}"
        ) from error


def _feature_maps(detector: Detector, probe: Tensor, maps_of: Callable[[Tensor], Tensor | None]) -> list[str]:
    """The names of the modules that ran once and gave a feature map of more than one cell, as they finished."""
    finished: list[str] = []
    runs: dict[str, int] = {}

    def watch(name: str, output: Any) -> None:
        runs[name] = runs.get(name, 0) + 1
        maps = maps_of(output) if isinstance(output, Tensor) else None
        if maps is not None and len(maps) == len(probe):  # windows of an image stand where images do
            finished.append(name)

    with _hooked(detector, [name for name, _ in detector.named_modules() if name], watch):
        detector(probe)
    return [name for name in finished if runs[name] == 1]


def _decides(detector: Detector, name: str, probe: Tensor, maps_of: Callable[[Tensor], Tensor | None]) -> bool:
    """Whether the verdict depends on the layer's map, and no longer on the image where the layer is cut off."""
    image = probe.clone().requires_grad_()
    outputs: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[0].clone()  # what follows may work in place

    handle = module(detector, name).register_forward_hook(cut)
    try:
        verdict = log_odds(detector(image), detector.real).sum()
    finally:
        handle.remove()
    if not verdict.requires_grad:
        return False
    through, past = torch.autograd.grad(verdict, [outputs[0], image], allow_unused=True)
    gradient_maps = None if through is None else maps_of(through)
    return gradient_maps is not None and bool(gradient_maps.any()) and (past is None or not bool(past.any()))


def _require_in_place(
    detector: Detector, name: str, probe: Tensor, maps_of: Callable[[Tensor], Tensor | None], option: str
) -> None:
    """Refuses a layer whose map does not lie over the image: a forward that mirrors, turns, rolls or crops.

    Each quarter of the probe is changed: the middle of what that changes in the layer must not lie further to the left
    for the right quarters than for the left ones, or rather above it, and so on. A change of the probe's border must be
    seen. What is moved or cropped by less is not noticed.
    """
    size, maps = probe.shape[-1], list[Tensor]()

    def watch(_name: str, output: Tensor) -> None:
        maps.append(cast(Tensor, maps_of(output)).detach())

    middle, edge = size // 2, max(1, size // BORDER)
    halves = slice(middle), slice(middle, None)
    changed = probe.repeat(5, 1, 1, 1)
    for picture, (rows, columns) in zip(changed, itertools.product(halves, halves), strict=False):
        picture[:, rows, columns] = 1 - picture[:, rows, columns]
    inside = slice(edge, size - edge)
    changed[-1] = 1 - changed[-1]
    changed[-1][:, inside, inside] = probe[0][:, inside, inside]
    with torch.no_grad(), _hooked(detector, [name], watch):
        for picture in torch.cat([probe, changed]).split(1):
            detector(picture)
    changes = (torch.cat(maps[1:]) - maps[0]).abs().sum(dim=1).double().cpu()
    if changes[:-1].any() and not changes[-1].any():  # a layer in which nothing moves says nothing
        raise InputError(
            f"the layer {name!r} does not see the image's border: the detector crops it in forward, so that its map "
            "would be laid over other pixels than it is of; crop in prepare, with a prepare_mask"
        )
    leans = torch.tensor([[_lean(change.sum(dim=axis)) for change in changes[:-1]] for axis in (1, 0)]).view(2, 2, 2)
    moved = torch.stack([leans.diff(dim=axis).mean(dim=(1, 2)) for axis in (1, 2)], dim=1)  # by a quarter below, right
    along, across = moved.diagonal(), moved.flip(1).diagonal()
    if float(along.min()) < -ASIDE or bool((across.abs() > along.clamp_min(0) + ASIDE).any()):
        raise InputError(
            f"the layer {name!r} sees the image elsewhere than it is: the detector mirrors, turns or moves it in "
            "forward, so that its map would be laid over other pixels than it is of; do so in prepare, with a "
            "prepare_mask"
        )
    is_own = not type(detector).__module__.startswith(f"{__package__}.")
    if is_own and changes.any() and float(along.min()) < FOLLOWS:
        warn(
            f"the layer {name!r} hardly follows where the image changes ({float(along.min()):.2f} of 1): its map may "
            f"lie elsewhere (as of tokens that were reshaped without a transpose); name another layer by {option}"
        )


def _lean(weights: Tensor) -> float:
    """How far the middle of N weights is from the middle of their row, from -1 (the first) to 1 (the last)."""
    places = torch.linspace(-1, 1, len(weights), dtype=weights.dtype)
    return float((weights * places).sum() / weights.sum().clamp_min(1e-300))


@contextmanager
def _hooked(detector: Detector, names: Sequence[str], watch: Any) -> Iterator[None]:
    """Calls `watch(name, output)` whenever one of the modules has run."""
    handles = [
        detector.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: watch(name, output)
        )
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
