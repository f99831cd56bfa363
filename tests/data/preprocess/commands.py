"""Running `python -m data preprocess` on the small videos, and reading what it reports."""

import csv
from pathlib import Path

from common.console import application, status
from data.preprocess.command import preprocess
from tests.data.preprocess.videos import DISCS

app = application("test")
app.command()(preprocess)

FORGED = "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"


def command(root: Path, out: Path, *more: str, detector: str = DISCS) -> int:
    """Runs the command with one worker, unless `more` says otherwise, and returns its exit status."""
    options = ["--root", str(root), "--out", str(out), "--face-detector", detector, "--workers", "1"]
    return status(app, [*options, *more])


def report(out: Path) -> dict[str, dict[str, str]]:
    """The rows of report.csv by video."""
    with (out / "report.csv").open(encoding="utf-8", newline="") as file:
        return {row["video"]: row for row in csv.DictReader(file)}
