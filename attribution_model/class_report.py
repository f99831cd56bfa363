"""Testing the attribution classifier, or any other detector, class by class: its scores and their files."""

import io
from collections.abc import Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attribution_model.metrics import ClassScores, Scores, score
from common.csv_files import save_rows
from common.files import atomic_write
from detectors.base import Detector
from detectors.predictions import Predictions
from detectors.report_files import write_report_files


def write_class_scores(out: Path, detector: Detector, predictions: Predictions) -> Scores:
    """Scores predictions and writes them to `out`, each file whole or not at all.

    metrics.json holds all scores and over which classes their means are, metrics.csv one row per class and one for all,
    predictions.csv one row per frame, confusion.csv the counts, and confusion.png their picture.
    """
    names = detector.class_names
    scores = score(predictions.probabilities, predictions.labels, names)
    summary = {**asdict(scores), "confusion": scores.confusion.tolist(), "class_names": list(names)}
    summary["averaged_classes"] = list(scores.present)
    columns = {
        "label": [names[label] for label in predictions.labels],
        "predicted": [names[label] for label in predictions.probabilities.numpy().argmax(axis=1)],
    }
    write_report_files(out, detector, predictions, summary, _metric_rows(scores), columns)
    counts = [[name, *row] for name, row in zip(names, scores.confusion.tolist(), strict=True)]
    save_rows(out / "confusion.csv", [["true", *names], *counts])
    with atomic_write(out / "confusion.png", "wb") as file:
        file.write(confusion_picture(scores, names))
    return scores


def averaged(scores: Scores) -> str:
    """Over which classes the macro means are, in a line."""
    absent = [row.name for row in scores.per_class if not row.frames]
    if not absent:
        return f"macro means are over all {len(scores.per_class)} classes"
    if len(scores.present) == 1:
        return f"all frames are {scores.present[0]}: no class can be told from the rest, so there are no macro means"
    return f"macro means are over {', '.join(scores.present)}; without frames, and left out: {', '.join(absent)}"


def confusion_picture(scores: Scores, names: Sequence[str]) -> bytes:
    """The confusion matrix as PNG: counts, shaded by the part of the true class's frames."""
    side = 1.9 + 0.85 * len(names)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rows = np.maximum(scores.confusion.sum(1, keepdims=True), 1)
    shares = scores.confusion / rows
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(scores.confusion):
        dark = shares[row, column] > 0.5
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{scores.frames} frames, accuracy {scores.accuracy:.3f}", fontsize=11)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="part of the true class")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _metric_rows(scores: Scores) -> list[list[object]]:
    """The header, a row for each class, and one for all, with the accuracy as recall."""
    header = [field.name for field in fields(ClassScores)]
    overall = ["all", scores.frames, None, scores.accuracy, scores.f1, scores.auroc, scores.average_precision]
    return [["class", *header[1:]], *(list(astuple(class_scores)) for class_scores in scores.per_class), overall]
