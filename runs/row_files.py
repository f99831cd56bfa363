"""The tidy tables of a run, a row for each record: CSV and NPY, or Parquet where there are too many rows for these."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import pandas as pd
import pyarrow as pa

from common.console import say
from common.csv_files import save_csv
from runs import frame_table, npy_records, parquet_records
from runs.partial_frames import MissingPart
from runs.transform_columns import row_columns, row_kind
from scoring.costs import Cost, FrameCost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row, tidy

MOST_ROWS = 500_000
"""Rows of a run that go to CSV and NPY: half a gigabyte as NPY, and half of what a spreadsheet can open.

With more, every such table is a Parquet file: a fraction of the size, and never in memory as a whole."""

NAMES: Mapping[type, str] = {
    FrameVerdict: "frames",
    FlipThreshold: "grades_{}",
    MetricValue: "metrics_{}",
    Row: "rows_{}",
    FrameCost: "costs",
}
"""What the table of each kind is called; a kind without a record has none, costs apart."""

RecordTables = Mapping[type, pd.DataFrame]
TableWriter = Callable[[RecordTables], None]
"""Takes the records of the next frames, by kind; those of `FrameVerdict` as `runs.frame_table.frame_lines`."""


def row_files(
    folder: Path,
    name: str,
    rows: int,
    files: list[Path],
    classes: Sequence[str] = (),
    transforms: Sequence[str] = (),
) -> contextlib.AbstractContextManager[TableWriter]:
    """Writes the tidy tables of a run, each whole or not at all, once all records were taken.

    Those in the other format, of a run that has grown or shrunk, are removed.

    Args:
        folder: the run's, where the tables go.
        name: what they are called after.
        rows: about how many rows of scores there are; more than MOST_ROWS are written as Parquet.
        files: gets the paths of the tables that were written, those of the costs apart.
        classes: of the detector, in the order of its logits.
        transforms: the names of those that the run asks for, whose columns the rows and frames have
            (`runs.transform_columns`).
    """
    if rows <= MOST_ROWS:
        return _plain(folder, name, files, classes, transforms)
    say(f"About {rows:,} rows: more than {MOST_ROWS:,}, so tables of rows are Parquet files instead of CSV and NPY.")
    return _columns(folder, name, files, classes, transforms)


@contextlib.contextmanager
def _plain(
    folder: Path, name: str, files: list[Path], classes: Sequence[str], transforms: Sequence[str]
) -> Iterator[TableWriter]:
    taken: list[RecordTables] = []
    yield taken.append
    for kind, pattern in NAMES.items():
        path = folder / f"{pattern.format(name)}.csv"
        table = pd.concat([tables[kind] for tables in taken], ignore_index=True)
        if kind is FrameCost:
            _costs(path, table)
        elif kind is FrameVerdict:
            _frames(path, frame_table.shown(table, classes, transforms) if len(table) else table, files)
        elif len(table):
            save_csv(path, tidy(table))
            files.append(path)
        if kind is Row:
            files.append(folder / f"results_{name}.npy")
            npy_records.save_records(files[-1], npy_records.array_of_table(row_kind(transforms), table))
        path.with_suffix(".parquet").unlink(missing_ok=True)


@contextlib.contextmanager
def _columns(
    folder: Path, name: str, files: list[Path], classes: Sequence[str], transforms: Sequence[str]
) -> Iterator[TableWriter]:
    schemas = {kind: parquet_records.schema(kind) for kind in NAMES}
    schemas[FrameVerdict] = frame_table.columns(classes, transforms)
    for column in row_columns(transforms):
        schemas[Row] = schemas[Row].append(pa.field(column, pa.bool_()))
    paths = {kind: folder / f"{pattern.format(name)}.parquet" for kind, pattern in NAMES.items()}
    has_rows = dict.fromkeys(NAMES, False)
    with contextlib.ExitStack() as stack:
        writers = {
            kind: stack.enter_context(parquet_records.writing(path, schemas[kind])) for kind, path in paths.items()
        }

        def take(records: RecordTables) -> None:
            for kind, table in records.items():
                if len(table):
                    ready = frame_table.shown(table, classes, transforms) if kind is FrameVerdict else tidy(table)
                    writers[kind].add(parquet_records.of_frame(schemas[kind], ready))
                has_rows[kind] = has_rows[kind] or len(table) > 0

        yield take
    for kind, path in paths.items():
        if not has_rows[kind]:
            path.unlink()
        elif kind is not FrameCost:
            files.append(path)
        path.with_suffix(".csv").unlink(missing_ok=True)
    (folder / f"results_{name}.npy").unlink(missing_ok=True)


def write_costs(folder: Path, costs: Mapping[str, Sequence[Cost]]) -> None:
    """Writes the costs of each stage of each frame; those of an adversarial method include its image's."""
    frame_costs = [(key, *astuple(cost)) for key, stages in costs.items() for cost in stages]
    _costs(folder / "costs.csv", pd.DataFrame(frame_costs, columns=list(npy_records.column_names(FrameCost))))


def _frames(path: Path, table: pd.DataFrame, files: list[Path]) -> None:
    """Writes the lines of all frames, the file's last column their seconds; none where no verdict was kept."""
    if not len(table):
        path.unlink(missing_ok=True)
        return
    save_csv(path, table.assign(seconds=table["seconds"].map("{:.3f}".format, na_action="ignore")))
    files.append(path)


def _costs(path: Path, table: pd.DataFrame) -> None:
    save_csv(path, table.assign(seconds=table["seconds"].map("{:.3f}".format)))


def write_failures(folder: Path, failures: Mapping[str, str], missing: Sequence[MissingPart] = ()) -> None:
    """Writes the frames that could not be scored, with the reason, and below them what others are missing."""
    lines = [(key, "", reason) for key, reason in failures.items()] + [astuple(part) for part in missing]
    save_csv(folder / "failures.csv", pd.DataFrame(lines, columns=["key", "stage", "reason"]))
