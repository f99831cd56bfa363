"""Training on self-blended images: real frames only, each against a blend of itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from data.landmarks import Landmarks, landmarks_for
from detectors.base import Detector
from detectors.training.landmark_check import with_landmarks
from detectors.training.recipe import Sample, TrainingBatch
from detectors.training.self_blending import pair
from detectors.training.sharpness import SharpnessAware
from detectors.training.training_frames import Labelled


@dataclass(frozen=True)
class SelfBlending:
    """Self-blended images (Shiohara and Yamasaki, CVPR 2022): SAM over SGD, constant, then linear to 0.

    Attributes:
        landmarks: of the frames; a mean face stands in for those that have none.
        asked_for: whether the user named them, so that frames of which none has any are refused.
        learning_rate: until the last quarter of the training.
        momentum: of SGD.
        radius: how far SAM looks for the worst weights nearby (Foret et al., ICLR 2021).
    """

    keeps_best: ClassVar[bool] = True
    differentiates_twice: ClassVar[bool] = False

    landmarks: Landmarks | None = None
    asked_for: bool = False
    learning_rate: float = 1e-3
    momentum: float = 0.9
    radius: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"the learning rate must be above 0, got {self.learning_rate}")

    def settings(self) -> dict[str, Any]:
        """See Recipe; the landmarks are named by their fingerprint, as others would make other blends."""
        return {
            "landmarks": None if self.landmarks is None else self.landmarks.fingerprint,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "radius": self.radius,
        }

    def chosen(self, frames: Labelled, detector: Detector) -> Labelled:
        """The real frames alone, without those whose landmarks cannot be theirs; see `landmark_check`."""
        real = [position for position, label in enumerate(frames.labels) if label == detector.real]
        if not real:
            raise InputError("self-blending trains on real frames, and there is none among these")
        chosen = frames.at(real)
        return chosen if self.landmarks is None else with_landmarks(chosen, self.landmarks, self.asked_for)

    def samples(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """The frame and a blend of it with itself, changed alike."""
        frame, label = frames.frames[position], frames.labels[position]
        points = landmarks_for(frame.key, frame.image.shape, self.landmarks)
        real, blended = pair(frame.image, points, generator)
        return [Sample(real, label), Sample(blended, 1 - label)]

    def validation(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """A pair as in training, the same in every epoch: a fake is never seen."""
        return self.samples(frames, position, generator)

    def loss(self, detector: Detector, batch: TrainingBatch, class_weights: Tensor) -> Tensor:
        """Cross-entropy; every batch holds as many blends as real frames."""
        return functional.cross_entropy(detector(batch.images).float(), batch.labels)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """SAM over SGD."""
        return SharpnessAware(module.parameters(), self.learning_rate, self.momentum, self.radius)

    def rate(self, done: float) -> float:
        """1, then linear to 0 in the last quarter."""
        return min(1.0, 4 * (1 - done))
