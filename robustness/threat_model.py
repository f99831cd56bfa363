"""Who is attacked and who judges: verdicts, and the images that one detector gets of an attack on another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.frames import Frame
from detectors import Detector, Queries
from detectors.answers import says
from detectors.base import to_pictures
from detectors.preparing import prepared


@dataclass(frozen=True, eq=False)
class Judgement:
    """A detector's verdicts on N images.

    Attributes:
        score: (N,) float64, the log-odds of fake, log(1 - p(Real)) - log p(Real); higher is more fake.
        real: (N,) bool, whether Real is its verdict: the most probable class.
        logits: (N, C) float32.
    """

    score: Tensor
    real: Tensor
    logits: Tensor


@dataclass(frozen=True, eq=False)
class ThreatModel:
    """A detector under attack, and the detector whose inputs are attacked: itself (white box), or another (transfer).

    Attributes:
        detector: the one that judges.
        source: the one whose input an attack changes and whose verdict it tries to turn.
        batch_size: images in a forward pass.
    """

    detector: Detector
    source: Detector
    batch_size: int

    @property
    def white_box(self) -> bool:
        """Whether the attacks know the detector that judges."""
        return self.source is self.detector

    def direct(self, frames: Sequence[Frame]) -> Tensor:
        """Frames as the detector takes them: (N, 3, S, S) in [0, 1]."""
        return torch.stack([prepared(self.detector, frame.image) for frame in frames])

    def attackable(self, frames: Sequence[Frame]) -> Tensor:
        """Frames as the source takes them, where they are attacked: (N, 3, S', S') in [0, 1]."""
        return torch.stack([prepared(self.source, frame.image) for frame in frames])

    def relayed(self, images: Tensor) -> Tensor:
        """Converts images (N, 3, S', S') at the source's size to the detector's: (N, 3, S, S).

        The same values where the sizes agree. Else the attacker hands in a picture: values are rounded to 8 bits, and
        the detector resizes it as it does every picture.
        """
        if self.source.input_size == self.detector.input_size:
            return images
        return torch.stack([prepared(self.detector, picture) for picture in to_pictures(images)])

    def judged(self, images: Tensor) -> Judgement:
        """Judges images (N, 3, S, S) in [0, 1] by the detector."""
        return judge(self.detector, images, self.batch_size)


def judge(detector: Detector, images: Tensor, batch_size: int) -> Judgement:
    """Judges images (N, 3, S, S) in [0, 1], `batch_size` in a forward pass."""
    logits = Queries(detector, batch_size).logits(images)
    others = [index for index in range(logits.shape[1]) if index != detector.real]
    exact = logits.double()
    score = exact[:, others].logsumexp(dim=1) - exact[:, detector.real]
    return Judgement(score, says(logits, detector.real), logits)
