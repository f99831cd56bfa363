"""The evidence behind the answer as files: a CSV for each table, mean ranks and survival curves as pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.evidence import BUDGET, FRACTION, QUERIES, Curves, Evidence
from common.csv_files import save_csv
from reporting.rank_figure import save_ranks
from reporting.survival_figure import AxisScale, save_survival
from scoring.baselines.table import BASELINES

TITLES = {
    BUDGET: "How small a budget flips the verdict, attacking the best three segments?",
    QUERIES: "How many queries does the attack need, attacking the best three segments?",
    FRACTION: "How many of the segments flip the verdict, added best first?",
}
_AXES: Mapping[str, tuple[str, float, int]] = {
    BUDGET: ("L-infinity budget (1/255)", 255.0, 1),
    QUERIES: ("queries without gradients", 1.0, 0),
    FRACTION: ("share of the segments (%)", 100.0, 0),
}


def write_evidence(folder: Path, evidence: Evidence, mark: str = "") -> list[Path]:
    """Writes each table as NAME.csv and the pictures into `folder`, and returns the files.

    `mark` in the pictures says what sets the run apart. Each file appears whole or not at all. Raises OSError where the
    folder cannot be written.
    """
    files = []
    for name, table in evidence.tables.items():
        files.append(folder / f"{name}.csv")
        save_csv(files[-1], table)
    if evidence.ranks is not None and not np.isnan(evidence.ranks[1].critical):
        attack, ranks = evidence.ranks
        files += save_ranks(
            folder / "ranks.png", ranks, f"Mean ranks of the methods by drop, attack {attack}", mark=mark
        )
    return [*files, *_survival_files(folder, evidence.curves, mark)]


def _survival_files(folder: Path, every: Curves, mark: str) -> list[Path]:
    """The survival curves of each measure."""
    files = []
    for measure in dict.fromkeys(curve[0] for curve in every):
        of_measure = [curve for curve in every if curve[0] == measure]
        label, factor, digits = _AXES[measure]
        scale = AxisScale(label, of_measure[0][4], factor, digits)
        curves = {method: (curve, mean) for _, method, curve, mean, _ in of_measure}
        files += save_survival(folder / f"survival_{measure}.png", curves, scale, TITLES[measure], set(BASELINES), mark)
    return files
