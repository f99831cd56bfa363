"""Anchors, against hand-computed numbers, naive loops and torchvision's own parts of SSD."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.ops import box_iou

from common.seeds import generator
from detectors.training.anchors import WINDOW_UNIT, WINDOWS, anchors, decode, encode, match


def random_boxes(count: int, *purpose: str | int) -> Tensor:
    """Boxes (count, 4) of at least a twentieth of the picture's sides."""
    draws = generator(0, "boxes", *purpose)
    low = draws.uniform(0, 0.9, (count, 2))
    high = low + draws.uniform(0.05, 1, (count, 2)) * (1 - low) + 0.02
    return torch.from_numpy(np.concatenate([low, high], 1)).float()


def naive_anchors() -> list[list[float]]:
    boxes = []
    for side, (short, long) in zip((7, 5, 3, 1), WINDOWS, strict=True):
        for row in range(side):
            for column in range(side):
                x, y = (column + 0.5) / side, (row + 0.5) / side
                for width, height in ((short / 224, long / 224), (long / 224, short / 224)):
                    boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return boxes


def overlap(one: list[float], other: list[float]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = width * height
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return both / (sum(areas) - both)


def naive_match(boxes: list[list[float]], priors: list[list[float]], threshold: float) -> list[int]:
    found = []
    for prior in priors:
        overlaps = [overlap(box, prior) for box in boxes]
        best = max(range(len(boxes)), key=lambda box: overlaps[box]) if boxes else -1
        found.append(best if boxes and overlaps[best] >= threshold else -1)
    for number, box in enumerate(boxes):
        found[max(range(len(priors)), key=lambda prior: overlap(box, priors[prior]))] = number
    return found


def test_anchors_are_the_naive_loop_s() -> None:
    priors = anchors()
    assert priors.shape == (168, 4)
    assert priors.dtype == torch.float32
    torch.testing.assert_close(priors, torch.tensor(naive_anchors()))


def test_anchors_come_in_the_order_of_a_convolution_s_outputs() -> None:
    """Each map's cells hold their own centre as a two-anchor convolution's output; permute and reshape keep them."""
    outputs = []
    for side in (7, 5, 3, 1):
        middle = (torch.arange(side) + 0.5) / side
        centre = torch.stack(
            [middle.expand(side, side), middle[:, None].expand(side, side)]
        )  # x, y: (2, rows, columns)
        outputs.append(torch.cat([centre, centre])[None].permute(0, 2, 3, 1).reshape(1, -1, 2))
    priors = anchors()
    torch.testing.assert_close((priors[:, :2] + priors[:, 2:]) / 2, torch.cat(outputs, 1)[0])


def test_the_last_anchors_are_the_picture() -> None:
    torch.testing.assert_close(anchors()[-2:], torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]))


def test_each_map_needs_a_range() -> None:
    with pytest.raises(ValueError, match="3 feature maps and 4 ranges"):
        anchors((7, 5, 3))


def test_hand_computed_overlaps_decide_the_match() -> None:
    priors = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0], [0.9, 0.0, 1.0, 0.1]])
    box = torch.tensor([[0.0, 0.0, 0.5, 0.75]])
    # 0.25/0.375 = 2/3, 0.375/0.5 = 3/4, 0, 0
    assert match(box, priors, 0.5).tolist() == [0, 0, -1, -1]
    assert match(box, priors, 2 / 3 + 0.01).tolist() == [-1, 0, -1, -1]
    assert match(box, priors, 0.9).tolist() == [-1, 0, -1, -1], "the best anchor is matched, however little it overlaps"
    exact = torch.tensor([[0.0, 0.0, 0.5, 0.25]])  # half of the first anchor, exactly
    assert match(exact, priors, 0.5).tolist() == [0, -1, -1, -1]


def test_no_box_matches_nothing() -> None:
    assert match(torch.zeros(0, 4), anchors()).tolist() == [-1] * 168


def test_two_boxes_of_one_anchor_leave_it_to_the_later() -> None:
    priors = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.6, 0.6, 1.0, 1.0]])
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.4, 0.5]])
    assert match(boxes, priors).tolist() == [1, -1]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_match_is_the_naive_loop_s(count: int, threshold: float) -> None:
    boxes, priors = random_boxes(count, count).double(), anchors().double()
    assert match(boxes, priors, threshold).tolist() == naive_match(boxes.tolist(), priors.tolist(), threshold)


def test_match_is_torchvision_s() -> None:
    matched = 0
    for number in range(20):
        box, priors = random_boxes(1, "torchvision", number), anchors()
        theirs = SSDMatcher(0.5)(box_iou(box, priors))
        assert match(box, priors).tolist() == theirs.tolist()
        matched += int((theirs >= 0).sum())
    assert matched > 20


def test_every_window_of_a_range_is_matched_by_its_own_map() -> None:
    """A box of a range's shortest by longest side about a cell's middle is that cell's anchor."""
    starts = np.cumsum([0, 98, 50, 18])
    for start, side, (short, long) in zip(starts, (7, 5, 3, 1), WINDOWS, strict=True):
        middle = (side // 2 + 0.5) / side
        half = np.array([short, long]) / WINDOW_UNIT / 2
        box = torch.tensor(np.r_[middle - half, middle + half][None]).float()
        cell = start + 2 * (side // 2 * side + side // 2)
        assert match(box, anchors())[cell] == 0
        torch.testing.assert_close(encode(box, anchors()[cell : cell + 1]), torch.zeros(1, 4), atol=1e-5, rtol=0)


def test_encode_is_torchvision_s_and_decode_undoes_it() -> None:
    priors, boxes = anchors(), random_boxes(168, "coder")
    offsets = encode(boxes, priors)
    theirs = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)).encode_single(boxes, priors)
    torch.testing.assert_close(offsets, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(decode(offsets, priors), boxes, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(decode(offsets.expand(3, -1, -1), priors)[2], boxes, atol=1e-5, rtol=1e-5)


def test_encode_by_hand() -> None:
    anchor = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
    box = torch.tensor([[0.3, 0.25, 0.8, 0.75]])  # moved right by a tenth of its width
    torch.testing.assert_close(encode(box, anchor), torch.tensor([[1.0, 0, 0, 0]]), atol=1e-5, rtol=0)
    twice = torch.tensor([[0.0, 0.25, 1.0, 0.75]])
    expected = torch.tensor([[0.0, 0, float(np.log(2)) / 0.2, 0]])
    torch.testing.assert_close(encode(twice, anchor), expected, atol=1e-5, rtol=0)
