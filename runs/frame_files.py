"""The small files of finished frames: one for each kind of record, and one for the costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from common.console import warn
from common.errors import InputError
from common.files import stem, visible
from common.settings import from_json
from runs import json_records, npy_records
from runs.packed_frames import COSTS, FOLDERS, has
from runs.seals import Seals, checksums, in_words, require_one_scoring
from scoring.costs import Cost
from scoring.records import Row

Records = Mapping[type, np.ndarray]
"""The records of a scored frame by kind, as `runs.npy_records.to_array` makes them."""


class FrameFiles:
    """The frames of a run that have files of their own, each sealed."""

    def __init__(self, path: Path, seals: Seals) -> None:
        self._path, self._seals = path, seals

    def file(self, kind: type, key: str) -> Path:
        """The file of a frame's records of one kind."""
        return self._path / FOLDERS[kind] / f"{stem(key)}.npy"

    def costs_file(self, key: str) -> Path:
        """The file of a frame's costs."""
        return self._path / COSTS / f"{stem(key)}.json"

    def keys(self) -> list[str]:
        """The frames with rows, by the name of their files. Raises InputError where such a file is damaged."""
        files = sorted(visible(self._path / FOLDERS[Row], "*.npy"))
        arrays = (npy_records.load_records(file, Row, self._seals) for file in files)
        return [key for rows in arrays for key in dict.fromkeys(rows["key"].tolist())]

    def save(self, key: str, records: Mapping[type, Sequence[Any]], costs: Sequence[Cost]) -> None:
        """Writes a frame's records, a list of each kind, and its costs; its rows last.

        Those of an earlier time go first, so that they never stand beside what else is of this one.
        """
        self.file(Row, key).unlink(missing_ok=True)
        self.save_costs(key, costs)
        for kind in (kind for kind in FOLDERS if kind in records or has(self._seals, kind)):
            array = npy_records.to_array(kind, records.get(kind, ()))
            beside = checksums(self._beside(key)) if kind is Row else None
            npy_records.save_records(self.file(kind, key), array, self._seals, beside)

    def _beside(self, key: str) -> dict[str, Path]:
        """The files that belong to a frame's rows, its costs aside, by their folders."""
        return {folder: self.file(kind, key) for kind, folder in FOLDERS.items() if kind is not Row}

    def save_costs(self, key: str, costs: Sequence[Cost]) -> None:
        """Writes a frame's costs."""
        json_records.save_records(self.costs_file(key), [asdict(cost) for cost in costs], self._seals)

    def remove(self, key: str) -> None:
        """Removes a frame's files, its rows first."""
        for kind in reversed(list(FOLDERS)):
            self.file(kind, key).unlink(missing_ok=True)
        self.costs_file(key).unlink(missing_ok=True)

    def whole(self, key: str) -> Records | None:
        """The records of a frame; None where it has no rows, or, with a warning, where not all its files are whole."""
        if not self.file(Row, key).exists():
            return None
        try:
            records = {kind: self._load(kind, key) for kind in FOLDERS}
            if not len(records[Row]):
                raise InputError(f"{self.file(Row, key)} holds no row")
            require_one_scoring(self.file(Row, key), self._beside(key))
            if self._seals.required:
                self._load_costs(key)
        except (InputError, FileNotFoundError) as error:
            warn(f"{in_words(error)}; the frame is left out until the run's command has scored it again")
            return None
        return records

    def costs(self, key: str) -> list[Cost]:
        """The costs of a frame; none where they are not known, and with a warning where their file is damaged."""
        try:
            return self._load_costs(key)
        except FileNotFoundError:
            return []
        except InputError as error:
            warn(f"{error}; these costs count as not measured")
            return []

    def _load(self, kind: type, key: str) -> np.ndarray:
        path = self.file(kind, key)
        if not path.exists() and not has(self._seals, kind):
            return npy_records.to_array(kind, [])
        array = npy_records.load_records(path, kind, self._seals)
        if set(array["key"].tolist()) - {key}:
            raise InputError(f"{path} does not hold the {npy_records.kind_name(kind)} of {key!r}")
        return array

    def _load_costs(self, key: str) -> list[Cost]:
        path = self.costs_file(key)
        costs = json_records.load_records(path, self._seals)[json_records.RECORDS]
        try:
            return [from_json(Cost, cost, "a cost") for cost in costs]
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} does not hold costs ({error})") from error
