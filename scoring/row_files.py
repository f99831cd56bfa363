"""The tidy tables of a run, a row for each record: CSV and NPY, or Parquet where there are too many rows for these."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import pandas as pd

from common.console import say
from scoring import parts, records
from scoring.costs import Cost, Spent
from scoring.csv_files import save_csv
from scoring.rows import Grade, Measured, Row, tidy

MOST_ROWS = 500_000
"""Rows of a run that go to CSV and NPY: half a gigabyte as NPY, and half of what a spreadsheet can open.

With more, every such table is a Parquet file: a fraction of the size, and never in memory as a whole."""

NAMES: Mapping[type, str] = {Grade: "grades_{}", Measured: "metrics_{}", Row: "rows_{}", Spent: "costs"}
"""What the table of each kind is called; a kind without a record has none, costs apart."""

Found = Mapping[type, pd.DataFrame]
Take = Callable[[Found], None]
"""Takes the records of the next frames, by kind."""


def row_files(folder: Path, name: str, rows: int, files: list[Path]) -> contextlib.AbstractContextManager[Take]:
    """Writes the tidy tables of a run of about so many rows, each whole or not at all, once all records were taken.

    They are called after `name`; `files` gets those to look at. Those in the other format, of a run that has grown or
    shrunk, are removed.
    """
    if rows <= MOST_ROWS:
        return _plain(folder, name, files)
    say(f"About {rows:,} rows: more than {MOST_ROWS:,}, so tables of rows are Parquet files instead of CSV and NPY.")
    return _columns(folder, name, files)


@contextlib.contextmanager
def _plain(folder: Path, name: str, files: list[Path]) -> Iterator[Take]:
    taken: list[Found] = []
    yield taken.append
    for kind, pattern in NAMES.items():
        path = folder / f"{pattern.format(name)}.csv"
        table = pd.concat([each[kind] for each in taken], ignore_index=True)
        if kind is Spent:
            _costs(path, table)
        elif len(table):
            save_csv(path, tidy(table))
            files.append(path)
        if kind is Row:
            files.append(folder / f"results_{name}.npy")
            records.save(files[-1], records.of_table(kind, table))
        path.with_suffix(".parquet").unlink(missing_ok=True)


@contextlib.contextmanager
def _columns(folder: Path, name: str, files: list[Path]) -> Iterator[Take]:
    paths = {kind: folder / f"{pattern.format(name)}.parquet" for kind, pattern in NAMES.items()}
    some = dict.fromkeys(NAMES, False)
    with contextlib.ExitStack() as stack:
        writers = {kind: stack.enter_context(parts.writing(path, kind)) for kind, path in paths.items()}

        def take(found: Found) -> None:
            for kind, table in found.items():
                writers[kind].add(parts.of_frame(kind, tidy(table)))
                some[kind] = some[kind] or len(table) > 0

        yield take
    for kind, path in paths.items():
        if not some[kind]:
            path.unlink()
        elif kind is not Spent:
            files.append(path)
        path.with_suffix(".csv").unlink(missing_ok=True)
    (folder / f"results_{name}.npy").unlink(missing_ok=True)


def write_costs(folder: Path, costs: Mapping[str, Sequence[Cost]]) -> None:
    """Writes what each stage of each frame took; an adversarial method's include its image's."""
    spent = [(key, *astuple(cost)) for key, each in costs.items() for cost in each]
    _costs(folder / "costs.csv", pd.DataFrame(spent, columns=list(records.names(Spent))))


def _costs(path: Path, table: pd.DataFrame) -> None:
    save_csv(path, table.assign(seconds=table["seconds"].map("{:.3f}".format)))
