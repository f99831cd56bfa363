"""From what happened to a frame to its records: rows, grades, what metrics say."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data.frames import Frame
from detectors import Detector
from scoring.arms.rankings import at_size
from scoring.attacking import Outcome, Verdict
from scoring.metrics.measuring import Measurement
from scoring.regions import Choice, Ranking
from scoring.rows import UNKNOWN, Grade, Measured, Row
from xai.methods import Method


@dataclass(frozen=True, eq=False)
class Recorder:
    """Makes the records of one repeat of a frame.

    Attributes:
        frame: which.
        verdict: what the detector says of it.
        detector: whose verdict that is.
        seed: of the repeat.
        segmentation: of the repeat, by name.
    """

    frame: Frame
    verdict: Verdict
    detector: Detector
    seed: int
    segmentation: str

    @cached_property
    def _place(self) -> dict[str, Any]:
        """What every record says of where it belongs."""
        return {
            "key": self.frame.key,
            "video": self.frame.video,
            "family": self.frame.family or "",
            "seed": self.seed,
            "segmentation": self.segmentation,
        }

    def row(self, choice: Choice, attack: str, epsilon: float, outcome: Outcome) -> Row:
        """What attacking a chosen region did."""
        frame, verdict, ranking, names = self.frame, self.verdict, choice.ranking, self.detector.class_names
        before = float(verdict.probabilities[verdict.target])
        return Row(
            **self._place,
            label=UNKNOWN if frame.label is None else frame.label,
            predicted=names[verdict.predicted],
            correct=verdict.correct,
            target=names[verdict.target],
            **_named(ranking),
            weak=ranking.weak,
            attack=attack,
            epsilon=epsilon,
            depth=choice.depth,
            k=choice.k,
            area=float(choice.region.mean()),
            inside=share_inside(choice.region, frame.mask),
            before=before,
            after=outcome.after,
            drop=before - outcome.after,
            predicted_after=names[outcome.predicted],
            correct_after=correct(self.detector, frame, outcome.predicted),
            flipped_to_real=outcome.flipped,
            linf=outcome.linf,
            steps=outcome.steps,
            forwards=outcome.forwards,
        )

    def grade(self, ranking: Ranking, measure: str, attack: str, value: float, reached: bool) -> Grade:
        """How much of a measure it took to flip the verdict, or was tried in vain."""
        return Grade(
            **self._place,
            **_named(ranking),
            attack=attack,
            measure=measure,
            value=value,
            reached=reached,
        )

    def measured(self, method: Method, found: Measurement) -> Measured:
        """What a standard metric says of a method."""
        better = {True: "higher", False: "lower", None: ""}[found.higher_is_better]
        return Measured(
            **self._place,
            method=method.name,
            fill=method.fill,
            metric=found.full_name,
            value=0.0 if found.undefined else found.value,
            better=better,
            undefined=found.undefined,
            forwards=found.forwards,
        )


def _named(ranking: Ranking) -> dict[str, Any]:
    """What a record says of the ranking that it is about."""
    return {"method": ranking.method, "of": ranking.of, "draw": ranking.draw, "fill": ranking.fill}


def correct(detector: Detector, frame: Frame, predicted: int) -> int:
    """Whether a class is the frame's: 1 or 0, -1 where the detector has no class for the frame."""
    label = detector.label_of(frame.family)
    return UNKNOWN if label is None else int(predicted == label)


def share_inside(region: np.ndarray, mask: np.ndarray | None) -> float:
    """The share of a region (H, W) bool that lies in a frame's mask (H', W') bool; -1 without a mask or a region."""
    if mask is None or not region.any():
        return UNKNOWN
    inside = at_size(mask, region.shape)
    return 0.0 if inside is None else float(inside[region].mean())
