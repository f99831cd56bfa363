"""One explanation judged by metrics: the numbers, and what each metric cost."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from common.errors import InputError
from common.global_generators import isolated
from detectors.base import Detector
from detectors.queries import counting
from scoring.metrics.base import Case, Metric, Undefined, Value


@dataclass(frozen=True)
class Measurement:
    """One number that a metric gives an explanation.

    Attributes:
        metric: the metric's name.
        name: which of its values; see `full_name`.
        value: NaN where it is undefined.
        higher_is_better: None where neither is.
        undefined: why there is no value; empty where there is one.
        forwards: images passed to detectors for the metric, all its values together.
        seconds: wall time, likewise.
    """

    metric: str
    name: str
    value: float
    higher_is_better: bool | None
    undefined: str
    forwards: int
    seconds: float

    @property
    def full_name(self) -> str:
        """ "deletion", or where a metric gives several values "aopc.morf"."""
        return self.metric if self.name == self.metric else f"{self.metric}.{self.name}"


ROUNDING = 1e-5  # how far sums in float32 may leave a range

Watch = Callable[[Detector], contextlib.AbstractContextManager[object]]
"""What is open while a detector is asked that is not the case's own."""


def measure_case(case: Case, metrics: Mapping[str, Metric], watch: Watch = contextlib.nullcontext) -> list[Measurement]:
    """What each metric says of an explanation, in order; `watch` may count what other detectors are asked.

    Raises InputError where a metric gives other values than it says it does, NaN without a reason, or a value outside
    the range that it states.
    """
    return [measurement for name, metric in metrics.items() for measurement in _measure(case, name, metric, watch)]


def _measure(case: Case, name: str, metric: Metric, watch: Watch) -> list[Measurement]:
    explainer = _CountedExplainer(case, watch)
    own = dataclasses.replace(_copied(case), explain=None if case.explain is None else explainer)
    started = time.perf_counter()
    with counting(case.detector) as meter, isolated(int(case.draws("global generators").integers(2**31))):
        values = metric(own)
    seconds = time.perf_counter() - started
    promised = metric.about.values
    if not isinstance(values, Mapping):
        raise InputError(f"metric {name!r} gave {type(values).__name__}; expected its values by name")
    if set(values) != {value.name for value in promised}:
        raise InputError(
            f"metric {name!r} gave {', '.join(values) or 'nothing'}; it says that it gives "
            f"{', '.join(value.name for value in promised)}"
        )
    forwards = meter.images + explainer.images
    return [_measurement(name, value, values[value.name], forwards, seconds) for value in promised]


def _copied(case: Case) -> Case:
    """A case of its own, so that no metric sees what another writes into it."""
    return dataclasses.replace(
        case,
        score=case.score.copied(),
        image=case.image.clone(),
        saliency=case.saliency.copy(),
        segments=case.segments.copy(),
        mask=None if case.mask is None else case.mask.copy(),
        background=case.background.clone(),
    )


class _CountedExplainer:
    """Explains as the case does, and counts the images passed to other detectors: copies with random weights."""

    def __init__(self, case: Case, watch: Watch) -> None:
        self._case, self._watch = case, watch
        self.images = 0

    def __call__(self, image: Tensor, detector: Detector) -> np.ndarray:
        """The saliency (H, W) of another image or detector."""
        if self._case.explain is None:
            raise ValueError("this case cannot explain anything")
        if detector is self._case.detector:
            return self._case.explain(image, detector)
        with self._watch(detector), counting(detector) as meter:
            saliency = self._case.explain(image, detector)
        self.images += meter.images
        return saliency


def _measurement(metric: str, value: Value, number: float, forwards: int, seconds: float) -> Measurement:
    reason = number.reason if isinstance(number, Undefined) else ""
    if math.isnan(number) and not reason:
        raise InputError(f"metric {metric!r} gave NaN for {value.name!r} without a reason: return an Undefined")
    beyond = ROUNDING * max(1.0, abs(number))
    if not reason and not (math.isfinite(number) and value.lowest - beyond <= number <= value.highest + beyond):
        raise InputError(
            f"metric {metric!r} gave {number:g} for {value.name!r}; it says that this is finite and lies in "
            f"[{value.lowest:g}, {value.highest:g}]"
        )
    return Measurement(
        metric=metric,
        name=value.name,
        value=float(number),
        higher_is_better=None if value.better is None else value.better == "higher",
        undefined=reason,
        forwards=forwards,
        seconds=seconds,
    )
