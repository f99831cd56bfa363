"""Which layers of a detector give feature maps, and which of them is the last that everything passes through."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries, log_odds


def feature_layer(detector: Detector, layer: str | None, option: str) -> str:
    """The named layer, or by default the last feature map that everything passes through.

    That is the last layer whose output (N, C, h, w), h and w above 1, decides the verdict alone: where it is cut off,
    the verdict no longer depends on the image. In a timm network it is what enters the pooling; a side branch after
    it (CADDM's anchors) is none, as the verdict goes past it.

    It runs under the caller's autograd mode and the detector's own; `option` is how the user names a layer. Raises
    InputError for a name that the detector does not have, a layer that gives no feature map, or where there is none
    to be found.
    """
    probe = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))
    probe = probe.to(Queries(detector).device)
    candidates = _feature_maps(detector, probe)
    if layer is not None:
        module(detector, layer)
        if layer not in candidates:
            near = f"; it has, among others, {', '.join(candidates[-3:])}" if candidates else ""
            raise InputError(f"the layer {layer!r} gives no feature map that Grad-CAM could weigh{near}")
        return layer
    for name in reversed(candidates):
        if _decides(detector, name, probe):
            return name
    raise InputError(
        f"{type(detector).__name__} has no feature map that everything passes through, as transformers have none; "
        f"name a layer with {option}"
    )


def module(detector: Detector, name: str) -> nn.Module:
    """The detector's part of that dotted name. Raises InputError where it has none."""
    try:
        return detector.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the detector has no layer {name!r}; its parts: {', '.join(n for n, _ in detector.named_children())}"
        ) from error


def _feature_maps(detector: Detector, probe: Tensor) -> list[str]:
    """The names of the modules that ran once and gave a feature map of more than one cell, as they finished."""
    finished: list[str] = []
    runs: dict[str, int] = {}

    def watch(name: str, output: Any) -> None:
        runs[name] = runs.get(name, 0) + 1
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            finished.append(name)

    with _hooked(detector, [name for name, _ in detector.named_modules() if name], watch):
        detector(probe)
    return [name for name in finished if runs[name] == 1]


def _decides(detector: Detector, name: str, probe: Tensor) -> bool:
    """Whether the verdict no longer depends on the image where the layer's output is cut off."""
    image = probe.clone().requires_grad_()
    handle = module(detector, name).register_forward_hook(lambda _module, _inputs, output: output.detach())
    try:
        verdict = log_odds(detector(image), detector.real).sum()
    finally:
        handle.remove()
    if not verdict.requires_grad:
        return True
    (gradient,) = torch.autograd.grad(verdict, image, allow_unused=True)
    return gradient is None or not bool(gradient.any())


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
