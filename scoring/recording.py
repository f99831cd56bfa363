"""From what happened to a frame to its records: its verdict, rows, flip thresholds and metric values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.errors import InputError
from data.frames import Frame
from data.masks import at_size
from detectors import Detector
from scoring.attempts import StageFailure, as_text
from scoring.metrics.measuring import Measurement
from scoring.records import UNKNOWN, FlipThreshold, FrameVerdict, MetricValue, Row, TransformedVerdict
from scoring.region_attacker import Outcome, Verdict
from xai.explanation import AdversarialImage
from xai.methods import Method
from xai.regions import RankedRegion, Ranking


@dataclass(frozen=True, eq=False)
class Recorder:
    """Makes the records of one trial of a frame.

    Attributes:
        frame: which.
        verdict: what the detector says of it.
        detector: whose verdict that is.
        seed: of the trial.
        segmentation: of the trial, by name.
    """

    frame: Frame
    verdict: Verdict
    detector: Detector
    seed: int
    segmentation: str

    @cached_property
    def _shared(self) -> dict[str, Any]:
        """The values that all records of the trial share."""
        return {
            "key": self.frame.key,
            "video": self.frame.video,
            "family": self.frame.family or "",
            "seed": self.seed,
            "segmentation": self.segmentation,
        }

    @cached_property
    def _judged(self) -> dict[str, Any]:
        """The values of a record that say what the detector says of the frame."""
        frame, verdict, names = self.frame, self.verdict, self.detector.class_names
        return {
            "label": UNKNOWN if frame.label is None else frame.label,
            "predicted": names[verdict.predicted],
            "correct": verdict.correct,
            "target": names[verdict.target],
            "before": float(verdict.probabilities[verdict.target]),
        }

    def frame_verdict(
        self, segments: np.ndarray | None, adversarial: AdversarialImage | None, failures: Sequence[StageFailure] = ()
    ) -> FrameVerdict:
        """What the detector says of the frame, and of its adversarial image.

        Args:
            segments: (H, W) labels 0..K-1; None where the frame was not divided.
            adversarial: the frame attacked as a whole, as fills use it; None where none was made.
            failures: what of the trial could not be scored.
        """
        return FrameVerdict(
            **self._shared,
            **self._judged,
            probabilities=" ".join(f"{probability:.9g}" for probability in self.verdict.probabilities.tolist()),
            segments=UNKNOWN if segments is None else int(segments.max()) + 1,
            adversarial_flipped=int(adversarial.flipped) if adversarial else UNKNOWN,
            adversarial_steps=adversarial.steps if adversarial else UNKNOWN,
            adversarial_forwards=adversarial.forwards if adversarial else UNKNOWN,
            adversarial_queries=adversarial.queries if adversarial else UNKNOWN,
            unscored=as_text(failures),
        )

    def row(self, ranked_region: RankedRegion, attack: str, epsilon: float, outcome: Outcome) -> Row:
        """What attacking a ranked region did.

        Args:
            ranked_region: what was attacked; without a pixel where there was no fake verdict to explain.
            attack: its name.
            epsilon: its L-infinity budget in pixel units, in (0, 1].
            outcome: of the attack on that region.
        """
        frame, ranking, names = self.frame, ranked_region.ranking, self.detector.class_names
        return Row(
            **self._shared,
            **self._judged,
            **_named(ranking),
            weak=ranking.weak,
            completeness_error=UNKNOWN if ranking.completeness_error is None else ranking.completeness_error,
            stability=stability(ranked_region),
            attack=attack,
            epsilon=epsilon,
            depth=ranked_region.depth,
            k=ranked_region.k,
            area=float(ranked_region.region.mean()),
            mask_precision=mask_precision(ranked_region.region, frame.mask),
            after=outcome.after,
            drop=self._judged["before"] - outcome.after,
            predicted_after=names[outcome.predicted],
            correct_after=correct(self.detector, frame, outcome.predicted),
            flipped_to_real=outcome.flipped,
            linf=outcome.linf,
            steps=outcome.steps,
            forwards=outcome.forwards,
            queries=outcome.queries,
        )

    def transformed_flip(
        self, ranked_region: RankedRegion, attack: str, epsilon: float, real_after: Sequence[str]
    ) -> TransformedVerdict:
        """After which transforms the detector calls the attacked picture of a flip Real; arguments as of `row`."""
        named = _named(ranked_region.ranking)
        return self._transformed(named, attack, epsilon, ranked_region.depth, real_after)

    def transformed_frame(self, real_after: Sequence[str]) -> TransformedVerdict:
        """After which transforms the detector calls the frame itself Real, which nothing attacked."""
        return self._transformed({"method": "", "of": "", "draw": 0, "fill": ""}, "", 0.0, "", real_after)

    def _transformed(
        self, named: dict[str, Any], attack: str, epsilon: float, depth: str, real_after: Sequence[str]
    ) -> TransformedVerdict:
        return TransformedVerdict(
            **self._shared, **named, attack=attack, epsilon=epsilon, depth=depth, real_after=" ".join(real_after)
        )

    def flip_threshold(self, ranking: Ranking, measure: str, attack: str, value: float, reached: bool) -> FlipThreshold:
        """How much of a measure it took to flip the verdict, or was tried in vain.

        Args:
            ranking: along which the verdict was to flip.
            measure: "budget" or "fraction", as in `scoring.records.FlipThreshold`.
            attack: what was used, and its budget where that is fixed.
            value: in [0, 1]; the largest that was tried where the verdict did not flip.
            reached: whether the verdict flipped.
        """
        return FlipThreshold(
            **self._shared,
            **_named(ranking),
            attack=attack,
            measure=measure,
            value=value,
            reached=reached,
        )

    def metric_value(self, method: Method, measurement: Measurement) -> MetricValue:
        """The value that a standard metric gives a method."""
        better = {True: "higher", False: "lower", None: ""}[measurement.higher_is_better]
        return MetricValue(
            **self._shared,
            method=method.name,
            fill=method.fill,
            metric=measurement.full_name,
            value=0.0 if measurement.undefined else measurement.value,
            better=better,
            undefined=measurement.undefined,
            forwards=measurement.forwards,
        )


def _named(ranking: Ranking) -> dict[str, Any]:
    """The values of a record that name its ranking."""
    return {"method": ranking.method, "of": ranking.of, "draw": ranking.draw, "fill": ranking.fill}


def correct(detector: Detector, frame: Frame, predicted: int) -> int:
    """Whether a class is the frame's: 1 or 0, -1 where the detector has no class for the frame.

    Raises InputError where its `label_of` gives what is no class of its.
    """
    label: object = detector.label_of(frame.family)
    known = len(detector.class_names)
    if label is not None and (isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < known):
        raise InputError(
            f"detector {type(detector).__name__}: its label_of gave {label!r} for {frame.family}; expected None, or "
            f"the index of one of its {known} classes"
        )
    return UNKNOWN if label is None else int(predicted == label)


def stability(ranked_region: RankedRegion) -> float:
    """The probability that a re-run of the explanation has the same region, in [0, 1]; -1 where it is not known."""
    known = ranked_region.ranking.stability
    return UNKNOWN if known is None or not ranked_region.k else float(known[ranked_region.k - 1])


def mask_precision(region: np.ndarray, mask: np.ndarray | None) -> float:
    """The share of a region (H, W) bool that lies in a frame's mask (H', W') bool; -1 where that is not known.

    So it is without a region, without a mask, and where the mask has no pixel at the region's size: a fake frame was
    manipulated somewhere, and such a mask does not say where.
    """
    manipulated = at_size(mask, region.shape)
    if manipulated is None or not region.any():
        return UNKNOWN
    return float(manipulated[region].mean())
