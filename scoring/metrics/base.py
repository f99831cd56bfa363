"""The contract of a metric: what it is given, what it gives, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from xai.base import Score

Explain = Callable[[Tensor, Detector], np.ndarray]
"""Explains another image (3, H, W) in [0, 1], or another detector of the same kind, by the method under test, for the
same class and with the same draws: the saliency (H, W). It is costly: each call asks for a whole explanation."""

Draws = Callable[[str], np.random.Generator]
"""The generator for a purpose: a new one at each call, the same for the same purpose, whatever the method. So methods
are compared on the same random subsets and noise."""

Category = Literal["faithfulness", "localisation", "robustness", "complexity", "randomisation", "own"]
CATEGORIES: tuple[str, ...] = get_args(Category)
"""The kinds of question that a metric asks of an explanation, in the terms of Quantus (Hedstroem et al., JMLR 2023)."""

NEEDS = ("saliency", "mask", "model", "explaining")
BETTER = ("higher", "lower", None)


@dataclass(frozen=True, eq=False)
class Case:
    """One explanation of one frame, and all that a metric may ask about it.

    Attributes:
        score: p(target) of images, the one way to ask the detector.
        image: (3, H, W) float32 in [0, 1] at the detector's size, on its device.
        saliency: (H, W), higher is more important.
        segments: (H, W) labels 0..K-1, none of them empty.
        mask: (H, W) bool, the truly manipulated pixels at the detector's size; None where they are not known.
        background: (3, H, W) in [0, 1]: what a removed pixel shows.
        explain: explains other images or detectors by the same method; None where the saliency was made elsewhere.
        draws: the only source of randomness.
    """

    score: Score
    image: Tensor
    saliency: np.ndarray
    segments: np.ndarray
    mask: np.ndarray | None
    background: Tensor
    explain: Explain | None
    draws: Draws

    def __post_init__(self) -> None:
        shape = tuple(self.image.shape[1:])
        if self.image.ndim != 3 or self.background.shape != self.image.shape:
            raise InputError(
                f"expected an image and a background of one shape (3, H, W), got {tuple(self.image.shape)} and "
                f"{tuple(self.background.shape)}"
            )
        for name, array in (("saliency", self.saliency), ("segments", self.segments), ("mask", self.mask)):
            if array is not None and array.shape != shape:
                raise InputError(f"the {name} is {array.shape} and the image {shape}: they must agree")
        if self.mask is not None and self.mask.dtype != bool:
            raise InputError(f"the mask must be of type bool, got {self.mask.dtype}")
        if not np.isfinite(self.saliency).all():
            raise InputError("the saliency map has values that are not finite")

    @property
    def detector(self) -> Detector:
        """The detector whose verdict is explained."""
        return self.score.queries.detector

    @property
    def target(self) -> int:
        """The explained class."""
        return self.score.target


@dataclass(frozen=True)
class Value:
    """One of the numbers that a metric gives.

    Attributes:
        name: within the metric; the same as the metric's where it gives one number only.
        lowest: of its range.
        highest: of its range.
        better: "higher" or "lower"; None where neither is.
    """

    name: str
    lowest: float
    highest: float
    better: Literal["higher", "lower"] | None


@dataclass(frozen=True)
class About:
    """What a metric says of itself.

    Attributes:
        summary: what it measures, in one sentence.
        values: the numbers that it gives.
        category: the kind of question it asks, one of CATEGORIES, and the folder that it lies in; "own" of a user's.
        needs: what it works with beside the image: "saliency" (nothing else), "mask" (the manipulated pixels), "model"
            (queries of the detector) or "explaining" (whole explanations of other images or detectors).
        paper: where it is from.
    """

    summary: str
    values: tuple[Value, ...]
    needs: Literal["model", "mask", "explaining", "saliency"]
    paper: str
    category: Category = "own"


@runtime_checkable
class Metric(Protocol):
    """A way to judge an explanation; a frozen dataclass whose fields are its settings, all with defaults."""

    about: ClassVar[About]

    def __call__(self, case: Case) -> Mapping[str, float]:
        """Its values by name, all of `about.values`; `Undefined` where the case leaves one without meaning.

        Memory does not grow with the number of samples: images are made `case.score.batch_size` at a time.
        """
        ...


class Undefined(float):
    """A number that does not exist (it is NaN), and the reason why."""

    reason: str

    def __new__(cls, reason: str) -> "Undefined":
        number = super().__new__(cls, "nan")
        number.reason = reason
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return Undefined, (self.reason,)


def undefined(about: About, reason: str) -> dict[str, float]:
    """All of a metric's values, undefined for one reason."""
    return {value.name: Undefined(reason) for value in about.values}


NO_MASK = "no mask of manipulated pixels"
EMPTY_MASK = "the mask has no manipulated pixel"
CONSTANT = "a saliency map is the same everywhere"
CANNOT_EXPLAIN = "the saliency was made elsewhere, so nothing can be explained again"


def require(condition: bool, message: str) -> None:
    """Raises ValueError, which `common.settings` turns into one line, where a setting cannot be used."""
    if not condition:
        raise ValueError(message)
