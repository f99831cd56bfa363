"""The files that a test of a detector writes: its scores, and what the detector says of every frame."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.csv_files import save_rows
from common.files import atomic_write
from detectors.base import Detector
from detectors.predictions import Predictions


def write_report_files(
    out: Path,
    detector: Detector,
    predictions: Predictions,
    summary: Mapping[str, Any],
    metrics: Sequence[Sequence[object]],
    columns: Mapping[str, Sequence[str]],
) -> None:
    """Writes metrics.json, metrics.csv and predictions.csv to a folder, each whole or not at all.

    Args:
        out: the folder; it is made where it is missing.
        detector: what was tested; it names the classes and has the weights' SHA-256.
        predictions: what it says of N frames, and how many were left out or unreadable.
        summary: what metrics.json begins with; the weights' SHA-256 and what was left out follow.
        metrics: the rows of metrics.csv, the header first; None is an empty cell.
        columns: of predictions.csv, by name, N cells each: they stand between the keys and the probabilities.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
        ValueError: a column does not have N cells.
    """
    provenance = {
        "weights_sha256": detector.weights_sha256,
        **({} if detector.reading is None else {"reading": asdict(detector.reading)}),
        "left_out": predictions.left_out,
        "unreadable": predictions.unreadable,
    }
    with atomic_write(out / "metrics.json") as file:
        json.dump({**summary, **provenance}, file, indent=2)
        file.write("\n")
    save_rows(out / "metrics.csv", metrics)
    header = ["key", *columns, *(f"p_{name}" for name in detector.class_names)]
    probabilities = [[repr(value) for value in row] for row in predictions.probabilities.tolist()]  # ranks are kept
    rows = zip(predictions.keys, *columns.values(), probabilities, strict=True)
    save_rows(out / "predictions.csv", [header, *([*cells, *values] for *cells, values in rows)])
