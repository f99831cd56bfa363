"""Asks a detector again for some of the very gradients that attacks followed, and whether they say what moves it there.

Its gradient is tried at clean frames before (`detectors.gradient_check`); attacks leave these at once, and a detector
may go another way where its verdict is less sure, or where more pictures pass together.
"""

import contextlib
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from detectors.finite_differences import TOLERANCE, relative_difference
from detectors.gradient_check import ATTACKS, gradient_fault, known_to_mislead
from detectors.gradients import differentiable, listening_to_gradients, slope, untouched
from detectors.queries import Queries, exact_float32

MOST = 4
"""Gradients that are kept of a frame, and asked for again."""

ADVICE = (
    "mend its forward, or attack without its gradient: nes with --set nes.derivatives=finite "
    "--set protocol.flip_thresholds=none, and --set adversarial.derivatives=finite for the adversarial fill"
)


@dataclass(frozen=True, eq=False)
class _Followed:
    """A picture (3, S, S) and the gradient of log p(Real) that an attack was given there, if any, on the CPU."""

    picture: Tensor
    gradient: Tensor | None


@dataclass
class FollowedGradients:
    """Keeps a random sample of what attacks by gradients followed; `require` asks again.

    Attributes:
        detector: that is listened to.
        batch_size: images in a pass forward.
        draws: of the sample.
    """

    detector: Detector
    batch_size: int
    draws: np.random.Generator
    _asked: int = 0
    _zero: int = 0
    _kept: list[_Followed] = field(default_factory=list)
    _a_zero: Tensor | None = None
    _least_sure: Tensor | None = None
    _highest: float = -math.inf

    def listening(self) -> contextlib.AbstractContextManager[None]:
        """Listens while it is open."""
        return listening_to_gradients(self.detector, self._hear)

    def require(self, what: str) -> None:
        """Asks for the kept gradients and the first zero once more, each alone, and compares two with differences.

        The two are that at the picture of which the detector was least sure, and the first that was zero, or else a
        random one. A zero where nothing moves the detector either is right. Not tried is a detector whose gradient was
        known to mislead before, as its attacks were warned of.

        Args:
            what: the pictures are, in words: "a picture that ...".

        Raises:
            InputError: the detector gives another gradient than before, or one that finite differences deny.
        """
        if not self._kept or ATTACKS in known_to_mislead(self.detector):
            return
        name = type(self.detector).__name__
        zeros = [] if self._a_zero is None else [_Followed(self._a_zero, torch.zeros_like(self._a_zero))]
        for followed in [*self._kept, *zeros]:
            if followed.gradient is None:
                continue
            if relative_difference(followed.gradient, self._alone(followed.picture)) > TOLERANCE:
                raise InputError(f"{name} gives another gradient of {what} when it is asked again, alone: {ADVICE}")
        for picture in (self._kept[0].picture if self._a_zero is None else self._a_zero, self._least_sure):
            fault = None if picture is None else gradient_fault(self.detector, picture, self.batch_size)
            if fault is not None:
                zero = f" (it was zero at {self._zero} of {self._asked})" if self._zero else ""
                raise InputError(f"{name}: {fault.reason} at {what}{zero}: {ADVICE}")

    def _alone(self, picture: Tensor) -> Tensor:
        queries, images = Queries(self.detector, 1), picture[None]
        with differentiable(queries.device), untouched(self.detector), exact_float32():
            asked = slope(queries, images, self.detector.real, torch.zeros(1, dtype=torch.bool))
        return asked.gradients[0].cpu()

    def _hear(self, images: Tensor, gradients: Tensor | None, heights: Tensor) -> None:
        """Keeps each with the chance that every one has (Vitter's algorithm R, 1985).

        Beside them the first whose gradient was zero, and that of the highest log p(Real).
        """
        highest = int(heights.argmax())
        if self._least_sure is None or heights[highest] > self._highest:
            self._highest, self._least_sure = float(heights[highest]), _copy(images[highest])
        zero = [] if gradients is None else (~gradients.flatten(1).any(dim=1)).nonzero()[:, 0].tolist()
        if zero and self._a_zero is None:
            self._a_zero = _copy(images[zero[0]])
        self._zero += len(zero)
        for number, image in enumerate(images):
            place = self._asked if self._asked < MOST else int(self.draws.integers(0, self._asked + 1))
            self._asked += 1
            if place < MOST:
                self._kept[place : place + 1] = [
                    _Followed(_copy(image), None if gradients is None else _copy(gradients[number]))
                ]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone()
