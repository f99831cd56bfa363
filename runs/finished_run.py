"""A finished run: its scores, flip thresholds, metrics and costs together, with what made them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from runs.frame_table import FRAMES
from runs.partial_frames import MissingPart
from runs.score_table import COSTS, FLIP_THRESHOLDS, METRIC_VALUES, ScoreTable, as_score_table


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A finished run, as score tables, or as tidy tables in memory.

    Attributes:
        rows: the scores of each frame by ranking, attack, budget and depth.
        flip_thresholds: how much it takes to flip each frame; empty where that was not measured.
        metrics: the values of the standard metrics; empty likewise.
        costs: forwards, calls and seconds by frame and stage.
        configuration: what config.json holds.
        failures: frames that could not be scored, with the reason.
        frames: the verdict and the adversarial image of each frame, and whether anything flips it; empty where that is
            not known.
        missing: what of the frames failed while the rest of each was scored.
    """

    rows: pd.DataFrame | ScoreTable
    flip_thresholds: pd.DataFrame | ScoreTable = field(default_factory=pd.DataFrame)
    metrics: pd.DataFrame | ScoreTable = field(default_factory=pd.DataFrame)
    costs: pd.DataFrame | ScoreTable = field(default_factory=pd.DataFrame)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    frames: pd.DataFrame | ScoreTable = field(default_factory=pd.DataFrame)
    missing: tuple[MissingPart, ...] = ()

    @property
    def score_tables(self) -> "FinishedTables":
        """The same run with every table as a score table."""
        return FinishedTables(
            as_score_table(self.rows),
            as_score_table(self.flip_thresholds, FLIP_THRESHOLDS),
            as_score_table(self.metrics, METRIC_VALUES),
            as_score_table(self.costs, COSTS),
            self.configuration,
            self.failures,
            as_score_table(self.frames, FRAMES),
            self.missing,
        )


@dataclass(frozen=True, eq=False)
class FinishedTables:
    """A finished run as score tables; attributes as of `FinishedRun`."""

    rows: ScoreTable
    flip_thresholds: ScoreTable
    metrics: ScoreTable
    costs: ScoreTable
    configuration: Mapping[str, Any]
    failures: Mapping[str, str]
    frames: ScoreTable
    missing: tuple[MissingPart, ...] = ()
