"""The one way a table becomes a CSV file."""

from pathlib import Path

import pandas as pd

from common.files import atomic_write


def save_csv(path: Path, table: pd.DataFrame, float_format: str | None = None, index: bool = False) -> None:
    """Writes a table, whole or not at all.

    Args:
        path: the file; missing parent folders are made.
        table: what is written, with a header of its column names.
        float_format: the printf format of a float, such as "%.6g"; None writes every digit that it needs.
        index: whether the table's index comes first, as columns.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with atomic_write(path) as file:
        table.to_csv(file, index=index, float_format=float_format, lineterminator="\n")
