"""A case: what was examined, by what, and everything that was found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from examination.evidence import FrameEvidence
from examination.frame import ExaminedFrame
from examination.together import MethodResult

FORMAT = 1


@dataclass(frozen=True)
class CurvePoint:
    """What the detector says at one time of a film: seconds, the probability of any class but Real, and the class."""

    time: float
    fake: float
    verdict: str


@dataclass(frozen=True)
class Setting:
    """How a case was examined, so that it can be made again.

    Attributes:
        detector: its name, weights and classes, as plain data.
        methods: by name, in order.
        preset: of the explanations' settings.
        settings: every value by component and field.
        attack: on the regions, as plain data.
        regions: random ones on each picture.
        seed: of every draw.
        batch_size: images in a forward pass.
        threads: of the CPU.
        device: where the detector ran.
        versions: of this software and the libraries that compute.
        face_detector: its name, or None where whole pictures were taken.
        command: the options that were given.
    """

    detector: Mapping[str, Any]
    methods: tuple[str, ...]
    preset: str
    settings: Mapping[str, Any]
    attack: Mapping[str, Any]
    regions: int
    seed: int
    batch_size: int
    threads: int
    device: str
    versions: Mapping[str, str]
    face_detector: str | None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """One face, or one whole picture, of one file.

    Attributes:
        file: its name, without folders.
        sha256: of its bytes.
        face: the number of the face, 0 for none.
        film: whether it is a film.
        class_names: of the detector.
        real: the index of Real among them.
        frames: what was examined, at least one.
        curve: verdicts over a film; empty for a picture.
        methods: all frames together.
        setting: how it was examined.
        remarks: what a reader should know of how the face was found.
        seconds: that it took.
    """

    file: str
    sha256: str
    face: int
    film: bool
    class_names: tuple[str, ...]
    real: int
    frames: tuple[ExaminedFrame, ...]
    curve: tuple[CurvePoint, ...]
    methods: Mapping[str, MethodResult]
    setting: Setting
    remarks: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def attacked(self) -> tuple[ExaminedFrame, ...]:
        """The frames that the detector calls manipulated."""
        return tuple(frame for frame in self.frames if frame.evidence is not None)

    @property
    def believed(self) -> tuple[str, ...]:
        """The methods whose maps may be believed, those of the largest share first."""
        names = [name for name, result in self.methods.items() if result.believed]
        return tuple(sorted(names, key=lambda name: -self.methods[name].share))

    def fake(self, frame: ExaminedFrame) -> float:
        """The probability that the detector gives to any class but Real."""
        return float(1 - frame.probabilities[self.real])

    def verdict(self, frame: ExaminedFrame) -> str:
        """The class that the detector gives to a frame."""
        return self.class_names[frame.predicted]


def as_data(case: Case, answer: Sequence[str]) -> dict[str, Any]:
    """Every number of a case as JSON has it; what is not known is null."""
    fakes = np.array([point.fake for point in case.curve] or [case.fake(frame) for frame in case.frames])
    return _plain(
        {
            "format": FORMAT,
            "answer": list(answer),
            "believed": list(case.believed),
            "file": case.file,
            "sha256": case.sha256,
            "face": case.face or None,
            "kind": "film" if case.film else "picture",
            "remarks": list(case.remarks),
            "classes": list(case.class_names),
            "verdict": {
                "mean": fakes.mean(),
                "spread": fakes.std(ddof=1) if len(fakes) > 1 else None,
                "curve": [vars(point) for point in case.curve],
            },
            "methods": {name: _result(result) for name, result in case.methods.items()},
            "frames": [_frame(case, frame) for frame in case.frames],
            "setting": vars(case.setting),
            "seconds": case.seconds,
        }
    )


def _result(result: MethodResult) -> dict[str, Any]:
    values = {**vars(result), "decides": result.decides, "stable": result.stable, "believed": result.believed}
    return {**values, "overlaps": {kind: vars(overlap) for kind, overlap in result.overlaps.items()}}


def _frame(case: Case, frame: ExaminedFrame) -> dict[str, Any]:
    names = list(frame.regions)
    return {
        "name": frame.shot.name,
        "time": frame.shot.time,
        "picture": list(frame.shot.picture.shape[:2]),
        "probabilities": dict(zip(case.class_names, frame.probabilities.tolist(), strict=True)),
        "verdict": case.verdict(frame),
        "explained": case.class_names[frame.target],
        "evidence": None if frame.evidence is None else _evidence(frame.evidence),
        "explanations": {
            name: {
                "best_segments": explanation.ranking[:3],
                "segments": int(explanation.segments.max()) + 1,
                "forwards": explanation.forwards,
                "seconds": explanation.seconds,
                "weak": explanation.weak,
                "same_best_1_2_3_on_a_re_run": explanation.stability,
            }
            for name, explanation in frame.explanations.items()
        },
        "stability": {
            name: {kind: {**vars(overlap), "found_again": overlap.found_again} for kind, overlap in kinds.items()}
            for name, kinds in frame.stability.items()
        },
        "agreement": {
            name: dict(zip(names, row, strict=True)) for name, row in zip(names, frame.agreement, strict=True)
        },
        "agreement_by_chance": frame.chance,
        "failures": [str(failure) for failure in frame.failures],
    }


def _evidence(evidence: FrameEvidence) -> dict[str, Any]:
    return {
        "log_odds_manipulated": evidence.strength,
        "area": evidence.area,
        "methods": {name: vars(each) for name, each in evidence.methods.items()},
        "random_moves": evidence.random_moves,
        "best_move": evidence.best_move,
        "smallest_budgets": dict(evidence.budgets),
        "smallest_budgets_sought": evidence.budgets_sought,
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: arrays as lists, NaN as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
