"""What differs between the ways to train a detector: which pictures, which loss, which optimiser."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from detectors.base import Detector
from detectors.training.training_frames import Labelled

NO_BOXES = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """One training picture.

    Attributes:
        image: (H, W, 3) uint8 RGB, of any size; it is resized as the detector does.
        label: its class.
        boxes: (n, 4) float32, where it was manipulated: x0, y0, x1, y1 in parts of the picture.
    """

    image: np.ndarray
    label: int
    boxes: np.ndarray = field(default_factory=lambda: NO_BOXES)


class TrainingBatch(NamedTuple):
    """N samples: images (N, 3, S, S) float32 in [0, 1], labels (N,) int64, and N tensors of boxes (n, 4)."""

    images: Tensor
    labels: Tensor
    boxes: list[Tensor]


class Recipe(Protocol):
    """One way to train a detector; its settings are the fields of a frozen dataclass.

    Attributes:
        keeps_best: whether the epoch of the lowest validation loss is kept in the end, rather than the last one.
    """

    keeps_best: ClassVar[bool]

    @property
    def learning_rate(self) -> float:
        """The peak of the learning rate."""
        ...

    @property
    def differentiates_twice(self) -> bool:
        """Whether the loss holds a gradient of the network, so that its own gradient is a second derivative."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides what is trained, as plain values: a training that is resumed must have the same."""
        ...

    def chosen(self, frames: Labelled, detector: Detector) -> Labelled:
        """The frames that this recipe trains on; InputError where there are none."""
        ...

    def samples(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """What frame `position` gives in one epoch; InputError where it cannot be read."""
        ...

    def validation(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """What frame `position` is validated by, the same in every epoch."""
        ...

    def loss(self, detector: Detector, batch: TrainingBatch, class_weights: Tensor) -> Tensor:
        """The loss of a batch; `class_weights` (C,) balance the classes for a recipe that wants it."""
        ...

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of a detector's weights, at the peak of its learning rate."""
        ...

    def rate(self, done: float) -> float:
        """The learning rate, as a part of its peak, when the fraction `done` of a training is over."""
        ...
