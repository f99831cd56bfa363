"""A run as it lies on disk: what was configured, and every row and grade that is finished."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import InputError
from common.files import parse_json
from scoring import records
from scoring.rows import Grade, Row, to_table


@dataclass(frozen=True, eq=False)
class Stored:
    """What a run's folder holds.

    Attributes:
        path: the folder.
        configuration: what is in config.json.
        rows: the tidy table of all finished frames, by the name of their files.
        grades: likewise.
    """

    path: Path
    configuration: dict[str, Any]
    rows: pd.DataFrame
    grades: pd.DataFrame

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name


def read(path: Path) -> Stored:
    """Reads a run. Raises InputError where `path` is not one, has no finished frame, or holds what no run wrote."""
    config = path / "config.json"
    try:
        configuration = parse_json(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is not the folder of a run: it has no config.json") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{config} is not readable ({error})") from error
    if not isinstance(configuration, dict):
        raise InputError(f"{config} does not hold a run's configuration")
    rows = _stacked(path / "frames", Row)
    if not len(rows):
        raise InputError(f"{path} has no finished frame yet")
    return Stored(path, configuration, rows, _stacked(path / "grades", Grade))


def _stacked(folder: Path, kind: type) -> pd.DataFrame:
    arrays = [records.load(file, kind) for file in sorted(folder.glob("*.npy"))]
    return to_table(records.stack(kind, arrays))
