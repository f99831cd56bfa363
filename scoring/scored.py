"""What scoring a frame gave: its records, its costs, what there is to see of it, and what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from scoring.attempts import StageFailure
from scoring.costs import Cost
from scoring.explaining import Explained
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row, TransformedVerdict


@dataclass(frozen=True, eq=False)
class Views:
    """What there is to see of a scored frame, at the detector's size: for pictures, not for numbers.

    Attributes:
        explained: the frame, its explanations and segments.
        attacked: by method, the image (3, H, W) after the first attack on its best three segments.
        mark: what sets the run apart, for its pictures; "" for nothing.
    """

    explained: Explained
    attacked: Mapping[str, Tensor]
    mark: str = ""


@dataclass(frozen=True)
class Drift:
    """A frame that a detector answered otherwise later than when it was scored: what came between has other answers.

    Attributes:
        first: the frame's key.
        noticed: the frame at whose end it was asked about again; "" where that was as a run was continued.
        difference: of a logit, what all logits share taken away.
        elsewhere: what it says otherwise in another process, once the run was made, in a sentence; "" for nothing.
    """

    first: str
    noticed: str
    difference: float
    elsewhere: str = ""


@dataclass(frozen=True, eq=False)
class Scored:
    """What scoring a frame gave.

    Attributes:
        rows: by trial, attack, budget, ranking and depth.
        flip_thresholds: how much it takes to flip the verdict, by trial, measure and ranking.
        metric_values: of the standard metrics, by trial, method and metric.
        costs: by stage.
        views: of the first trial; None where the detector calls the frame Real, so that nothing was explained.
        frame_verdicts: what the detector says of the frame and of its adversarial image, by trial.
        transformed: what it says of the frame and of every flip after each transform; None where none is asked for.
        failures: what of the frame could not be scored; all else stands as if that had not been asked for.
        drift: the first frame that was scored, where the detector no longer answers it as it did; None where it does.
    """

    rows: list[Row]
    flip_thresholds: list[FlipThreshold]
    metric_values: list[MetricValue]
    costs: list[Cost]
    views: Views | None
    frame_verdicts: list[FrameVerdict] = field(default_factory=list)
    transformed: list[TransformedVerdict] | None = None
    failures: list[StageFailure] = field(default_factory=list)
    drift: Drift | None = None

    @property
    def records(self) -> dict[type, Sequence[Any]]:
        """What a run keeps, by kind."""
        return ({} if self.transformed is None else {TransformedVerdict: self.transformed}) | {
            FrameVerdict: self.frame_verdicts,
            FlipThreshold: self.flip_thresholds,
            MetricValue: self.metric_values,
            Row: self.rows,
        }
