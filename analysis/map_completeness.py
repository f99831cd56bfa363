"""How far the maps of a run are from adding up to what their methods promise."""

from dataclasses import dataclass

import numpy as np

from analysis.score_subsets import Rows
from runs.conditions import detected
from runs.score_table import as_score_table
from scoring.baselines.table import BASELINES
from xai.completeness import TOLERATED

_ERROR = "completeness_error"


@dataclass(frozen=True)
class MapCompleteness:
    """What is known of one method's maps.

    Attributes:
        method: its name.
        frames: on how many frames the error of its map is known.
        median: of the errors, as a share of what is due; of several trials of a frame the largest counts.
        worst: the largest.
        broken: on how many frames it is beyond what is tolerated (`xai.completeness.TOLERATED`).
    """

    method: str
    frames: int
    median: float
    worst: float
    broken: int


def map_completeness(rows: Rows) -> list[MapCompleteness]:
    """A line for each method that promises completeness, over the frames that it explained, in the rows' order."""
    scores = detected(as_score_table(rows))
    if _ERROR not in scores.store.measures:
        return []
    lines = []
    for method, part in scores.by("method").items():
        errors = np.full(len(part), np.nan)
        for values in part.each(_ERROR):
            np.fmax(errors, values, out=errors)
        known = errors[~np.isnan(errors)]
        if len(known) and method not in BASELINES:
            broken = int((known > TOLERATED).sum())
            lines.append(MapCompleteness(method, len(known), float(np.median(known)), float(known.max()), broken))
    return lines
