"""Testing how well a detector tells fakes from real frames and videos, overall and for each manipulation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np

from common.console import count, say, table, warn
from data.frames import Frame
from detectors.base import REAL, Detector
from detectors.checks.fresh_process import require_same_in_fresh_process
from detectors.misnamed_classes import misnamed, said_of
from detectors.predictions import Predictions, predict, report_left_out
from detectors.rates import auc, auc_interval, equal_error_rate, error_rates, tied
from detectors.report_files import write_report_files

ALL = "all"
"""Stands for every manipulation together."""

DECISION = 0.5
"""A frame or video is called fake from this p(fake) on."""


@dataclass(frozen=True)
class Separation:
    """How well the fakes of one manipulation, or of all, are distinguished from all real ones.

    Attributes:
        level: frame or video.
        manipulation: its name, or "all".
        real: how many real frames or videos.
        fake: how many fakes.
        accuracy: the part that is called what it is, calling fake where p(fake) is at least 0.5.
        auc: the area under the ROC curve.
        eer: the equal error rate.
        eer_threshold: the p(fake) at which it is reached.
        false_positive: of the real ones, the part called fake, at 0.5.
        false_negative: of the fakes, the part called real, at 0.5.
        auc_low: the lower end of the AUC's 95 % interval; frames count as no more samples than there are videos.
        auc_high: its upper end.

    The last seven are None where there are no real ones or no fakes.
    """

    level: str
    manipulation: str
    real: int
    fake: int
    accuracy: float
    auc: float | None
    eer: float | None
    eer_threshold: float | None
    false_positive: float | None
    false_negative: float | None
    auc_low: float | None
    auc_high: float | None


@dataclass(frozen=True, eq=False)
class Report:
    """A test of a detector.

    Attributes:
        separations: by level, frames first, and within it all manipulations together, then each by name.
        predictions: of N frames, their labels 0 for real and 1 for fake.
        scores: p(fake) of the N frames, (N,) float64.
    """

    separations: tuple[Separation, ...]
    predictions: Predictions
    scores: np.ndarray

    def of(self, level: str, manipulation: str = ALL) -> Separation:
        """The scores of a level and a manipulation; KeyError where there are none."""
        for separation in self.separations:
            if (separation.level, separation.manipulation) == (level, manipulation):
                return separation
        raise KeyError((level, manipulation))


def run_test(detector: Detector, frames: Sequence[Frame], out: Path, batch_size: int = 16) -> Report:
    """Tests a detector on frames, writes the scores to `out` and prints them.

    Every manipulation is a fake, also one that a detector of several classes does not know; frames without a label
    are left out.

    Args:
        detector: what is tested, on its own device.
        frames: the frames; each is read when its turn comes.
        out: the folder of metrics.json, metrics.csv and predictions.csv.
        batch_size: how many frames pass through the detector at a time, at least 1.

    Raises:
        InputError: no frame is left, a verdict is not a number, or it is another in another process
            (`detectors.checks.fresh_process`).
        OSError: the files cannot be written.
    """
    report = measure_detector(detector, frames, batch_size)
    require_same_in_fresh_process(detector, len(frames), lambda index: frames[index].image)  # after all it was asked
    write_report(out, detector, report)
    show_report(report)
    names = swapped_classes(detector, report) or exchanged_names(detector, report.predictions)
    for doubt in filter(None, (names, one_verdict(report))):
        warn(doubt)
    say(f"written to {out}: metrics.json, metrics.csv, predictions.csv")
    return report


def measure_detector(detector: Detector, frames: Sequence[Frame], batch_size: int = 16) -> Report:
    """Tests a detector on frames as `run_test` does, without writing or printing scores."""
    predictions = predict(detector, frames, batch_size, _is_fake)
    scores = fake_scores(predictions, detector.real)
    videos = _by_video(predictions, scores)
    videos_level = _separations("video", *videos, {})
    samples = {separation.manipulation: (separation.real, separation.fake) for separation in videos_level}
    frames_level = _separations("frame", scores, predictions.families, samples)
    return Report((*frames_level, *videos_level), predictions, scores)


def one_verdict(report: Report) -> str | None:
    """That all frames get one verdict, though some are real and some fake, and what may make that; else None."""
    frames = report.of("frame")
    if not (frames.real and frames.fake) or len(set((report.scores >= 0.5).tolist())) > 1:
        return None
    verdict = "fake" if report.scores[0] >= 0.5 else "real"
    return (
        f"all {count(len(report.scores), 'frame')} are called {verdict}: outputs sorted by their size, as pipelines "
        "give them, look so, and weights that were not loaded"
    )


def swapped_classes(detector: Detector, report: Report) -> str | None:
    """That the classes may be swapped, and what to do, where real videos look more fake than fakes; else None.

    That is so where the AUC of all videos is under 0.5 with its whole interval.
    """
    videos = report.of("video")
    if videos.auc is None or videos.auc_high is None or videos.auc_high >= 0.5:
        return None
    found = f"the videos' AUC is {videos.auc:.4f} (95 % interval {_interval(videos)}), under 0.5"
    names = ",".join(reversed(detector.class_names))
    if len(detector.class_names) > 2:
        names = f"the names of the outputs in their order, not {','.join(detector.class_names)}"
    elif detector.reading is None:
        return (
            f"{found}: the detector's classes, which it says itself are {', '.join(detector.class_names)}, or the "
            "index's labels may be swapped"
        )
    return f"{found}: the classes may be swapped; if they are, give --classes {names}, else look at the index's labels"


def exchanged_names(detector: Detector, predictions: Predictions) -> str:
    """That verdicts fit frames' classes under other names (`detectors.misnamed_classes`), in words; "" where not."""
    names, labels = detector.class_names, list(map(detector.label_of, predictions.families))
    known = [index for index, label in enumerate(labels) if label is not None]
    said = predictions.probabilities.argmax(dim=1).tolist()
    return said_of(
        misnamed(
            [names[labels[index] or 0] for index in known],
            [names[said[index]] for index in known],
            [predictions.videos[index] for index in known],
        )
    )


def fake_scores(predictions: Predictions, real: int) -> np.ndarray:
    """p(fake) = 1 - p(Real) of N frames, (N,) float64, where `real` is the class "Real".

    It is computed from the fakes' classes and in float64, so that confident verdicts differ near 0 and near
    1 alike, where one minus p(Real) rounds. What rounding alone parts is equal.
    """
    probabilities = predictions.probabilities.double().numpy()
    accepted = probabilities[:, real]
    rejected = np.delete(probabilities, real, axis=1).sum(1)
    scores = rejected / (rejected + accepted)
    with np.errstate(divide="ignore"):
        odds = np.log(rejected) - np.log(accepted)
    _, first, places = np.unique(tied(odds), return_index=True, return_inverse=True)
    return scores[first][places]


def write_report(out: Path, detector: Detector, report: Report) -> None:
    """Writes a report to `out`, each file whole or not at all.

    metrics.json holds all scores and what was left out, metrics.csv one row per level and manipulation,
    predictions.csv one row per frame.
    """
    summary = {
        "scores": [asdict(separation) for separation in report.separations],
        "class_names": list(detector.class_names),
        "input_size": detector.input_size,
    }
    header = [field.name for field in fields(Separation)]
    metrics = [header, *(list(astuple(separation)) for separation in report.separations)]
    columns = {
        "video": report.predictions.videos,
        "family": report.predictions.families,
        "p_fake": [repr(score) for score in report.scores.tolist()],
    }
    write_report_files(out, detector, report.predictions, summary, metrics, columns)


def show_report(report: Report) -> None:
    """Prints a report as tables, one for frames and one for videos."""
    for level in ("frame", "video"):
        rows = [
            [
                row.manipulation,
                str(row.real),
                str(row.fake),
                *map(number, (row.auc, row.eer, row.accuracy, row.false_positive, row.false_negative)),
            ]
            for row in report.separations
            if row.level == level
        ]
        columns = ["fakes", "real", "fake", "AUC", "EER", "accuracy", "FPR", "FNR"]
        table(f"{level}s: each kind of fake against all real ones", columns, rows)
    say(f"accuracy, FPR (real called fake) and FNR (fake called real) are at p(fake) {DECISION}")
    videos = report.of("video")
    if videos.auc is not None:
        say(f"the AUC of all videos, {number(videos.auc)}, has the 95 % interval {_interval(videos)}")
    report_left_out(report.predictions)


def number(value: float | None) -> str:
    """A score in four decimals, or a dash where it is not defined."""
    return "-" if value is None else f"{value:.4f}"


def _interval(separation: Separation) -> str:
    return f"{number(separation.auc_low)} to {number(separation.auc_high)}"


def _is_fake(family: str | None) -> int | None:
    return None if family is None else int(family != REAL)


def _by_video(predictions: Predictions, scores: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mean score of each video's frames, and its family.

    Frames of several families under one video's name (a folder of mixed pictures) are as many videos.
    """
    grouped: dict[tuple[str, str], list[float]] = {}
    for video, family, score in zip(predictions.videos, predictions.families, scores.tolist(), strict=True):
        grouped.setdefault((video, family), []).append(score)
    means = np.array([np.mean(frame_scores) for frame_scores in grouped.values()])
    return means, tuple(family for _, family in grouped)


def _separations(
    level: str, scores: np.ndarray, families: Sequence[str], samples: Mapping[str, tuple[int, int]]
) -> list[Separation]:
    """The scores of all fakes and of each manipulation's.

    `samples` are how many independent real and fake ones there are, by manipulation, where not each score is one.
    """
    names = np.array(families)
    real = names == REAL
    manipulations = sorted(set(families) - {REAL})
    chosen = {
        ALL: np.ones(len(names), bool),
        **{manipulation: real | (names == manipulation) for manipulation in manipulations},
    }
    return [_separation(level, name, scores[mask], ~real[mask], samples.get(name)) for name, mask in chosen.items()]


def _separation(
    level: str, name: str, scores: np.ndarray, fake: np.ndarray, samples: tuple[int, int] | None
) -> Separation:
    reals, fakes = samples or (int((~fake).sum()), int(fake.sum()))
    area = auc(scores, fake)
    low, high = (None, None) if area is None else auc_interval(area, reals, fakes)
    equal, errors = equal_error_rate(scores, fake), error_rates(scores, fake, DECISION)
    return Separation(
        level=level,
        manipulation=name,
        real=int((~fake).sum()),
        fake=int(fake.sum()),
        accuracy=float(((scores >= DECISION) == fake).mean()),
        auc=area,
        eer=None if equal is None else equal.rate,
        eer_threshold=None if equal is None else equal.threshold,
        false_positive=None if errors is None else errors.false_positive,
        false_negative=None if errors is None else errors.false_negative,
        auc_low=low,
        auc_high=high,
    )
