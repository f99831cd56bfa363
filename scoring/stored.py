"""A run as it lies on disk: what was configured, and every row and grade that is finished."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import parse_json
from scoring.folder import Folder
from scoring.gathering import gather
from scoring.sheet import Sheet


@dataclass(frozen=True, eq=False)
class Stored:
    """What a run's folder holds.

    Attributes:
        path: the folder.
        configuration: what is in config.json.
        rows: the scores of all finished frames, whether each has files of its own or lies with others in parts.
        grades: likewise.
    """

    path: Path
    configuration: dict[str, Any]
    rows: Sheet
    grades: Sheet

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
    folder = Folder(path)
    keys = folder.keys()
    if not keys:
        raise InputError(f"{path} has no finished frame yet")
    gathered = gather(folder, configuration, keys)
    return Stored(path, configuration, gathered.scores, gathered.grades)
