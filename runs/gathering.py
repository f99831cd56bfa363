"""Reads finished frames, some at a time, into score tables, and writes their tidy tables."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data.frames import REAL
from runs import npy_records, parquet_records
from runs.conditions import main_condition
from runs.configuration import FORMAT, attack_names
from runs.frame_table import FRAMES, class_names, frame_lines
from runs.partial_frames import MissingPart, missing_parts
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
from runs.transform_columns import frame_columns, row_columns, transforms_of, with_survival, with_transformed
from scoring.baselines.table import ORACLE
from scoring.costs import FrameCost
from scoring.flip_threshold import THRESHOLD_DEPTH
from scoring.records import UNKNOWN, FlipThreshold, FrameVerdict, MetricValue, Row, TransformedVerdict, tidy

BATCH = 2000
"""Frames read at a time: with every published baseline about a million rows."""
QUERIES, NES = "queries", "nes"

QUERIES_SINCE = 4
"""The format of runs since which rows say queries (`runs.configuration.FORMAT`); NES needed its forwards before."""

COLUMN_SCHEMAS: Mapping[type, ColumnSchema] = {
    FrameVerdict: FRAMES,
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
        flip_thresholds: how much it takes to flip each frame, with the queries that an attack needed.
        metrics: the values of the standard metrics.
        costs: forwards, calls and seconds by frame and stage.
        frames: the verdict and the adversarial image of each frame, and whether anything flips it (`runs.frame_table`).
        files: the tidy tables that were written, those of the costs apart.
        missing: what of the frames failed while the rest of each was scored.
    """

    scores: ScoreTable
    flip_thresholds: ScoreTable
    metrics: ScoreTable
    costs: ScoreTable
    frames: ScoreTable
    files: tuple[Path, ...]
    missing: tuple[MissingPart, ...] = ()


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """All records of some frames.

    Attributes:
        keys: of the frames.
        tables: their records by kind; those of `FrameVerdict` as lines, none where no verdict was kept.
        lines: of the frames (`runs.frame_table.frame_lines`), also where no verdict was kept.
        missing: what of them failed while the rest was scored.
    """

    keys: Sequence[str]
    tables: dict[type, pd.DataFrame]
    lines: pd.DataFrame
    missing: tuple[MissingPart, ...]


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
    transforms = transforms_of(configuration)
    flags = {Row: row_columns(transforms), FrameVerdict: frame_columns(transforms)}
    builders = {
        kind: ScoreTableBuilder(schema.with_flags(flags.get(kind, ())), pd.Index(keys), space)
        for kind, schema in COLUMN_SCHEMAS.items()
    }
    files: list[Path] = []
    missing: list[MissingPart] = []
    with contextlib.ExitStack() as stack:
        write: TableWriter | None = None
        for batch in read_batches(folder, configuration, keys):
            missing += batch.missing
            if name is not None and write is None:  # from the first frames follows how many rows there will be
                rows = len(batch.tables[Row]) * len(keys) // len(batch.keys)
                classes = class_names(configuration)
                write = stack.enter_context(row_files(folder.path, name, rows, files, classes, transforms))
            if write is not None:
                write(batch.tables)
            for kind, table in (batch.tables | {FrameVerdict: batch.lines}).items():
                builders[kind].add(_prepared(kind, table), pd.Index(batch.keys))
    scores = {kind: builder.score_table() for kind, builder in builders.items()}
    return Gathered(
        scores=scores[Row],
        flip_thresholds=scores[FlipThreshold],
        metrics=scores[MetricValue],
        costs=scores[FrameCost],
        frames=scores[FrameVerdict],
        files=tuple(files),
        missing=tuple(missing),
    )


def read_batches(folder: RunFolder, configuration: Mapping[str, Any], keys: Sequence[str]) -> Iterator[FrameBatch]:
    """Reads finished frames, BATCH at a time, in the order of `keys`.

    Args:
        folder: the run's.
        configuration: what config.json holds.
        keys: of the finished frames.

    Raises:
        InputError: a frame is not there, or its file is damaged.
    """
    transforms = transforms_of(configuration)
    for start in range(0, len(keys), BATCH):
        batch = list(keys[start : start + BATCH])
        tables = {kind: parquet_records.to_frame(table) for kind, table in folder.tables(batch).items()}
        transformed = tables.pop(TransformedVerdict)
        tables[Row] = with_survival(tables[Row], transformed, transforms)
        missing = tuple(missing_parts(tables[FrameVerdict]))
        lines = frame_lines(tables[FrameVerdict], tables[Row], tables[FlipThreshold], tables[FrameCost])
        lines = with_transformed(lines, transformed, transforms)
        tables[FrameVerdict] = lines if len(tables[FrameVerdict]) else lines.iloc[:0]
        asked = queries(tables[Row], configuration)
        tables[FlipThreshold] = pd.concat([tables[FlipThreshold], asked], ignore_index=True)
        yield FrameBatch(batch, tables, lines, missing)


def _prepared(kind: type, table: pd.DataFrame) -> pd.DataFrame:
    """A table of records for a score table."""
    return table if kind is FrameVerdict else numbered(table) if kind is FrameCost else tidy(table)


def queries(rows: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """Flip thresholds in queries: what an attacker without gradients asked, on the three best segments or the frame.

    They are taken from the rows of one attack, NES where it is among them, else the first whose queries are known; a
    frame that did not flip is censored at the queries that its attack took. The oracle's are the fewest of any ranking
    of the frame, as its other flip thresholds are: the region that does the most may take longer to flip than another.
    """
    chosen = _of_main_condition(rows, configuration)
    chosen = chosen[(chosen["predicted"] != REAL) & chosen["depth"].isin((THRESHOLD_DEPTH, "all"))]
    asked = chosen["queries"]
    if configuration.get("format", FORMAT) < QUERIES_SINCE:
        asked = chosen["forwards"].where(chosen["attack"].isin(_of_nes(configuration)), UNKNOWN)
    chosen = chosen[chosen["attack"] == _counted(chosen["attack"], asked, configuration)]
    shared = [
        field for field in npy_records.column_names(FlipThreshold) if field not in ("measure", "value", "reached")
    ]
    asked_of = chosen[shared].assign(
        measure=QUERIES,
        value=asked[chosen.index].astype(float),
        reached=chosen["flipped_to_real"].astype(bool),
    )
    return _with_fewest(asked_of)


def _with_fewest(thresholds: pd.DataFrame) -> pd.DataFrame:
    """The thresholds with the lowest of each trial as the oracle's: of those that flip, or where none does, of all."""
    trial = ["key", "seed", "segmentation"]
    best = thresholds.sort_values(["reached", "value"], ascending=[False, True]).drop_duplicates(trial)
    best = best.set_index(trial)[["value", "reached"]]
    lowest = best.reindex(pd.MultiIndex.from_frame(thresholds[trial]))
    others = (thresholds["method"] != ORACLE).to_numpy()
    return thresholds.assign(
        value=thresholds["value"].where(others, lowest["value"].to_numpy()),
        reached=thresholds["reached"].where(others, lowest["reached"].to_numpy()),
    )


def _of_main_condition(rows: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the main budget on the main segments: by the configuration, as the first frame may lack either."""
    segmentations, budgets = configuration.get("segmentations"), configuration.get("budgets")
    if segmentations:
        rows = rows[rows["segmentation"] == segmentations[0]]
    rows = rows[rows["epsilon"] == float(budgets[0])] if budgets else rows
    return main_condition(rows) if len(rows) else rows


def _of_nes(configuration: Mapping[str, Any]) -> list[str]:
    """The names of the attacks that are NES."""
    attacks = configuration.get("attacks", {})
    return [name for name, settings in attacks.items() if settings.get("attack") == NES]


def _counted(attacks: pd.Series, asked: pd.Series, configuration: Mapping[str, Any]) -> str:
    """The attack whose queries are counted: of those of which all are known, NES, or the first; "" without one."""
    unknown = set(attacks[asked == UNKNOWN])
    named = [name for name in attack_names(configuration) if name not in unknown]
    return next((name for name in [*_of_nes(configuration), *named] if name in named), "")
