"""Training by cross-entropy on labelled frames: the attribution classifier, Xception, any timm network."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from detectors.base import Detector
from detectors.training.augment import Augmentation
from detectors.training.recipe import Sample, TrainingBatch
from detectors.training.training_frames import Labelled, require_classes


@dataclass(frozen=True)
class Classification:
    """Cross-entropy towards each frame's class, by AdamW with warm-up and a half cosine.

    Of a network with one logit z, presented as [0, z], it is the binary cross-entropy of z.

    Attributes:
        learning_rate: its peak, reached after `warmup` of the training; a half cosine leads from there to zero.
        warmup: the part of the training in which the learning rate rises, in [0, 1).
        weight_decay: AdamW's, on weights but not on biases and normalisations.
        label_smoothing: in [0, 1).
        balanced: whether every class has the same weight in the loss, however many frames it has.
        augmentation: how training frames are changed.
    """

    keeps_best: ClassVar[bool] = True
    differentiates_twice: ClassVar[bool] = False

    learning_rate: float = 1e-3
    warmup: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    balanced: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"the learning rate must be above 0, got {self.learning_rate}")

    def settings(self) -> dict[str, Any]:
        """See Recipe."""
        return asdict(self)

    def chosen(self, frames: Labelled, detector: Detector) -> Labelled:
        """All frames; InputError where they are of one class."""
        return require_classes(frames, detector)

    def samples(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """The frame, augmented."""
        image = self.augmentation(frames.frames[position].image, generator)
        return [Sample(image, frames.labels[position])]

    def validation(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """The frame as it is."""
        return [Sample(frames.frames[position].image, frames.labels[position])]

    def loss(self, detector: Detector, batch: TrainingBatch, class_weights: Tensor) -> Tensor:
        """The smoothed, class-weighted cross-entropy."""
        weights = class_weights if self.balanced else None
        logits = detector(batch.images).float()
        return functional.cross_entropy(logits, batch.labels, weights, label_smoothing=self.label_smoothing)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW."""
        return adamw(module, self.learning_rate, self.weight_decay)

    def rate(self, done: float) -> float:
        """Linear from 1/25 to 1 over the warm-up, then a half cosine to 0 (Loshchilov and Hutter, ICLR 2017)."""
        return warm_cosine(done, self.warmup)


def adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019) that decays weights, but not biases and normalisations."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate)


def warm_cosine(done: float, warmup: float) -> float:
    """Linear from 1/25 to 1 while `done` is below `warmup`, then a half cosine from 1 to 0 at `done` = 1."""
    if done < warmup:
        return 0.04 + 0.96 * done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
