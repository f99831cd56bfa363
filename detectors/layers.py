"""Which layers of a detector give feature maps, and which of them is the last that everything passes through."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from common.console import warn
from common.errors import InputError
from detectors.base import Detector
from detectors.checks.map_place import hooked, require_in_place, slightly_changed
from detectors.queries import Queries, log_odds

FOLLOWS = 0.15
"""Where changes follow by less, a remark is made: tokens reshaped without a transpose follow by 0.1, and so do four of
31 networks of timm with random weights, by less."""

MapsOf = Callable[[Tensor], Tensor | None]
"""Makes feature maps of a layer's output, or None of one that holds none."""

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
            that everything passes through, or it sees the image mirrored, turned, moved, cropped, padded or in another
            order.
    """
    probe = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))
    probe = probe.to(Queries(detector).device)
    maps_of = _maps_of(transformers)
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


def require_layer_on_frame(
    detector: Detector, layer: str, image: Tensor, option: str, transformers: bool = False, is_named: bool = False
) -> None:
    """Refuses a layer that serves for noise, by which it was found, and not for a frame, as where faces are aligned.

    The frame must pass it once, its verdict not go past it, and its map lie over the frame. Eight passes, under the
    caller's autograd mode and the detector's own.

    Args:
        detector: whose layer it is.
        layer: its dotted name, as `feature_layer` gives it.
        image: (3, S, S) in [0, 1], the first frame.
        option: how the user names a layer, for messages.
        transformers: as `feature_layer` was told.
        is_named: whether the user named it, who may want one that not everything passes through.

    Raises:
        InputError: it does not serve for the frame.
    """
    frame, maps_of = image[None].to(Queries(detector).device), _maps_of(transformers)
    if layer not in _feature_maps(detector, frame, maps_of):
        raise InputError(
            f"the layer {layer!r} gives one feature map of noise, and not of the first frame: what runs again or not "
            f"at all for a face has no one map of it; name another layer by {option}"
        )
    _, past = _slopes(detector, layer, frame)
    if not is_named and past is not None and bool(past.any()):
        raise InputError(
            f"everything passes through the layer {layer!r} where the detector is asked about noise, and not for the "
            f"first frame: its map would lack what the verdict is made of; name another layer by {option}"
        )
    require_in_place(detector, layer, frame, slightly_changed(frame), maps_of, "first frame")


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


def _feature_maps(detector: Detector, probe: Tensor, maps_of: MapsOf) -> list[str]:
    """The names of the modules that ran once and gave a feature map of more than one cell, as they finished."""
    finished: list[str] = []
    runs: dict[str, int] = {}

    def watch(name: str, output: Any) -> None:
        runs[name] = runs.get(name, 0) + 1
        maps = maps_of(output) if isinstance(output, Tensor) else None
        if maps is not None and len(maps) == len(probe):  # windows of an image stand where images do
            finished.append(name)

    with hooked(detector, [name for name, _ in detector.named_modules() if name], watch):
        detector(probe)
    return [name for name in finished if runs[name] == 1]


def _decides(detector: Detector, name: str, probe: Tensor, maps_of: MapsOf) -> bool:
    """Whether the verdict depends on the layer's map, and no longer on the image where the layer is cut off."""
    through, past = _slopes(detector, name, probe)
    gradient_maps = None if through is None else maps_of(through)
    return gradient_maps is not None and bool(gradient_maps.any()) and (past is None or not bool(past.any()))


def _slopes(detector: Detector, name: str, probe: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The verdict's gradient by the layer's output, and by the image past it; None where it does not depend on it."""
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
        return None, None
    through, past = torch.autograd.grad(verdict, [outputs[0], image], allow_unused=True)
    return through, past


def _require_in_place(detector: Detector, name: str, probe: Tensor, maps_of: MapsOf, option: str) -> None:
    """Refuses a layer whose map does not lie over the image; remarks on one that hardly follows it."""
    follows = require_in_place(detector, name, probe, 1 - probe, maps_of, "image", cells=True)
    if not type(detector).__module__.startswith(f"{__package__}.") and follows < FOLLOWS:
        warn(
            f"the layer {name!r} hardly follows where the image changes ({follows:.2f} of 1): its map may lie "
            f"elsewhere (as of tokens that were reshaped without a transpose); name another layer by {option}"
        )


def _maps_of(transformers: bool) -> MapsOf:
    return as_maps if transformers else _plain
