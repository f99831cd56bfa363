"""The boxes that CADDM's artifact detection module starts from: where they lie, what they match, how they are moved.

Anchors as in SSD (Liu et al., ECCV 2016), of the sizes of the facial swap's windows (Dong et al., CVPR 2023).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou  # type: ignore[import-untyped]

SIDES = (7, 5, 3, 1)
WINDOW_UNIT = 224
WINDOWS = ((40, 80), (80, 120), (120, 160), (WINDOW_UNIT, WINDOW_UNIT))
"""The shortest and longest side of a facial swap's window, one range for each feature map, in 224ths of the picture."""
VARIANCES = (0.1, 0.2)
"""What an offset is divided by: the centre's, and that of the logarithm of the size."""


def anchors(sides: Sequence[int] = SIDES, windows: Sequence[tuple[int, int]] = WINDOWS) -> Tensor:
    """The anchors of feature maps of `sides` cells, as (A, 4) float32 boxes x0, y0, x1, y1 in parts of the picture.

    Every cell of a map has two about its middle, of the map's window range: shortest by longest side (width by
    height) and longest by shortest, so that A is twice the number of cells: 168 for 7, 5, 3 and 1. They come map by
    map, row by row, cell by cell, a cell's two together, as the module's outputs do. They may reach over the picture's
    edge. The published code has cells of 45 and 75 pixels in maps of 5 and 3 where 224/5 and 224/3 are meant; its
    anchors lie less than a pixel from these. Raises ValueError unless there is a range of windows for each map.
    """
    if len(sides) != len(windows):
        raise ValueError(f"{len(sides)} feature maps and {len(windows)} ranges of windows; expected as many")
    return torch.cat([_of_map(side, *window) for side, window in zip(sides, windows, strict=True)])


def _of_map(side: int, shortest: int, longest: int) -> Tensor:
    middles = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    centres = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, 2, 2)
    sizes = torch.tensor([[shortest, longest], [longest, shortest]]) / WINDOW_UNIT
    return box_convert(torch.cat([centres, sizes.expand_as(centres)], -1).reshape(-1, 4), "cxcywh", "xyxy")


def match(boxes: Tensor, anchors: Tensor, threshold: float = 0.5) -> Tensor:
    """Which of the boxes (n, 4) each of the anchors (A, 4) is to find: (A,) int64 indices, -1 for none.

    An anchor finds the box that it overlaps most, if by an intersection over union of at least `threshold`; and every
    box is found by the anchor that overlaps it most, however little. Where two boxes share that anchor it finds the
    later one. n may be 0.
    """
    if not len(boxes):
        return torch.full((len(anchors),), -1, device=anchors.device)
    overlaps = box_iou(boxes, anchors)
    overlap, indices = overlaps.max(0)
    indices = torch.where(overlap >= threshold, indices, -1)
    for box, best in enumerate(overlaps.argmax(1).tolist()):
        indices[best] = box
    return indices


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The offsets (n, 4) that take each of n anchors (n, 4) to its box (n, 4): SSD's, divided by its variances.

    The centre's way in sizes of the anchor over 0.1, and the logarithm of the ratio of the sizes over 0.2. Boxes are
    x0, y0, x1, y1 with x0 < x1 and y0 < y1.
    """
    box, anchor = (box_convert(corners, "xyxy", "cxcywh") for corners in (boxes, anchors))
    centre = (box[:, :2] - anchor[:, :2]) / anchor[:, 2:] / VARIANCES[0]
    size = (box[:, 2:] / anchor[:, 2:]).log() / VARIANCES[1]
    return torch.cat([centre, size], 1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (..., A, 4) that offsets (..., A, 4) make of anchors (A, 4): the inverse of `encode`."""
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    centre = anchor[:, :2] + offsets[..., :2] * VARIANCES[0] * anchor[:, 2:]
    size = anchor[:, 2:] * (offsets[..., 2:] * VARIANCES[1]).exp()
    return torch.cat([centre - size / 2, centre + size / 2], -1)
