"""Users' own explainers, tried on a run's first frame."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from common.console import warn
from common.errors import FAILED, InputError
from common.global_generators import other_seeds
from detectors import Detector, Queries
from detectors.checks.gradient_check import remark_on_gradient
from runs.asked_own_parts import ASKED_TOLERANCE, DEPENDS, Asked, Given, asked_otherwise, of_map, own_methods
from runs.first_given import TOLERANCE
from xai.base import SampledExplainer
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.fills import Background
from xai.methods import ADVERSARIAL, SUFFIX, Method


class _UpsideDown(Detector):
    """A detector that sees pictures upside down."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.class_names, self.real, self.input_size = detector.class_names, detector.real, detector.input_size
        self.mean, self.std = detector.mean, detector.std

    def forward(self, images: Tensor) -> Tensor:
        return self.detector(images.flip(-2))


def try_explainers(
    detector: Detector, methods: Sequence[Method], settings: ExplanationSettings, image: Tensor, batch_size: int
) -> None:
    """Tries users' own explainers on a picture (3, S, S) outside of a run, once for a detector.

    Raises InputError and warns as `runs.own_parts.try_own_parts` does of explainers.
    """
    own = own_methods(methods)
    if not own or detector in _TRIED:
        return
    _TRIED.add(detector)
    target = explained_class(Queries(detector).logits(image[None])[0], detector.real)
    frame, other = (FrameExplanations(detector, image, target, settings, seed, "trial", batch_size) for seed in (0, 1))
    for method in own.values():
        try_explainer(method, frame, other, is_filled(method, methods))


_TRIED: WeakSet[Detector] = WeakSet()


def is_filled(method: Method, methods: Sequence[Method]) -> bool:
    """Whether a method's explainer is among some with the adversarial fill, too."""
    return any(each.explainer == method.explainer and each.fill == ADVERSARIAL for each in methods)


def try_explainer(method: Method, frame: FrameExplanations, other: FrameExplanations, filled: bool = False) -> Given:
    """Explains a frame by a method, and again in `other` with other draws where it says that it has none.

    Where it is to be `filled` by the adversarial image, too, also with another fill.
    """
    image = frame.image
    moved = image.flip(-1).roll(image.shape[-1] // 3, dims=-1)  # a face may be its own mirror image
    asked = Asked()
    try:
        with asked.of(frame.detector):
            first = frame.explain(method)
        elsewhere, again = frame.again(moved, frame.detector).explain(method), frame.explain(method)
    except FAILED:
        return {}
    if asked.followed:
        with contextlib.suppress(*FAILED):
            remark_on_gradient(frame.detector, (f"the maps of {method.name}",), image)
    asked.remark_range(f"method {method.name}")
    given: Given = of_map(method, first)
    is_alike = np.array_equal(first.saliency, elsewhere.saliency) and not torch.equal(image, moved)
    if spread := _differ(first, again):
        warn(f"method {method.name} gave two maps of the first frame, which differ by {spread}, {DEPENDS}")
        given = {}
    elif is_alike:
        warn(
            f"method {method.name} gave the same map of the first frame and of its mirror image, moved: it does not "
            "look at the picture, or gives what it made of an earlier one"
        )
    explainer = frame.settings.explainers.get(method.explainer)
    repeats = getattr(explainer, "repeats", None)
    if repeats is not None and first.covariance is None:
        warn(
            f"method {method.name} gave the same map {repeats} times, by other draws: it does not draw by "
            "the generator that it is given, and how far its maps would move is not known"
        )
    if _claims(explainer, first):
        _require_same(method, first, frame, other)
    if given and not is_alike and _same_for_another(method, frame, first):
        warn(
            f"method {method.name} gave the same map of the first frame for the detector and for one that sees it "
            "upside down: it does not ask the detector, or gives what it made of a picture before, whatever is asked"
        )
    if given:
        _remark_on_asking(method, frame, first)
    if filled:
        _remark_on_fill(method, frame)
    return given


def _remark_on_asking(method: Method, frame: FrameExplanations, made: Explanation) -> None:
    """Warns of a method whose map depends on the batch size, or on the order of the classes."""
    for how, other in asked_otherwise(frame).items():
        with contextlib.suppress(*FAILED):
            if spread := _differ(made, other.explain(method), ASKED_TOLERANCE):
                warn(f"method {method.name} gave another map of the first frame, by {spread}, when asked {how}")


def _remark_on_fill(method: Method, frame: FrameExplanations) -> None:
    """Warns of a method that gives one map whatever hides pixels: with another fill it is the same method again."""
    fills = {name: _UpsideDownFill(fill) for name, fill in frame.settings.fills.items()}
    with contextlib.suppress(*FAILED):
        other = frame.again(frame.image, frame.detector, replace(frame.settings, fills=fills))
        if np.array_equal(frame.explain(method).saliency, other.explain(method).saliency):
            warn(
                f"method {method.explainer} gave the same map of the first frame whatever hides its pixels: it does "
                f"not use the fill that it is given, and {method.explainer}{SUFFIX} is the same method again"
            )


@dataclass(frozen=True)
class _UpsideDownFill:
    """A fill that hides pixels by the picture upside down and by what another fill has there, in equal parts."""

    fill: Background

    def __call__(self, image: Tensor, segments: np.ndarray, mean: Sequence[float]) -> Tensor:
        return (self.fill(image, segments, mean) + image.flip(-2)) / 2


def _require_same(method: Method, made: Explanation, frame: FrameExplanations, other: FrameExplanations) -> None:
    """Refuses a method that says it draws nothing, and gives another map by other draws or other seeds of its own."""
    by_draws = by_seeds = ""
    with contextlib.suppress(*FAILED):
        by_draws = _differ(made, other.explain(method))
        with other_seeds():
            by_seeds = _differ(made, frame.explain(method))
    claim = f"method {method.name} says that it is deterministic, and"
    if by_draws:
        raise InputError(
            f"{claim} gave two maps of the first frame, which differ by {by_draws}: take `deterministic` (or its "
            "covariance of zeros) out of it, or say how often it is to be run (`repeats`)"
        )
    if by_seeds:
        raise InputError(
            f"{claim} draws by a seed that it sets itself: by another one its map of the first frame differs by "
            f"{by_seeds}; draw from the generator that it is given, and say how often it is to be run (`repeats`)"
        )


def _same_for_another(method: Method, frame: FrameExplanations, made: Explanation) -> bool:
    """Whether a map is the same, bit by bit, for a detector that sees the frame otherwise; False where it fails."""
    if not np.ptp(made.saliency) or torch.equal(frame.image, frame.image.flip(-2)):
        return False
    with contextlib.suppress(*FAILED):
        return np.array_equal(
            made.saliency, frame.again(frame.image, _UpsideDown(frame.detector)).explain(method).saliency
        )
    return False


def _differ(one: Explanation, two: Explanation, tolerance: float = TOLERANCE) -> str:
    """By how much two maps of one picture differ, in words; "" where by no more than `tolerance` of their range."""
    spread, difference = float(np.ptp(one.saliency)), float(np.abs(one.saliency - two.saliency).max())
    return f"{difference:.2g} where a map's values span {spread:.2g}" if difference > tolerance * spread else ""


def _claims(explainer: object, made: Explanation) -> bool:
    """Whether an explainer says that it draws nothing."""
    says = bool(getattr(explainer, "deterministic", False)) or isinstance(explainer, SampledExplainer)
    return says and made.covariance is not None and not made.covariance.any()
