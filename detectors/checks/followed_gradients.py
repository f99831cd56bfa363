"""Asks a detector again for some of the very gradients that attacks followed, and whether they say what moves it there.

Its gradient is tried at clean frames before (`detectors.checks.gradient_check`); attacks leave these at once, and a
detector may go another way where its verdict is less sure, or where more pictures pass together.
"""

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from detectors.answers import says
from detectors.base import Detector
from detectors.checks.finite_differences import TOLERANCE, relative_difference
from detectors.checks.gradient_check import ATTACKS, gradient_fault, known_to_mislead
from detectors.gradients import differentiable, listening_to_gradients, slope, untouched
from detectors.queries import Queries, exact_float32

MOST = 4
"""Gradients that are kept of a frame, and asked for again."""

ADVICE = (
    "mend its forward, or attack without its gradient (evaluate.py: nes with --set nes.derivatives=finite "
    "--set adversarial.derivatives=finite --set protocol.flip_thresholds=none; examine.py: "
    "--set adversarial.derivatives=finite)"
)


@dataclass(frozen=True, eq=False)
class _Followed:
    """A picture (3, S, S) and the gradient of log p(Real) that an attack was given there, if any, on the CPU."""

    picture: Tensor
    gradient: Tensor | None


class FollowedGradients:
    """Keeps a random sample of what attacks by gradients followed; `require` asks again.

    Args:
        detector: that is listened to.
        batch_size: images in a pass forward.
        draws: of the sample.
        whose: the detector that `detector` is a view of, in whose name faults are said; None where it is itself.
    """

    def __init__(
        self, detector: Detector, batch_size: int, draws: np.random.Generator, whose: Detector | None = None
    ) -> None:
        self.detector, self._batch_size, self._draws = detector, batch_size, draws
        self._whose = whose or detector
        self._asked, self._zero = 0, 0
        self._kept: list[_Followed] = []
        self._a_zero: Tensor | None = None
        self._least_sure: Tensor | None = None
        self._highest = -math.inf

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
        if not self._kept or ATTACKS in known_to_mislead(self._whose):
            return
        name = type(self._whose).__name__
        zeros = [] if self._a_zero is None else [_Followed(self._a_zero, torch.zeros_like(self._a_zero))]
        for followed in [*self._kept, *zeros]:
            if followed.gradient is not None and self._is_another_alone(followed.picture, followed.gradient):
                raise InputError(f"{name} gives another gradient of {what} when it is asked again, alone: {ADVICE}")
        for picture in (self._kept[0].picture if self._a_zero is None else self._a_zero, self._least_sure):
            fault = None if picture is None else gradient_fault(self.detector, picture, self._batch_size)
            if fault is not None:
                zero = f" (it was zero at {self._zero} of {self._asked})" if self._zero else ""
                raise InputError(f"{name}: {fault.reason} at {what}{zero}: {ADVICE}")

    def _is_another_alone(self, picture: Tensor, gradient: Tensor) -> bool:
        """Whether an attack is given another gradient at a picture alone; not where rounding calls it Real now."""
        queries, images = Queries(self.detector, 1), picture[None]
        with differentiable(queries.device), untouched(self.detector), exact_float32():
            asked = slope(queries, images, self.detector.real, torch.zeros(1, dtype=torch.bool))
        if says(asked.logits, self.detector.real)[0]:
            return False
        return relative_difference(gradient, asked.gradients[0].cpu()) > TOLERANCE

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
            place = self._asked if self._asked < MOST else int(self._draws.integers(0, self._asked + 1))
            self._asked += 1
            if place < MOST:
                self._kept[place : place + 1] = [
                    _Followed(_copy(image), None if gradients is None else _copy(gradients[number]))
                ]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone()
