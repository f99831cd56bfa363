"""CADDM's loss, against naive loops, torchvision's SSD and closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssd import SSD

from common.errors import InputError
from detectors.training.anchors import anchors, decode, encode, match
from detectors.training.caddm_loss import AnchorLoss, anchor_losses, caddm_loss

BOXES = [
    torch.tensor([[0.1, 0.2, 0.4, 0.5]]),
    torch.zeros(0, 4),
    torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.45, 0.95, 0.99]]),
]


def outputs(count: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    shapes = ((count, 2), (count, 168, 4), (count, 168, 2))
    logits, offsets, confidences = (torch.randn(shape, generator=draws) for shape in shapes)
    return logits.requires_grad_(), offsets.requires_grad_(), confidences.requires_grad_()


def naive_losses(offsets: Tensor, confidences: Tensor, boxes: list[Tensor], negatives: int) -> tuple[float, float]:
    """One anchor after another, in Python's floats."""
    priors = anchors()
    localisation, positive, others = 0.0, [], []
    for number, of_picture in enumerate(boxes):
        found = match(of_picture, priors).tolist()
        for place, box in enumerate(found):
            none, one = confidences[number, place].tolist()
            if box < 0:
                others.append(math.log(math.exp(none) + math.exp(one)) - none)
                continue
            positive.append(math.log(math.exp(none) + math.exp(one)) - one)
            goal = encode(of_picture[box : box + 1], priors[place : place + 1])[0].tolist()
            for value, wanted in zip(offsets[number, place].tolist(), goal, strict=True):
                error = abs(value - wanted)
                localisation += 0.5 * error**2 if error < 1 else error - 0.5
    hard = sorted(others, reverse=True)[: negatives * len(positive)]
    count = max(1, len(positive))
    return localisation / count, (sum(positive) + sum(hard)) / count


@pytest.mark.parametrize("negatives", [0, 3, 1000])
def test_anchor_losses_are_the_naive_loop_s(negatives: int) -> None:
    _, offsets, confidences = outputs()
    ours = anchor_losses(offsets, confidences, BOXES, anchors(), 0.5, negatives)
    assert [part.item() for part in ours] == pytest.approx(naive_losses(offsets, confidences, BOXES, negatives), 1e-4)


@pytest.mark.parametrize("number", [0, 2])
def test_one_picture_s_losses_are_torchvision_s_ssd_s(number: int) -> None:
    """In a batch of one, the hardest of the batch are the hardest of the picture, as torchvision takes them."""
    _, offsets, confidences = outputs(1, number)
    priors, box = anchors(), BOXES[number][:1]

    class Loss(SSD):
        def __init__(self) -> None:  # only what compute_loss reads of a network
            torch.nn.Module.__init__(self)
            self.box_coder, self.neg_to_pos_ratio = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)), 3

    theirs = Loss().compute_loss(
        [{"boxes": box, "labels": torch.ones(1, dtype=torch.int64)}],
        {"bbox_regression": offsets, "cls_logits": confidences},
        [priors],
        [match(box, priors)],
    )
    localisation, confidence = anchor_losses(offsets, confidences, [box], priors, 0.5, 3)
    torch.testing.assert_close(localisation, theirs["bbox_regression"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(confidence, theirs["classification"], rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_verdict_s_and_the_weighted_anchors_() -> None:
    logits, offsets, confidences = outputs()
    labels, weights = torch.tensor([1, 0, 1]), torch.tensor([2.0, 1.0])
    parts = anchor_losses(offsets, confidences, BOXES, anchors(), 0.5, 3)
    verdict = functional.cross_entropy(logits, labels, weights)
    loss = caddm_loss(logits, offsets, confidences, labels, BOXES, AnchorLoss(0.3, 0.7), weights)
    torch.testing.assert_close(loss, verdict + 0.3 * parts[0] + 0.7 * parts[1])


def test_without_any_box_only_the_verdict_counts() -> None:
    logits, offsets, confidences = outputs()
    labels = torch.zeros(3, dtype=torch.int64)
    loss = caddm_loss(logits, offsets, confidences, labels, [torch.zeros(0, 4)] * 3)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, labels))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    for output in (offsets, confidences):
        assert output.grad is not None
        assert not output.grad.any()


def test_gradients_are_finite_and_reach_only_what_counts() -> None:
    logits, offsets, confidences = outputs()
    caddm_loss(logits, offsets, confidences, torch.tensor([1, 0, 1]), BOXES).backward()
    for output in (logits, offsets, confidences):
        assert output.grad is not None
        assert torch.isfinite(output.grad).all()
    assert offsets.grad is not None
    assert confidences.grad is not None
    matched = torch.stack([match(boxes, anchors()) for boxes in BOXES]) >= 0
    assert torch.equal(offsets.grad.abs().sum(-1) > 0, matched)
    counted = confidences.grad.abs().sum(-1) > 0
    assert int(counted.sum()) == 4 * int(matched.sum())
    assert counted[1].any(), "a real picture's hardest anchors count too"


def test_perfect_boxes_have_no_localisation_loss() -> None:
    priors = anchors()
    _, _, confidences = outputs()
    found = torch.stack([match(boxes, priors) for boxes in BOXES])
    perfect = torch.zeros(3, 168, 4)
    for number, boxes in enumerate(BOXES):
        at = found[number] >= 0
        perfect[number, at] = encode(boxes[found[number, at]], priors[at])
        torch.testing.assert_close(decode(perfect[number], priors)[at], boxes[found[number, at]], atol=1e-5, rtol=1e-5)
    localisation, _ = anchor_losses(perfect, confidences, BOXES, priors, 0.5, 3)
    assert float(localisation) == 0


def test_minimising_the_loss_finds_the_boxes() -> None:
    logits, offsets, confidences = outputs()
    labels = torch.tensor([1, 0, 1])
    optimizer = torch.optim.Adam([logits, offsets, confidences], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        caddm_loss(logits, offsets, confidences, labels, BOXES).backward()
        optimizer.step()
    priors = anchors()
    best = confidences[2, :, 1].argmax()
    torch.testing.assert_close(
        decode(offsets[2], priors)[best], BOXES[2][match(BOXES[2], priors)[best]], atol=1e-2, rtol=0
    )
    artifact = confidences.argmax(-1).bool()
    assert torch.equal(artifact, torch.stack([match(boxes, priors) for boxes in BOXES]) >= 0)


def test_half_precision_outputs_give_a_float32_loss() -> None:
    logits, offsets, confidences = outputs()
    labels = torch.tensor([1, 0, 1])
    half = caddm_loss(logits.bfloat16(), offsets.bfloat16(), confidences.bfloat16(), labels, BOXES)
    assert half.dtype == torch.float32
    full = caddm_loss(logits, offsets, confidences, labels, BOXES)
    torch.testing.assert_close(half, full, rtol=0.02, atol=0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    logits, offsets, confidences = outputs()
    labels = torch.tensor([1, 0, 1])
    with pytest.raises(ValueError, match="168 anchors"):
        caddm_loss(logits, offsets[:, :100], confidences, labels, BOXES)
    with pytest.raises(ValueError, match="for 2 pictures"):
        caddm_loss(logits, offsets, confidences, labels, BOXES[:2])


@pytest.mark.parametrize("bad", [{"localisation": -1.0}, {"negatives": -1}, {"threshold": 0.0}])
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError):
        AnchorLoss(**bad)  # type: ignore[arg-type]
