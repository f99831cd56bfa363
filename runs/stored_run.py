"""A run as it lies on disk: its configuration, and the scores and flip thresholds of every finished frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.console import warn
from common.errors import InputError
from common.files import parse_json, read_file
from runs.drift import drift_in_words
from runs.earlier_names import renamed_settings
from runs.gathering import gather
from runs.run_folder import RunFolder
from runs.score_table import ScoreTable


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run read from its folder.

    Attributes:
        path: the folder.
        configuration: what is in config.json.
        rows: the scores of all finished frames, whether each has files of its own or lies with others in parts.
        flip_thresholds: how much it takes to flip each frame; likewise.
        frames: what is known of each frame (`runs.frame_table`); likewise.
    """

    path: Path
    configuration: dict[str, Any]
    rows: ScoreTable
    flip_thresholds: ScoreTable
    frames: ScoreTable

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name


def read_stored_run(path: Path) -> StoredRun:
    """Reads a run. Raises InputError where `path` is not one, has no finished frame, or holds what no run wrote."""
    configuration = read_configuration(path)
    folder = RunFolder(path)
    folder.require_folders()
    keys = folder.keys()
    if not keys:
        raise InputError(f"{path} has no finished frame yet")
    if drift := drift_in_words(folder):
        warn(f"{path}: {drift}")
    gathered = gather(folder, configuration, keys)
    return StoredRun(path, configuration, gathered.scores, gathered.flip_thresholds, gathered.frames)


def read_configuration(path: Path) -> dict[str, Any]:
    """What a run's config.json holds, by today's names. Raises InputError where `path` is not a run's folder."""
    config = path / "config.json"
    try:
        configuration = parse_json(read_file(config).decode())
    except FileNotFoundError as error:
        raise InputError(f"{path} is not the folder of a run: it has no config.json") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{config} is not readable ({error})") from error
    if not isinstance(configuration, dict):
        raise InputError(f"{config} does not hold a run's configuration")
    return renamed_settings(configuration)
