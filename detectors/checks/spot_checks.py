"""Asks a detector again about some of the very pictures that it was asked about in earnest.

What its answers were then is compared with what they are in another order and beside other pictures. So a detector is
seen that answers by more than the picture (a state, a draw, the others of a batch), wherever it does so.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from common.seeds import generator
from detectors.base import Detector
from detectors.checks.consistency import hooks_of, require_same_answers
from detectors.checks.followed_gradients import FollowedGradients
from detectors.queries import Queries, listening

MOST = 96
"""Pictures that are kept of a frame, or of what else is asked about together."""

LEAST_OF_A_STAGE = 2

DARKER = 0.7
"""What every pixel of the other face is, of the first picture's."""


@dataclass(frozen=True, eq=False)
class _Answered:
    """A picture (3, S, S) and the logits (C,) that it was answered with, on the CPU, in which precision."""

    picture: Tensor
    logits: Tensor
    precision: str


@dataclass
class _Stage:
    """What a stage has asked about: how many pictures, and a random sample of them (Vitter's algorithm R, 1985)."""

    asked: int = 0
    kept: list[_Answered] = field(default_factory=list)


class SpotChecks:
    """Keeps a random sample of what a detector is asked about; `require` asks about these again.

    Each stage has its share of the sample, so that one that asks much does not crowd out the others. Beside them some
    gradients that attacks follow are kept (`detectors.checks.followed_gradients`).

    Args:
        detector: that is listened to.
        batch_size: images in a pass.
        what: the pictures are, in words: "a picture that ...".
        seed: with `purpose`, of the sample.
        purpose: the frame's key, or what else the sample is of.
    """

    def __init__(self, detector: Detector, batch_size: int, what: str, seed: int, *purpose: str) -> None:
        self._detector, self._batch_size, self._what = detector, batch_size, what
        self._draws = generator(seed, *purpose, "spot checks")
        self._hooks = self._hooks_of_layers()
        self._stages: dict[str, _Stage] = {}
        self._stage = ""
        self._first: Tensor | None = None
        self._gradients = FollowedGradients(detector, batch_size, generator(seed, *purpose, "gradients"))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listens while it is open."""
        with listening(self._detector, self._hear), self._gradients.listening():
            yield

    def begin(self, stage: str) -> None:
        """What is asked from now on belongs to `stage`, as often as it begins."""
        self._stage = stage

    def require(self) -> None:
        """Asks about the kept pictures again, and for gradients that attacks followed.

        Raises InputError as `require_answers` and `require_gradients` do.
        """
        self.require_answers()
        self.require_gradients()

    def require_gradients(self) -> None:
        """Asks for some of the gradients again that attacks followed.

        Raises InputError where one is another than before, or does not say what moves the detector.
        """
        self._gradients.require(self._what)

    def require_answers(self) -> None:
        """Asks about the kept pictures again, `MOST` or two of each stage.

        Those of all stages are mixed, and after every second one another face is asked about (the first picture of all,
        mirrored and darker), so that what a detector has kept of one is not what it would keep now.

        Raises:
            InputError: the detector answers one of them otherwise than before, beyond rounding.
        """
        if self._first is None:
            return
        kept = self._shuffled([answered for stage in self._stages.values() for answered in stage.kept])
        other = self._first.flip(-1) * DARKER
        for precision in sorted({answered.precision for answered in kept}):
            same = [answered for answered in kept if answered.precision == precision]
            asked = [other]
            for number, answered in enumerate(same):
                asked += [answered.picture, other] if number % 2 else [answered.picture]
            is_kept = torch.tensor([picture is not other for picture in asked])
            require_same_answers(
                self._detector,
                self._first,
                torch.stack([answered.logits for answered in same]),
                Queries(self._detector, self._batch_size, precision).logits(torch.stack(asked))[is_kept],
                f"{self._what} differently when it is asked again, beside others",
                precision,
            )

    def _hear(self, images: Tensor, logits: Tensor, precision: str) -> None:
        """Keeps each image with the chance that every one of its stage has."""
        if self._first is None and len(images):
            self._first = images[0].detach().cpu().clone()
        stage = self._stages.setdefault(self._stage, _Stage())
        share = max(LEAST_OF_A_STAGE, MOST // len(self._stages))
        number = stage.asked + np.arange(len(images))
        places = np.where(number < share, number, self._draws.integers(0, number + 1))
        chosen = np.flatnonzero(places < share)
        if len(chosen) and self._hooks_of_layers() != self._hooks:
            return  # an explainer's hooks may have made it another network for a while
        if not stage.asked:
            self._trim(share)
        stage.asked += len(images)
        for index, place in zip(chosen.tolist(), places[chosen].tolist(), strict=True):
            picture, answer = (tensor[index].detach().cpu().clone() for tensor in (images, logits))
            stage.kept[place : place + 1] = [_Answered(picture, answer, precision)]

    def _trim(self, share: int) -> None:
        for stage in self._stages.values():
            if len(stage.kept) > share:
                stage.kept = self._shuffled(stage.kept)[:share]

    def _shuffled(self, kept: list[_Answered]) -> list[_Answered]:
        return [kept[i] for i in self._draws.permutation(len(kept))]

    def _hooks_of_layers(self) -> int:
        return sum(map(hooks_of, self._detector.children()))


@contextlib.contextmanager
def spot_checked(detectors: Iterable[Detector], batch_size: int, what: str, *purpose: str) -> Iterator[None]:
    """Asks each of some detectors again about a sample of what it is asked about inside, see `require_answers`.

    Raises InputError where one of them answers otherwise than before.
    """
    checks = [SpotChecks(detector, batch_size, what, 0, *purpose) for detector in dict.fromkeys(detectors)]
    with contextlib.ExitStack() as listeners:
        for spot_checks in checks:
            listeners.enter_context(spot_checks.listening())
        yield
    for spot_checks in checks:
        spot_checks.require_answers()
