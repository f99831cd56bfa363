"""Training CADDM: fakes of which only a window is left, and a network that must also say where it is."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.base import Detector
from detectors.caddm import CaddmDetector
from detectors.training.augment import Augmentation
from detectors.training.caddm_loss import caddm_loss
from detectors.training.classification import adamw, warm_cosine
from detectors.training.facial_swap import facial_swap
from detectors.training.recipe import Sample, TrainingBatch
from detectors.training.training_frames import Labelled, require_classes


@dataclass(frozen=True)
class FacialSwaps:
    """The multi-scale facial swap and the anchor loss (Dong et al., CVPR 2023), by AdamW with warm-up and cosine.

    A fake is blended with its source (`source_path` of the index) inside a window; one without a source is taken
    whole. Where the window is, the anchors learn.

    Attributes:
        learning_rate: its peak.
        warmup: the part of the training in which the learning rate rises, in [0, 1).
        weight_decay: on weights but not on biases and normalisations.
        swap: the probability that a fake with a source is swapped; else it is taken whole.
        flip: the probability of a mirror image.
        augmentation: what else is changed; it must leave every pixel in its place.
    """

    keeps_best: ClassVar[bool] = True
    differentiates_twice: ClassVar[bool] = False

    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.02
    swap: float = 0.5
    flip: float = 0.5
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(flip=0.0, crop=0.0))

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
        """A real frame without boxes, or a fake, whole or in a window of its source, with its box."""
        frame, label = frames.frames[position], frames.labels[position]
        image, source = frame.image, None
        if frames.frames.entries[position].fake and generator.random() < self.swap:
            source = frames.frames.source_image(position)
        if generator.random() < self.flip:
            image, source = _mirrored(image), None if source is None else _mirrored(source)
        boxes = np.zeros((0, 4), np.float32)
        if frames.frames.entries[position].fake:
            swapped = facial_swap(image, source, generator)
            image, boxes = swapped.image, np.array([swapped.box], np.float32)
        return [Sample(self.augmentation(image, generator), label, boxes)]

    def validation(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """The frame as it is."""
        return [Sample(frames.frames[position].image, frames.labels[position])]

    def loss(self, detector: Detector, batch: TrainingBatch, class_weights: Tensor) -> Tensor:
        """The verdict's cross-entropy, the classes balanced, and the anchors' loss."""
        if not isinstance(detector, CaddmDetector):
            raise TypeError(f"this recipe trains CADDM, not {type(detector).__name__}")
        outputs = detector.outputs(batch.images)
        return caddm_loss(
            outputs.logits, outputs.offsets, outputs.confidences, batch.labels, batch.boxes, class_weights=class_weights
        )

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW."""
        return adamw(module, self.learning_rate, self.weight_decay)

    def rate(self, done: float) -> float:
        """Warm-up, then a half cosine to 0."""
        return warm_cosine(done, self.warmup)


def _mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])
