"""Whether a vision transformer's tokens are its picture's patches in rows: tried by changing single patches."""

from collections.abc import Iterator
from weakref import WeakSet

import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from detectors.layers import patch_grid
from xai.attention import Attention

FRACTIONS = tuple((row / 7, column / 7) for row, column in enumerate((0, 5, 2, 7, 4, 1, 6, 3)))
"""Which patches are changed, in rows and columns of the grid's last: no two alike, in no order that a mirror, a turn or
a transpose keeps, one at the left and one at the right border, where what is moved by one comes to lie far away."""

NEAR = 0.75
"""How far, in tokens along an axis, what a patch changes may lie aside for most patches."""

FARTHEST = 1.5
"""How far it may lie for any."""


def require_patches_in_rows(detector: Detector, image: Tensor, changed: Tensor, who: str) -> None:
    """Refuses a detector whose tokens are not the patches of its picture, row by row, after those of a prefix.

    The inner part of eight patches is changed, one at a time, and what enters the first attention is looked at, the key
    and the value of each token, before any token has seen another. Around the token that changes most, the middle of
    what changes must lie where the patch is: within `NEAR` tokens for more than half of the patches, as a
    convolutional stem blurs or is aside by half a token, and within `FARTHEST` for all. Tokens that later blocks put
    into another order are not noticed. Nine passes, once for a detector.

    Args:
        detector: a vision transformer, as `xai.attention.ViT` reads it, in evaluation mode.
        image: (1, 3, S, S) in [0, 1].
        changed: (1, 3, S, S), another image, of which the patches are taken.
        who: what needs it, for messages.

    Raises:
        InputError: they are others, in another order, or of the picture as the detector moves, crops or pads it.
    """
    if detector in _IN_ROWS:
        return
    before = _entering(detector, image, who)
    grid = patch_grid(len(before))
    if grid is None:
        raise InputError(f"{who}: {len(before)} tokens are no square of patches")
    prefix, side = grid
    places = list(_places(side))
    aside = []
    for row, column in places:
        change = (_entering(detector, _with_patch(image, changed, row, column, side), who) - before).abs().sum(dim=1)
        aside.append(_aside(change[prefix:].unflatten(0, (side, side)), row, column))
    far = sum(each > NEAR for each in aside)
    if 2 * far >= len(aside) or max(aside) > FARTHEST:
        raise InputError(
            f"{who}: the tokens of {type(detector).__name__} are not the {side} x {side} patches of its picture in "
            f"rows, after {prefix} others: {far} of {len(places)} patches that were changed are found at other tokens "
            "or none; put prompts before the patches, leave these in rows, and move, crop or pad pictures in prepare; "
            "or take another explanation"
        )
    _IN_ROWS.add(detector)


_IN_ROWS: WeakSet[Detector] = WeakSet()
"""Those that passed."""


class _Entering(Attention):
    """Keeps what enters the first attention."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Tensor | None = None

    def compared(self, query: Tensor, key: Tensor, scale: float) -> Tensor:
        """As it is; the first keys are kept."""
        if self.first is None:
            self.first = key
        return super().compared(query, key, scale)

    def mixed(self, weights: Tensor, value: Tensor) -> Tensor:
        """As it is; the first values are kept beside the keys."""
        if self.first is not None and len(self.weights) == 1:
            self.first = torch.cat([self.first, value], dim=-1)
        return super().mixed(weights, value)


def _entering(detector: Detector, image: Tensor, who: str) -> Tensor:
    """What enters the first attention for an image (1, 3, S, S): each token's keys and values, (T, D) float64."""
    watch = _Entering()
    with torch.no_grad(), watch:
        detector(image)
    if watch.first is None:
        raise InputError(f"{who} needs a vision transformer; {type(detector).__name__} has no attention")
    return watch.first[0].transpose(0, 1).flatten(1).double()


def _places(side: int) -> Iterator[tuple[int, int]]:
    """The rows and columns of the patches that are changed, each once."""
    yield from dict.fromkeys((round(row * (side - 1)), round(column * (side - 1))) for row, column in FRACTIONS)


def _with_patch(image: Tensor, changed: Tensor, row: int, column: int, side: int) -> Tensor:
    """An image (1, 3, S, S) with the inner half, along each axis, of one patch of another."""
    picture, size = image.clone(), image.shape[-1] / side
    inner = [
        slice(start := int((place + 0.25) * size), max(start + 1, int((place + 0.75) * size)))
        for place in (row, column)
    ]
    picture[:, :, inner[0], inner[1]] = changed[:, :, inner[0], inner[1]]
    return picture


def _aside(change: Tensor, row: int, column: int) -> float:
    """How far along an axis the middle of a change (h, w) lies from a token; infinite where there is none.

    The middle is that of the token that changes most and of its neighbours.
    """
    if not bool(change.any()):
        return float("inf")
    top, left = divmod(int(change.argmax()), change.shape[1])
    rows, columns = (slice(max(0, place - 1), place + 2) for place in (top, left))
    part = change[rows, columns]
    down = torch.arange(rows.start, rows.start + part.shape[0]).to(part)
    along = torch.arange(columns.start, columns.start + part.shape[1]).to(part)
    middle = (part.sum(dim=1) @ down) / part.sum(), (part.sum(dim=0) @ along) / part.sum()
    return max(abs(float(middle[0]) - row), abs(float(middle[1]) - column))
