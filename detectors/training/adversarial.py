"""Adversarial training: every batch is attacked, and steep gradients are punished."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
import torchattacks
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from detectors.base import Detector
from detectors.training.classification import Classification
from detectors.training.recipe import Sample, TrainingBatch
from detectors.training.training_frames import Labelled

ALL, FAKES = "all", "fakes"


@dataclass(frozen=True)
class Adversarial:
    """A recipe of labelled frames, on images attacked by PGD (Madry et al., ICLR 2018), with a Lipschitz penalty.

        loss = cross-entropy(f(x')) + lipschitz * mean |d m(x') / d x'|^exponent,   x' = PGD(x)

    m is the log-odds of the true class, the mean over the images of a batch, the norm Euclidean over an image's
    values. Published is the sum of the logits in place of m, for a network with one logit z; of such a network, shown
    as [0, z], m is z or -z, and the penalty the published one. With several logits their sum would be the one direction
    that no verdict depends on.

    The published loop never feeds a step's result into the next, so its 40 steps are one of FGSM, and it clamps to
    [0, 1] what is normalised already; here PGD advances, in pixel space. The attack goes away from the true class and
    sees the network in evaluation mode. Validation frames are not attacked, and their loss is lowest before a network
    has hardened: so the last epoch is kept.

    Attributes:
        base: how the network is trained apart from that.
        epsilon: the L-infinity budget of the attack, in pixel units.
        steps: how many steps it takes.
        lipschitz: the weight of the penalty, in pixel space; docs/methods.md says why it is not the published 1000.
        exponent: of the gradient's norm.
        clean: the weight in [0, 1) of the cross-entropy of the images as they were, from which the rest is taken
            (Goodfellow et al., ICLR 2015, whose weight is 0.5); 0 as published. It keeps the clean accuracy.
        victims: "all" images, as published, driven from their class; or "fakes" only, driven towards Real: the game
            that `python -m robustness attack` measures. Classes are balanced then, whatever the base does, and Real
            weighs more than one manipulation (`real_heavier`): else to call everything fake defends best.
    """

    keeps_best: ClassVar[bool] = False

    base: Classification = field(default_factory=Classification)
    epsilon: float = 2 / 255
    steps: int = 5
    lipschitz: float = 0.01
    exponent: float = 2.0
    clean: float = 0.0
    victims: str = ALL

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1 or self.steps < 1:
            raise InputError(f"the attack needs a budget in (0, 1] and 1 or more steps: {self.epsilon}, {self.steps}")
        if not (0 <= self.lipschitz < math.inf and 1 <= self.exponent < math.inf):
            raise InputError(
                f"the penalty's weight must be 0 or more, its exponent 1 or more: {self.lipschitz}, {self.exponent}"
            )
        if not 0 <= self.clean < 1:
            raise InputError(f"the weight of clean images must be at least 0 and below 1: {self.clean}")
        if self.victims not in (ALL, FAKES):
            raise InputError(f"what is attacked must be {ALL} or {FAKES}, not {self.victims!r}")

    @property
    def learning_rate(self) -> float:
        """That of the base."""
        return self.base.learning_rate

    @property
    def differentiates_twice(self) -> bool:
        """Where gradients are punished."""
        return self.lipschitz > 0

    def settings(self) -> dict[str, Any]:
        """See Recipe."""
        own = {name: value for name, value in asdict(self).items() if name != "base"}
        return {**self.base.settings(), **own}

    def chosen(self, frames: Labelled, detector: Detector) -> Labelled:
        """As the base does."""
        return self.base.chosen(frames, detector)

    def samples(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """As the base does."""
        return self.base.samples(frames, position, generator)

    def validation(self, frames: Labelled, position: int, generator: np.random.Generator) -> Sequence[Sample]:
        """As the base does."""
        return self.base.validation(frames, position, generator)

    def loss(self, detector: Detector, batch: TrainingBatch, class_weights: Tensor) -> Tensor:
        """The loss above, of a batch attacked here; with clean images in the same pass, for one set of statistics."""
        images = self.attacked(detector, batch).requires_grad_()
        logits = detector(torch.cat([images, batch.images]) if self.clean else images).float()
        weights = class_weights if self.base.balanced else None
        if self.victims == FAKES:
            weights = real_heavier(class_weights, detector.real)
        loss = (1 - self.clean) * self._entropy(logits[: len(images)], batch.labels, weights)
        if self.clean:
            loss = loss + self.clean * self._entropy(logits[len(images) :], batch.labels, weights)
        if not self.lipschitz:
            return loss
        margins = log_odds(logits[: len(images)], batch.labels)
        return loss + self.lipschitz * gradient_penalty(margins, images, self.exponent)

    def _entropy(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        return functional.cross_entropy(logits, labels, weights, label_smoothing=self.base.label_smoothing)

    def attacked(self, detector: Detector, batch: TrainingBatch) -> Tensor:
        """The images (N, 3, S, S) as PGD leaves them: within the budget and [0, 1]; those not attacked as they were."""
        chosen, labels = torch.ones_like(batch.labels).bool(), batch.labels
        step = 2.5 * self.epsilon / self.steps
        attack = torchattacks.PGD(detector, eps=self.epsilon, alpha=step, steps=self.steps, random_start=True)
        if self.victims == FAKES:
            chosen, labels = labels != detector.real, torch.full_like(labels, detector.real)
            attack.set_mode_targeted_by_label(quiet=True)
        images = batch.images.clone()
        if chosen.any():
            with torch.enable_grad():
                images[chosen] = attack(images[chosen], labels[chosen])
        return images.detach()

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """As the base does."""
        return self.base.optimizer(module)

    def rate(self, done: float) -> float:
        """As the base does."""
        return self.base.rate(done)


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log p(class) - log(1 - p(class)) of the class that `labels` (N,) names, from logits (N, C): (N,)."""
    chosen = functional.one_hot(labels, logits.shape[1]).bool()
    return logits[chosen] - logits.masked_fill(chosen, -math.inf).logsumexp(dim=1)


def real_heavier(weights: Tensor, real: int) -> Tensor:
    """Class weights (C,) with the real class's times the root of the number of other classes that have frames.

    That is half way, on a logarithmic scale, between classes that weigh alike, under which many real frames are called
    fake, and the two verdicts weighing alike, under which more attacked fakes pass.
    """
    others = weights.count_nonzero() - weights[real].count_nonzero()
    heavier = weights.clone()
    heavier[real] *= others**0.5
    return heavier


def gradient_penalty(margins: Tensor, images: Tensor, exponent: float = 2.0) -> Tensor:
    """The mean over N images of |d margin / d image|^exponent, differentiable in the weights.

    `margins` (N,) must have been computed from `images` (N, 3, S, S), which require gradients; each from its own
    image, but for what batch norms in training mode mix.
    """
    (gradient,) = torch.autograd.grad(margins.sum(), images, create_graph=True)
    squares = gradient.flatten(1).square().sum(dim=1).clamp_min(1e-12)  # where a root has a finite gradient
    return squares.pow(exponent / 2).mean()
