"""Reads finished frames, some at a time, into score tables, and writes their tidy tables."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data.frames import REAL
from runs import npy_records, parquet_records
from runs.conditions import main_condition
from runs.row_files import TableWriter, row_files
from runs.run_folder import RunFolder
from runs.score_table import (
    COSTS,
    FLIP_THRESHOLDS,
    METRIC_VALUES,
    SCORES,
    ColumnSchema,
    ScoreTable,
    ScoreTableBuilder,
    numbered,
)
from scoring.costs import FrameCost
from scoring.flip_threshold import THRESHOLD_DEPTH
from scoring.records import FlipThreshold, MetricValue, Row, tidy

BATCH = 2000
"""Frames read at a time: with every published baseline about a million rows."""
QUERIES, NES = "queries", "nes"

COLUMN_SCHEMAS: Mapping[type, ColumnSchema] = {
    Row: SCORES,
    FlipThreshold: FLIP_THRESHOLDS,
    MetricValue: METRIC_VALUES,
    FrameCost: COSTS,
}
"""How the records of each kind become a score table."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """The score tables of finished frames, and the files written on the way.

    Attributes:
        scores: the rows of every frame.
        flip_thresholds: how much it takes to flip each frame, with the queries that NES needed.
        metrics: the values of the standard metrics.
        costs: forwards, calls and seconds by frame and stage.
        files: the tidy tables that were written, those of the costs apart.
    """

    scores: ScoreTable
    flip_thresholds: ScoreTable
    metrics: ScoreTable
    costs: ScoreTable
    files: tuple[Path, ...]


def gather(
    folder: RunFolder, configuration: Mapping[str, Any], keys: Sequence[str], name: str | None = None
) -> Gathered:
    """Reads finished frames; with a `name`, also writes their tidy tables.

    Args:
        folder: the run's.
        configuration: what config.json holds; its attacks say which of them is NES.
        keys: of the finished frames, in the order that the score tables get.
        name: what the tidy tables are called after; None where none are written.

    Raises:
        InputError: a frame is not there, or its file is damaged.
        OSError: the folder cannot be written.
    """
    space = None if name is None else folder.path  # a run that is only read may lie where nothing can be written
    builders = {kind: ScoreTableBuilder(schema, pd.Index(keys), space) for kind, schema in COLUMN_SCHEMAS.items()}
    files: list[Path] = []
    with contextlib.ExitStack() as stack:
        write: TableWriter | None = None
        for start in range(0, len(keys), BATCH):
            batch = list(keys[start : start + BATCH])
            tables = {kind: parquet_records.to_frame(table) for kind, table in folder.tables(batch).items()}
            tables[FlipThreshold] = pd.concat(
                [tables[FlipThreshold], queries(tables[Row], configuration)], ignore_index=True
            )
            if name is not None and write is None:  # from the first frames follows how many rows there will be
                rows = len(tables[Row]) * len(keys) // len(batch)
                write = stack.enter_context(row_files(folder.path, name, rows, files))
            if write is not None:
                write(tables)
            for kind, table in tables.items():
                builders[kind].add(numbered(table) if kind is FrameCost else tidy(table), pd.Index(batch))
    scores = {kind: builder.score_table() for kind, builder in builders.items()}
    return Gathered(scores[Row], scores[FlipThreshold], scores[MetricValue], scores[FrameCost], tuple(files))


def queries(rows: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """Flip thresholds in queries: the images that NES passed to the detector, on the three best segments or the frame.

    They are taken from the rows; a frame that did not flip is censored at the forwards that its attack took.
    """
    attacks = configuration.get("attacks", {})
    names = [name for name, settings in attacks.items() if settings.get("attack") == NES]
    chosen = main_condition(rows) if len(rows) else rows
    chosen = chosen[chosen["predicted"] != REAL]
    chosen = chosen[chosen["attack"].isin(names) & chosen["depth"].isin((THRESHOLD_DEPTH, "all"))]
    shared = [
        field for field in npy_records.column_names(FlipThreshold) if field not in ("measure", "value", "reached")
    ]
    return chosen[shared].assign(
        measure=QUERIES, value=chosen["forwards"].astype(float), reached=chosen["flipped_to_real"].astype(bool)
    )
