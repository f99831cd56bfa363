"""The one way a table becomes a CSV file."""

from pathlib import Path

import pandas as pd

from common.files import atomic_write


def save_csv(path: Path, table: pd.DataFrame, float_format: str | None = None, index: bool = False) -> None:
    """Writes a table, whole or not at all; without its index unless that is asked for. Raises OSError."""
    with atomic_write(path) as file:
        table.to_csv(file, index=index, float_format=float_format, lineterminator="\n")
