"""Whether a layer's map lies over the image that the detector is asked about: tried by changing parts of the image."""

import itertools
import math
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
six that get the image mirrored, turned or rolled from 0.08 to 1.2. Of a map of less than CELLS places in a row it is
more, as chance is in fewer places: in maps of 2 x 2 that all of the image changes alike it is up to 0.18 (RepVGG,
MobileNetV4 at 64 pixels), and of mirrored ones that follow the image 0.31 (GhostNet) to 1.7."""

CELLS = 4
"""So many cells of the image in a row and in a column are changed, one at a time; smaller maps are not held to them."""

CLEAR = 0.35
"""The share of what cells change that goes beyond what any cell changes everywhere, above which a map is held to its
order: maps that see all of the image, of deep layers and after gates, say too little."""

NEAR = 0.3
"""How far from a place of the map, in half the image, the cells that change it may lie, beside one place of the map:
strides move by up to half of one, and a cell is as long as 0.5."""

DISORDER = 0.6
"""How much of what cells change may lie farther than `NEAR`: in 67 networks of timm with random weights (1,175 layers
that lie over the image) it is 0.41 at most above `CLEAR`, and less than this above 0.26; in windows' order, and of
pairs of tokens, 0.74 at least."""

STRETCH = 1.25
"""How many times as fast as the map the image may go by beneath it: in these networks 1.004 at most, and 1.13 in maps
of 5 x 5 of RegNet, whose strides move by half a place."""

BARE = 0.25
"""How little, of the mean, changes in the map's outer eighth where padding lies beneath it: in these networks 0.43 at
least."""

WHOLE = 0.8
"""How much, of the mean, the image's outer cells change at least where its map is bare there: a detector that masks an
eighth of the image leaves as much of the map bare, and has 0.5."""

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
    cells: bool = False,
) -> float:
    """Refuses a layer whose map does not lie over the image: a forward that mirrors, turns, rolls, crops or pads.

    Each quarter of the image is changed: the middle of what that changes in the layer must not lie further to the left
    for the right quarters than for the left ones, or rather above it, and so on. A quarter that changes nothing says
    nothing. A change of the image's border must be seen, unless the map's border is of none, as where the map of a crop
    is laid back. What is moved or cropped by less is not noticed. Six passes; with `cells` sixteen more, see
    `_require_cells_in_place`.

    Args:
        detector: whose layer it is.
        name: of the layer, which runs once and gives a feature map.
        image: (1, 3, S, S) in [0, 1].
        changed: (1, 3, S, S), another image, of which the quarters are taken.
        maps_of: makes feature maps of the layer's output.
        what: the image in messages.
        cells: whether single cells of the image are changed as well.

    Returns:
        How far the middle of what changes follows, of 1; infinite where nothing changes.

    Raises:
        InputError: the map lies elsewhere.
    """
    pictures = [*_quarters(image, changed), _border(image, changed), *(_cells(image, changed) if cells else ())]
    changes = _changes(detector, name, image, pictures, maps_of)
    quarters, border = changes[:4], changes[4]
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
    aside = ASIDE * max(1.0, CELLS / min(quarters.shape[1:])) ** 1.5
    if bool((along < -aside).any() or (across.abs() > along.clamp_min(0) + aside).any()):
        raise InputError(
            f"the layer {name!r} sees the {what} elsewhere than it is: the detector mirrors, turns or moves it in "
            "forward, so that its map would be laid over other pixels than it is of; do so in prepare, with a "
            "prepare_mask"
        )
    if cells:
        _require_cells_in_place(changes[5:], name, what)
    return float(along.nan_to_num(torch.inf).min())


def _changes(
    detector: Detector, name: str, image: Tensor, pictures: Sequence[Tensor], maps_of: Callable[[Tensor], Tensor | None]
) -> Tensor:
    """By how much a layer's map differs for each of N pictures from an image's, (N, h, w)."""
    maps, changes = list[Tensor](), list[Tensor]()

    def watch(_name: str, output: Tensor) -> None:
        maps.append(cast(Tensor, maps_of(output)).detach())

    with hooked(detector, [name], watch):
        detector(image)
        first = maps.pop()
        for picture in pictures:
            detector(picture)
            other = maps.pop()
            if other.shape != first.shape:
                raise InputError(
                    f"the layer {name!r} gives maps {tuple(first.shape)} and {tuple(other.shape)} of one image with "
                    "slight changes: what a forward cuts out of it has no one place in it; crop in prepare, with a "
                    "prepare_mask"
                )
            changes.append((other - first).abs().sum(dim=1).double().cpu())
    return torch.cat(changes)


def _quarters(image: Tensor, changed: Tensor) -> list[Tensor]:
    """An image (1, 3, S, S) with each quarter of another."""
    return list(_parts(image, changed, [0, image.shape[-1] // 2, image.shape[-1]]))


def _cells(image: Tensor, changed: Tensor) -> list[Tensor]:
    """An image (1, 3, S, S) with each cell of another, row by row."""
    return list(_parts(image, changed, [round(image.shape[-1] * line / CELLS) for line in range(CELLS + 1)]))


def _parts(image: Tensor, changed: Tensor, lines: Sequence[int]) -> Iterator[Tensor]:
    """An image with what lies between two lines, down and across, of another."""
    for rows, columns in itertools.product(itertools.pairwise(lines), repeat=2):
        picture = image.clone()
        picture[..., slice(*rows), slice(*columns)] = changed[..., slice(*rows), slice(*columns)]
        yield picture


def _border(image: Tensor, changed: Tensor) -> Tensor:
    """An image (1, 3, S, S) with another's border."""
    size = image.shape[-1]
    edge = max(1, size // BORDER)
    inside = slice(edge, size - edge)
    picture = changed.clone()
    picture[..., inside, inside] = image[..., inside, inside]
    return picture


def _require_cells_in_place(changes: Tensor, name: str, what: str) -> None:
    """Refuses a map that does not follow the image's cells in order, or lies over more than the image.

    What a cell changes at a place of the map counts by how far it goes beyond the median of all cells there, as gates
    and attention pass a little of any change everywhere. The middle of the cells that change a place is where it looks.

    Args:
        changes: (CELLS**2, h, w), by how much each cell changes the map; below CELLS rows or columns nothing is said.
        name: of the layer.
        what: the image in messages.

    Raises:
        InputError: most of what changes lies elsewhere (windows, shuffled tokens, several copies side by side), or the
            map goes on where the image has ended (padding, a letterbox).
    """
    beyond = (changes - changes.median(dim=0).values).clamp_min(0)
    weights = beyond.sum(dim=0)
    if min(weights.shape) < CELLS or not bool(weights.any()):
        return
    far, stretch = torch.zeros_like(weights, dtype=torch.bool), 0.0
    middles = (2 * torch.arange(CELLS, dtype=torch.float64) + 1) / CELLS - 1
    for axis, at in enumerate((middles.repeat_interleave(CELLS), middles.repeat(CELLS))):
        places = weights.shape[axis]
        own = (_shares(places) @ middles).view((-1, 1) if axis == 0 else (1, -1)).expand_as(weights)
        looks = torch.where(weights > 0, torch.einsum("k,khw->hw", at, beyond) / weights, own)
        far |= (looks - own).abs() > NEAR + 1 / places
        aside = weights * (own - (weights * own).sum() / weights.sum())
        stretch = max(stretch, float((aside * looks).sum() / (aside * own).sum()))
    sides = zip(_sides(weights, 8), _sides(beyond.sum(dim=(1, 2)).view(CELLS, CELLS), CELLS), strict=True)
    if stretch > STRETCH or any(bare < BARE and whole > WHOLE for bare, whole in sides):
        raise InputError(
            f"the layer {name!r} goes on where the {what} has ended: the detector pads it in forward, so that its map "
            "would be laid over other pixels than it is of; pad in prepare, with a prepare_mask"
        )
    if weights.sum() > CLEAR * changes.sum() and weights[far].sum() > DISORDER * weights.sum():
        raise InputError(
            f"the layer {name!r} shows the {what} in another order than it is: most of what changes in its map lies "
            "elsewhere, as of tokens in windows' order or of several pictures in one, so that its map would be laid "
            "over other pixels than it is of; name another layer, or take a method that hides pixels"
        )


def _shares(places: int) -> Tensor:
    """How much of each place of a line belongs to each cell, (places, CELLS)."""
    ends, lines = (torch.linspace(0, 1, count + 1, dtype=torch.float64) for count in (places, CELLS))
    shared = torch.minimum(ends[1:, None], lines[1:]) - torch.maximum(ends[:-1, None], lines[:-1])
    return places * shared.clamp_min(0)


def _sides(weights: Tensor, parts: int) -> list[float]:
    """The mean of a map's outermost of so many parts, at the top, bottom, left and right, of the mean of all."""
    turned = weights, weights.flip(0), weights.T, weights.T.flip(0)
    return [float(side[: math.ceil(len(side) / parts)].mean() / weights.mean()) for side in turned]


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
