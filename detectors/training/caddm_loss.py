"""CADDM's loss: the verdict's, and that of the anchors that look for artifacts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from detectors.training.anchors import anchors, encode, match


@dataclass(frozen=True)
class AnchorLoss:
    """How the anchors' part of the loss is made.

    Attributes:
        localisation: the weight of the boxes' error; the published code's is 0.1.
        confidence: the weight of the error about which anchors hold an artifact; the published code's is 0.1.
        threshold: the intersection over union from which an anchor is matched with a box.
        negatives: how many anchors without an artifact count for each matched one, the most mistaken first; SSD's is
            3, the published CADDM's 2.
    """

    localisation: float = 0.1
    confidence: float = 0.1
    threshold: float = 0.5
    negatives: int = 3

    def __post_init__(self) -> None:
        if self.localisation < 0 or self.confidence < 0 or self.negatives < 0:
            raise InputError("the anchor loss's weights and number of negatives must be 0 or more")
        if not 0 < self.threshold <= 1:
            raise InputError(f"the anchors' threshold must be above 0 and at most 1, got {self.threshold}")


def caddm_loss(
    logits: Tensor,
    offsets: Tensor,
    confidences: Tensor,
    labels: Tensor,
    boxes: Sequence[Tensor],
    anchor_loss: AnchorLoss = AnchorLoss(),
    class_weights: Tensor | None = None,
) -> Tensor:
    """The loss of N pictures, a scalar (Dong et al., CVPR 2023): cross-entropy of the verdicts, plus the anchors'.

    Args:
        logits: (N, 2) verdicts.
        offsets: (N, A, 4) of the boxes against `anchors()`.
        confidences: (N, A, 2) logits of whether an anchor holds no artifact (0) or one (1).
        labels: (N,) int64 classes.
        boxes: N tensors (n, 4) of where a picture was manipulated, x0, y0, x1, y1 in [0, 1]; n is 0 for a real one.
        anchor_loss: its weights and matching.
        class_weights: (2,) weights of the classes in the verdict's part, or None.
    """
    verdict = functional.cross_entropy(logits.float(), labels, class_weights)
    priors = anchors().to(offsets.device)
    localisation, confidence = anchor_losses(
        offsets.float(), confidences.float(), boxes, priors, anchor_loss.threshold, anchor_loss.negatives
    )
    return verdict + anchor_loss.localisation * localisation + anchor_loss.confidence * confidence


def anchor_losses(
    offsets: Tensor, confidences: Tensor, boxes: Sequence[Tensor], anchors: Tensor, threshold: float, negatives: int
) -> tuple[Tensor, Tensor]:
    """The errors of the boxes (smooth L1) and of the confidences (cross-entropy), each over the number of matches.

    As in SSD (Liu et al., ECCV 2016), only matched anchors have a box to find, and of the others only the hardest
    count: at most `negatives` for each match, those of the largest cross-entropy. SSD chooses them picture by picture,
    so that a picture without a box would teach its confidences nothing; here they are the hardest of the whole
    batch, real pictures' included. Both are 0 where no picture has a box.

    Args:
        offsets: (N, A, 4) of the boxes against the anchors, as `anchors.encode` gives them.
        confidences: (N, A, 2) logits of whether an anchor holds no artifact (0) or one (1).
        boxes: N tensors (n, 4) of x0, y0, x1, y1 in [0, 1]; n may be 0.
        anchors: (A, 4) boxes, likewise.
        threshold: the intersection over union from which an anchor is matched with a box, in (0, 1].
        negatives: how many unmatched anchors count for each match, at least 0.

    Raises:
        ValueError: the shapes do not fit.
    """
    if offsets.shape[1:] != anchors.shape or len(boxes) != len(offsets):
        raise ValueError(
            f"offsets {tuple(offsets.shape)} for {len(boxes)} pictures and {len(anchors)} anchors; expected (N, A, 4)"
        )
    box_indices = torch.stack([match(of_picture.to(anchors), anchors, threshold) for of_picture in boxes])
    matched = box_indices >= 0
    goals = [
        encode(of_picture.to(anchors)[indices[indices >= 0]], anchors[indices >= 0])
        for of_picture, indices in zip(boxes, box_indices, strict=True)
    ]
    matches = matched.sum().clamp(min=1)
    localisation = functional.smooth_l1_loss(offsets[matched], torch.cat(goals), reduction="sum") / matches
    errors = functional.cross_entropy(confidences.flatten(0, 1), matched.flatten().long(), reduction="none")
    counted = matched.flatten() | _hardest(errors.detach(), matched.flatten(), negatives)
    return localisation, errors[counted].sum() / matches


def _hardest(errors: Tensor, matched: Tensor, negatives: int) -> Tensor:
    """Of anchors with errors (K,) and whether each is matched (K,): which unmatched ones count, (K,) bool."""
    count = min(negatives * int(matched.sum()), int((~matched).sum()))
    chosen = errors.masked_fill(matched, -torch.inf).topk(count).indices
    return torch.zeros_like(matched).index_fill(0, chosen, True)
