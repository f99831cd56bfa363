"""Asks a detector again, at each frame's end: about the frame, changed pictures of it, and the first frame of all.

What it answers belongs to no method and no attack, and stands in no cost: a full batch, and each of eight changed
pictures at most alone, where the frame was explained, and one pass of three images where it was not.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from detectors import Detector, Queries
from detectors.checks.consistency import answers_differ, require_same_answers
from detectors.checks.contract import require_draws_left_alone
from detectors.gradients import answer_for_gradient
from scoring.scored import Drift

OF_A_FRAME = "a picture that an explanation or attack of this frame asked about"
"""What `detectors.checks.spot_checks` are of, at a frame's end."""


class AskedAgain:
    """Asks one detector again, in batches as large as it is asked in; remembers the first frame that it answered."""

    def __init__(self, detector: Detector, batch_size: int) -> None:
        self._detector, self._batch_size = detector, batch_size
        self._first: tuple[str, Tensor, Tensor] | None = None
        self._drifted = False

    @property
    def has_drifted(self) -> bool:
        """Whether the first frame was answered otherwise at the end of one since."""
        return self._drifted

    def __call__(self, key: str, image: Tensor, logits: Tensor, changed: Tensor) -> Drift | None:
        """Asks at a frame's end; the answer to the first frame that is no longer the same, once.

        The frame is asked about twice in one batch, so that an answer for more than one picture is seen, too; changed
        pictures of it (each third of its segments hidden, and attacked) in the same batch, which they fill, and, with
        their gradient, one by one in the opposite order, so that what others do to an answer is seen as well.

        Args:
            key: of the frame.
            image: (3, S, S) float32 in [0, 1].
            logits: (1, C), what the detector said of it alone when its scoring began.
            changed: (N, 3, S, S), pictures that were made of it (`changed_pictures`); none where it was not explained.

        Raises:
            InputError: the detector says otherwise now, or says two things of a changed picture, or seeds a global
                generator where it is asked about the first frame.
        """
        earlier = [] if self._first is None or self._drifted else [self._first[1]]
        asked = [image.cpu(), image.cpu(), *changed, *earlier]
        filling = (
            [changed[index % len(changed)] for index in range(self._batch_size - len(asked))] if len(changed) else []
        )
        queries = Queries(self._detector, max(self._batch_size, len(asked)))
        now = queries.logits(torch.stack([*asked, *filling]))[: len(asked)]
        require_same_answers(
            self._detector, image, logits, now[:2], "this frame differently at its end than at its beginning"
        )
        if len(changed):
            again = torch.cat([self._alone(queries, picture) for picture in changed.flip(0).split(1)]).flip(0)
            said = now[2 : 2 + len(changed)]
            require_same_answers(
                self._detector,
                image,
                said,
                again,
                "a changed picture of this frame (masked, attacked) differently twice, in a batch and alone",
            )
        if self._first is None:
            require_draws_left_alone(self._detector, type(self._detector).__name__, image[None])
            self._first = (key, image.cpu(), logits)
            return None
        drift = answers_differ(self._detector, self._first[1], self._first[2], now[-1:]) if earlier else 0.0
        if not drift:
            return None
        self._drifted = True
        return Drift(self._first[0], key, drift)

    def _alone(self, queries: Queries, picture: Tensor) -> Tensor:
        """What it says of one picture (1, 3, S, S), its gradient wanted where it has one."""
        laid_out = picture.contiguous(memory_format=self._detector.memory_format)
        said = answer_for_gradient(self._detector, laid_out)
        return queries.logits(laid_out) if said is None else said


def changed_pictures(detector: Detector, image: Tensor, segments: np.ndarray, attacked: Sequence[Tensor]) -> Tensor:
    """A frame as explanations and attacks ask about it, (3 + N, 3, S, S): each third of its segments hidden, attacked.

    A third is every third segment, so that whatever decides the verdict is hidden in one of them.

    Args:
        detector: whose mean colour hides.
        image: (3, S, S) float32 in [0, 1], the frame.
        segments: (S, S) labels 0..K-1.
        attacked: N images like it.
    """
    image, thirds = image.cpu(), torch.from_numpy(segments % 3)
    colour = torch.tensor(detector.mean).view(3, 1, 1)
    hidden = [torch.where(thirds == third, colour, image) for third in range(3)]
    return torch.stack([*hidden, *attacked])
