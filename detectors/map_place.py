"""Whether a layer's map lies over the image that the detector is asked about: tried by changing parts of the image."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector

BORDER = 16
"""A layer must see a border of one in so many parts of the image's side: that of 224 pixels cut out of 256."""

ASIDE = 0.1
"""How far, of half the map, changes may lie aside: in 31 networks of timm with random weights it is 0.05 at most, in
six that get the image mirrored, turned or rolled from 0.08 to 1.2."""

SLIGHTLY = 0.1
"""The range of the noise by which a frame is changed: what its forward finds in it, as a face, it must find again."""


def slightly_changed(images: Tensor) -> Tensor:
    """Images (N, 3, S, S) with fixed noise added, in [0, 1]."""
    noise = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(1)).to(images)
    return (images + SLIGHTLY * (noise - 0.5)).clamp(0, 1)


def require_in_place(
    detector: Detector,
    name: str,
    image: Tensor,
    changed: Tensor,
    maps_of: Callable[[Tensor], Tensor | None],
    what: str,
) -> float:
    """Refuses a layer whose map does not lie over the image: a forward that mirrors, turns, rolls or crops.

    Each quarter of the image is changed: the middle of what that changes in the layer must not lie further to the left
    for the right quarters than for the left ones, or rather above it, and so on. A quarter that changes nothing says
    nothing. A change of the image's border must be seen, unless the map's border is of none, as where the map of a crop
    is laid back. What is moved or cropped by less is not noticed. Six passes.

    Args:
        detector: whose layer it is.
        name: of the layer, which runs once and gives a feature map.
        image: (1, 3, S, S) in [0, 1].
        changed: (1, 3, S, S), another image, of which the quarters are taken.
        maps_of: makes feature maps of the layer's output.
        what: the image in messages.

    Returns:
        How far the middle of what changes follows, of 1; infinite where nothing changes.

    Raises:
        InputError: the map lies elsewhere.
    """
    changes = _changes(detector, name, image, changed, maps_of)
    quarters, border = changes[:-1], changes[-1]
    outermost = quarters.clone()
    outermost[:, 1:-1, 1:-1] = 0
    if outermost.any() and not border.any():
        raise InputError(
            f"the layer {name!r} does not see the {what}'s border: the detector crops it in forward, so that its map "
            "would be laid over other pixels than it is of; crop in prepare, with a prepare_mask"
        )
    leans = torch.tensor([[_lean(change.sum(dim=axis)) for change in quarters] for axis in (1, 0)]).view(2, 2, 2)
    moved = torch.stack(
        [leans.diff(dim=axis).nanmean(dim=(1, 2)) for axis in (1, 2)], dim=1
    )  # by a quarter below, right
    along, across = moved.diagonal(), moved.flip(1).diagonal()
    if bool((along < -ASIDE).any() or (across.abs() > along.clamp_min(0) + ASIDE).any()):
        raise InputError(
            f"the layer {name!r} sees the {what} elsewhere than it is: the detector mirrors, turns or moves it in "
            "forward, so that its map would be laid over other pixels than it is of; do so in prepare, with a "
            "prepare_mask"
        )
    return float(along.nan_to_num(torch.inf).min())


def _changes(
    detector: Detector, name: str, image: Tensor, changed: Tensor, maps_of: Callable[[Tensor], Tensor | None]
) -> Tensor:
    """By how much a layer's map changes, (5, h, w), with each quarter of the image and with its border."""
    size, maps = image.shape[-1], list[Tensor]()

    def watch(_name: str, output: Tensor) -> None:
        maps.append(cast(Tensor, maps_of(output)).detach())

    middle, edge = size // 2, max(1, size // BORDER)
    halves = slice(middle), slice(middle, None)
    pictures = image.repeat(5, 1, 1, 1)
    for picture, (rows, columns) in zip(pictures, itertools.product(halves, halves), strict=False):
        picture[:, rows, columns] = changed[0][:, rows, columns]
    inside = slice(edge, size - edge)
    pictures[-1] = changed[0]
    pictures[-1][:, inside, inside] = image[0][:, inside, inside]
    with hooked(detector, [name], watch):
        for picture in torch.cat([image, pictures]).split(1):
            detector(picture)
    if sizes := {tuple(each.shape) for each in maps} - {tuple(maps[0].shape)}:
        raise InputError(
            f"the layer {name!r} gives maps {tuple(maps[0].shape)} and {sizes.pop()} of one image with slight changes: "
            "what a forward cuts out of it has no one place in it; crop in prepare, with a prepare_mask"
        )
    return (torch.cat(maps[1:]) - maps[0]).abs().sum(dim=1).double().cpu()


def _lean(weights: Tensor) -> float:
    """How far the middle of N weights is from that of their row, from -1 (the first) to 1 (the last); NaN of zeros."""
    places = torch.linspace(-1, 1, len(weights), dtype=weights.dtype)
    return float((weights * places).sum() / weights.sum())


@contextmanager
def hooked(detector: Detector, names: Sequence[str], watch: Any) -> Iterator[None]:
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
