"""That a run's detector, explainers, fills and metrics stay what they were when it began."""

from collections.abc import Callable, Mapping

from torch import Tensor

from common.errors import InputError
from detectors import Detector, Queries
from detectors.checks.consistency import answers_differ
from detectors.checks.detector_state import require_unchanged, state_of
from detectors.checks.gradient_check import GRADIENT_TOLERANCE, GradientFault, gradients_at
from scoring.metrics.base import Metric
from scoring.metrics.registry import describe_metric
from xai.explanation_settings import ExplanationSettings, describe_settings

_Answer = tuple[Tensor, Tensor | GradientFault]
"""Logits and gradient."""


class Unchanged:
    """Remembers what a run scores by.

    Args:
        detector: whose weights, settings, forward and hooks are to stay.
        settings: of the explanations: of their explainers and fills.
        metrics: by name.
    """

    def __init__(self, detector: Detector, settings: ExplanationSettings, metrics: Mapping[str, Metric]) -> None:
        self.detector, self.settings, self.metrics = detector, settings, metrics
        self._detector_before, self._parts_before = state_of(detector), self._parts_now()

    def require(self) -> None:
        """Raises InputError, saying what has changed, where something is no longer as it was."""
        require_unchanged(self.detector, self._detector_before, "an explainer, attack or metric of this run")
        if parts := [name for name, said in self._parts_now().items() if self._parts_before[name] != said]:
            raise InputError(
                f"{' and '.join(parts)} has changed its own settings while it scored: leave them as the run's "
                "configuration has them"
            )

    def _parts_now(self) -> dict[str, str]:
        settings = {name: repr(said) for name, said in describe_settings(self.settings).items()}
        return settings | {name: repr(describe_metric(metric)) for name, metric in self.metrics.items()}


class UnchangedAnswers:
    """Remembers what a detector says of the first image (3, S, S) that it sees, and its gradient there.

    A function or a mode of torch's that a user's part replaces or leaves is the detector's, too.
    """

    def __init__(self, detector: Detector) -> None:
        self._queries = Queries(detector)
        self._image: Tensor | None = None

    def see(self, image: Tensor) -> None:
        """Asks about the first image that it is given, before anything else does."""
        if self._image is None:
            self._before, self._image = self._at(image), image

    def require(self, part: str) -> None:
        """Raises InputError where either is another since `part` was tried; not where it draws by itself."""
        self._require(part, self._answers_otherwise, self._gradient_otherwise)

    def require_gradient(self, part: str) -> None:
        """The same of the gradient alone: of answers that change, a frame's end says that the detector drifts."""
        self._require(part, self._gradient_otherwise)

    def _require(self, part: str, *otherwise: Callable[[_Answer, _Answer], bool]) -> None:
        if self._image is None:
            return
        now = self._at(self._image)
        if any(differ(self._before, now) for differ in otherwise):
            again = self._at(self._image)
            if self._answers_otherwise(now, again) or self._gradient_otherwise(now, again):
                return  # by itself
            raise InputError(
                f"{part} has changed what the detector answers, or its gradient, for the whole process (a hook, a "
                "layer's class, a function or a setting of torch's): let it put back what it changes"
            )

    def _at(self, image: Tensor) -> _Answer:
        return self._queries.logits(image[None]), gradients_at(self._queries, image[None])

    def _answers_otherwise(self, one: _Answer, two: _Answer) -> bool:
        return bool(self._image is not None and answers_differ(self._queries.detector, self._image, one[0], two[0]))

    def _gradient_otherwise(self, one: _Answer, two: _Answer) -> bool:
        first, second = one[1], two[1]
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return bool((first - second).norm() > GRADIENT_TOLERANCE * max(first.norm(), second.norm()))
        return type(first) is not type(second)
