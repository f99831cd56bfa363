"""That a run's detector, explainers, fills and metrics stay what they were when it began."""

from collections.abc import Mapping

from common.errors import InputError
from common.torch_patches import hooks_of_every_module
from detectors import Detector
from detectors.consistency import hooks_of, settings_of, weights_seen
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
        self._detector_before, self._parts_before = self._detector_now(), self._parts_now()

    def require(self) -> None:
        """Raises InputError, saying what has changed, where something is no longer as it was."""
        if self._detector_now() != self._detector_before:
            raise InputError(
                f"detector {type(self.detector).__name__} is no longer as it was loaded: an explainer, attack or "
                "metric of this run, or its own forward, has changed its weights, its settings, its forward or a "
                "layer's class, or left a hook in it or in every module; leave that part out, or mend the detector, "
                "and score again"
            )
        if changed := [name for name, said in self._parts_now().items() if self._parts_before[name] != said]:
            raise InputError(
                f"{' and '.join(changed)} has changed its own settings while it scored: leave them as the run's "
                "configuration has them"
            )

    def _detector_now(self) -> tuple[object, ...]:
        hooks = hooks_of(self.detector), hooks_of_every_module()
        return weights_seen(self.detector), hooks, settings_of(self.detector)

    def _parts_now(self) -> dict[str, str]:
        settings = {name: repr(said) for name, said in describe_settings(self.settings).items()}
        return settings | {name: repr(describe_metric(metric)) for name, metric in self.metrics.items()}
