"""That a run's detector, explainers, fills and metrics stay what they were when it began."""

from collections.abc import Mapping

from common.errors import InputError
from detectors import Detector
from detectors.detector_state import require_unchanged, state_of
from scoring.metrics.base import Metric
from scoring.metrics.registry import describe_metric
from xai.explanation_settings import ExplanationSettings, describe_settings


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
