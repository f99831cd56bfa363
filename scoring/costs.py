"""What each stage of a frame takes: forwards, calls and seconds."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from detectors.base import Detector
from detectors.queries import Meter, counting

VERDICT = "verdict"  # the first stage of every frame

ProgressCallback = Callable[[str], None]
"""Called with the name of each stage as it begins."""


@dataclass(frozen=True)
class Cost:
    """What one stage of one frame took.

    Attributes:
        stage: "verdict", "segments", "adversarial", a method, "random-model", "attack NAME", "survives" (the frame
            itself after transforms), "survives NAME" (that attack's flips), "grades" (the flip thresholds), or
            "metrics of METHOD".
        forwards: images passed to the detector; a pass backward counts as one more.
        calls: passes they went in.
        seconds: wall time.
    """

    stage: str
    forwards: int
    calls: int
    seconds: float


@dataclass(frozen=True)
class FrameCost:
    """A cost with the frame that it is of, for tables.

    Attributes:
        key: the frame.
        stage, forwards, calls, seconds: as in Cost.
    """

    key: str
    stage: str
    forwards: int
    calls: int
    seconds: float


class CostTracker:
    """Writes down the costs of one frame's stages as they happen, by a meter on the detector."""

    def __init__(self, meter: Meter, on_stage: ProgressCallback) -> None:
        """`on_stage` is called as each stage begins."""
        self.costs: list[Cost] = []
        self._meter, self._on_stage = meter, on_stage

    def also(self, detector: Detector) -> contextlib.AbstractContextManager[Meter]:
        """Counts another detector's passes, too, while it is open: those of a copy with random weights, say."""
        return counting(detector, self._meter)

    @contextlib.contextmanager
    def stage(self, name: str, including: str | None = None) -> Iterator[None]:
        """Charges what happens inside to `name`, and with it again what the last stage `including` took."""
        self._on_stage(name)
        images, calls, started = self._meter.images, self._meter.calls, time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        shared = [cost for cost in self.costs if cost.stage == including][-1:]  # each trial makes its own
        self.costs.append(
            Cost(
                stage=name,
                forwards=self._meter.images - images + sum(cost.forwards for cost in shared),
                calls=self._meter.calls - calls + sum(cost.calls for cost in shared),
                seconds=seconds + sum(cost.seconds for cost in shared),
            )
        )
