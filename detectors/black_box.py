"""A detector that answers from outside: a command, a web service, anything that takes pictures and gives numbers."""

import io
import threading
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common.console import warn
from common.errors import InputError
from detectors.base import Detector, to_pictures

SUM_TOLERANCE = 1e-2
"""How far probabilities may be from adding up to 1: services round them."""

LEAST_PROBABILITY = 1e-7
"""What a probability of 0 counts as: a service that rounds says no more."""

DIGITS = 3
"""Probabilities of no more decimals are remarked on."""

SEVERAL = 6
"""How many probabilities of one answer tell that."""

STEP = 2 / 255
"""The least standard deviation of noise that 8 bits do not swallow."""


class BlackBox(Detector):
    """Base of detectors without gradients that are asked about pictures of 8 bits; a subclass defines `answers`.

    Values are rounded to 8 bits, as files and services take them. Whatever goes wrong in `answers`, an answer that
    comes late and one that is nonsense are one line each (InputError).

    Attributes:
        gives_logits: whether the numbers of `answers` are logits; else they are probabilities that add up to 1.
        seconds: how long an answer about one batch may take.
    """

    gives_logits: bool = False
    seconds: float = 60.0
    least_noise = STEP
    _whole_numbers: bool = False  # whether it was said already that it answers those
    _rounds: bool = False  # likewise, that it rounds

    @abstractmethod
    def answers(self, pictures: np.ndarray) -> Any:
        """The numbers of each class, N rows of C, for pictures (N, S, S, 3) uint8 RGB, in the order of the classes."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) float32 of images (N, 3, S, S) in [0, 1]; of probabilities, their logarithms."""
        answered = self._in_time(to_pictures(images.detach()))
        numbers = self._numbers(answered, len(images))
        if not self.gives_logits:
            self._check(numbers)
            numbers = np.log(np.maximum(numbers, LEAST_PROBABILITY))
        return torch.from_numpy(numbers).float().to(images.device)

    def _numbers(self, answered: Any, count: int) -> np.ndarray:
        """An answer as numbers (N, C) float64. Raises InputError where it is something else, and says what."""
        shape = (count, len(self.class_names))
        expected = f"expected {shape[0]} rows of {shape[1]} numbers, one for each of {', '.join(self.class_names)}"
        try:
            values = np.asarray(answered)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._who} answered {_shown(answered)}; {expected}") from error
        if values.dtype.kind not in "fiu":
            raise InputError(f"{self._who} answered {_shown(answered)}; {expected}")
        numbers = values.astype(np.float64)
        if numbers.shape != shape:
            turned = " (a row for each picture, not for each class: transpose them)"
            raise InputError(
                f"{self._who} answered numbers of shape {numbers.shape}; expected {shape}"
                f"{turned if numbers.shape == shape[::-1] else ''}"
            )
        if lost := int((~np.isfinite(numbers)).any(axis=1).sum()):
            raise InputError(f"{self._who} answered NaN or infinity for {lost} of {count} pictures; {expected}")
        if values.dtype.kind in "iu" and not self.gives_logits and not self._whole_numbers and numbers.max() <= 1:
            self._whole_numbers = True
            warn(
                f"{self._who} answers whole numbers, {_shown(numbers[0].tolist())}; expected probabilities: where "
                "these are decisions, nothing is known of how sure they are, and no drop can be measured"
            )
        elif not self.gives_logits and not self._rounds and _has_few_digits(numbers):
            self._rounds = True
            warn(
                f"{self._who} answers probabilities of {DIGITS} decimals at most, {_shown(numbers[0].tolist())}: what "
                "a small change of a picture does is rounded away, so that attacks by queries find nothing to follow; "
                "let it answer with all its digits"
            )
        return numbers

    @property
    def _who(self) -> str:
        return f"detector {type(self).__name__}"

    def _check(self, numbers: np.ndarray) -> None:
        """Refuses rows that are no probabilities."""
        wrong = ~((numbers >= 0).all(axis=1) & (np.abs(numbers.sum(axis=1) - 1) <= SUM_TOLERANCE))
        if wrong.any():
            raise InputError(
                f"{self._who} answered {_shown(numbers[wrong][0].tolist())}, which are no probabilities that add up to "
                f"1; {_advice(numbers)}"
            )

    def _in_time(self, pictures: np.ndarray) -> Any:
        """What `answers` gives, asked in a thread of its own, which is left behind where it takes too long."""
        found: list[Any] = []
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                found.append(self.answers(pictures))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self.seconds)
        if failed and isinstance(failed[0], InputError):
            raise failed[0]
        if failed:
            said = (str(failed[0]).strip().splitlines() or ["no more is known"])[0]
            raise InputError(f"{self._who} gave no answer ({type(failed[0]).__name__}: {said})") from failed[0]
        if not found:
            raise InputError(f"{self._who} gave no answer within {self.seconds:g} seconds")
        return found[0]


def _has_few_digits(numbers: np.ndarray) -> bool:
    """Whether several probabilities (N, C), those near 0 and 1 aside, are all of DIGITS decimals.

    Of one decimal more, each is so in one case of ten by chance; the last class follows from the others.
    """
    free = numbers[:, :-1]
    scaled = free[(free > 1e-3) & (free < 1 - 1e-3)] * 10**DIGITS
    return len(scaled) >= SEVERAL and bool(np.abs(scaled - scaled.round()).max() < 1e-4)


def png(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 RGB as the bytes of a PNG file, which loses nothing."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


def _advice(numbers: np.ndarray) -> str:
    """What numbers (N, C) that are no probabilities may be instead, and what to do."""
    sums = numbers.sum(axis=1)
    if (numbers < 0).any():
        return "where they are logits, say gives_logits = True"
    if (np.abs(sums - 100) <= 100 * SUM_TOLERANCE).all():
        return "they are percentages: divide them by 100"
    square = numbers.shape[0] == numbers.shape[1] > 1
    if square and (np.abs(numbers.sum(axis=0) - 1) <= SUM_TOLERANCE).all():
        return "their columns do: give a row for each picture, not for each class"
    if (numbers <= 1).all():
        return "where each class has a score of its own, divide them by their sum"
    return "where they are logits, say gives_logits = True"


def _shown(answer: Any) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"{text[:60]}..."
