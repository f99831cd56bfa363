"""The one way tables become CSV files, in which every text stays a text, whatever program opens them.

A spreadsheet takes a cell that begins with one of `=+-@` for a formula and computes it; names of files may begin so.
Such a text is written with an apostrophe before it, which `as_read` takes away.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from common.files import atomic_write

_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # with apostrophes that are the text's own, so that each has one way back


def as_written(value: Any) -> Any:
    """A cell as it stands in a CSV file: a text that a spreadsheet would compute gets an apostrophe before it.

    Numbers stay as they are; one whose digits are chosen is given as a `decimal.Decimal`.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def as_read(cell: str) -> str:
    """The text that a cell stands for, as `as_written` wrote it; one that others wrote without apostrophe is itself."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def save_csv(path: Path, table: pd.DataFrame, float_format: str | None = None, index: bool = False) -> None:
    """Writes a table, whole or not at all, its texts as `as_written`.

    Args:
        path: the file; missing parent folders are made.
        table: what is written, with a header of its column names.
        float_format: the printf format of a float, such as "%.6g"; None writes every digit that it needs.
        index: whether the table's index comes first, as columns.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    shown = table.reset_index() if index else table
    names = [as_written(name) for name in shown.columns]
    if index and table.index.name is None:
        names[0] = ""
    shown = pd.DataFrame({at: _written(shown.iloc[:, at]) for at in range(len(names))}, index=shown.index)
    with atomic_write(path) as file:
        shown.to_csv(file, index=False, header=names, float_format=float_format, lineterminator="\n")


def save_rows(path: str | Path, rows: Iterable[Sequence[Any]], separator: str = ",") -> None:
    """Writes rows, the header first, whole or not at all, their texts as `as_written`; None is an empty cell.

    Raises OSError where the folder cannot be written, or the disk is full.
    """
    with atomic_write(path) as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([as_written(cell) for cell in row] for row in rows)


def save_records(path: str | Path, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Writes records, a row each, under a header of their columns; otherwise as `save_rows`."""
    save_rows(path, [columns, *([record.get(name) for name in columns] for record in records)])


def _written(column: pd.Series) -> pd.Series:
    """A column with its texts as they are written; the very same where all of them are harmless."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column
    changed = {text: as_written(text) for text in column.dropna().unique() if as_written(text) is not text}
    return column.astype(object).map(lambda value: changed.get(value, value)) if changed else column
