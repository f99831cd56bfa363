"""The seals of a run's record files (`common.seals`), by which damage shows, and records of another run."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from common.console import count
from common.errors import InputError
from common.files import parse_json, read_file
from common.seals import blank, opened, seal_in, unreadable
from runs.configuration import FORMAT

SINCE = 5
"""The format of runs since which record files are sealed (`runs.configuration.FORMAT`)."""


class Seals:
    """The seals of one run, whose config.json is read when the first is asked for; without one, of no configuration.

    A process that writes into the run says what it is bound to (`bind`), and seals that, whatever becomes of the file.
    Every property and method raises InputError where config.json is not readable.
    """

    def __init__(self, config: Path) -> None:
        self._config = config

    @cached_property
    def _stored(self) -> Any:
        try:
            return parse_json(read_file(self._config).decode())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InputError(f"{self._config} is not readable ({error})") from error

    def bind(self, stored: Any) -> None:
        """Takes what config.json was found to hold, once and for all."""
        self._stored = stored
        self.__dict__.pop("configuration", None)

    def require_unchanged(self) -> None:
        """Raises InputError where config.json is gone or holds another configuration by now."""
        if Seals(self._config).configuration != self.configuration:
            raise InputError(
                f"{self._config} changed while the run was at work: the folder is another run's by now, and nothing "
                "more is written there; put back what was there, and the same command goes on"
            )

    @cached_property
    def configuration(self) -> str:
        """The SHA-256, in hexadecimal, of what config.json holds, whatever its layout."""
        return hashlib.sha256(json.dumps(self._stored, sort_keys=True).encode()).hexdigest()

    @property
    def format(self) -> int:
        """The format of the run; the present one where config.json says none."""
        made = self._stored.get("format") if isinstance(self._stored, dict) else None
        return made if isinstance(made, int) else FORMAT

    @property
    def survives(self) -> bool:
        """Whether the run asks which transforms its flips outlive."""
        return isinstance(self._stored, dict) and bool(self._stored.get("survives"))

    @property
    def required(self) -> bool:
        """Whether a record file without a seal is refused: not in a run that is older than seals."""
        return self.format >= SINCE

    def blank(self, path: Path, rows: int, beside: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The seal of a file of so many rows, its checksum still zeros; to stand in it as JSON.

        `beside` are the checksums of the files that were written with it (`checksums`), where there are some.
        """
        known = {"beside": dict(beside)} if beside else {}
        return blank(path, {"rows": rows, "configuration": self.configuration, **known})

    def check(self, path: Path, content: bytes) -> int | None:
        """How many rows a record file's content says it has; None where it has no seal and needs none.

        Raises InputError where the content is not what was sealed, or of another file or configuration.
        """
        seal = opened(path, content)
        if seal is None:
            if self.required:
                raise InputError(f"{path} has no checksum: it is damaged, or of an earlier version")
            return None
        try:
            rows, made_with = int(seal["rows"]), seal["configuration"]
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(path) from error
        if made_with != self.configuration:
            raise InputError(f"{path} was made with another configuration than the run's config.json holds")
        return rows


def checksums(folders: Mapping[str, Path]) -> dict[str, str]:
    """The checksums in the seals of files that are there and sealed, by the names that they are given by."""
    seals = {name: seal_in(path, read_file(path)) for name, path in folders.items() if path.exists()}
    return {name: str(seal["sha256"]) for name, seal in seals.items() if seal}


def require_one_scoring(path: Path, beside: Mapping[str, Path]) -> None:
    """Raises InputError where a file was not written with those beside it; all were checked before.

    Nothing is known of files of earlier versions.
    """
    written_with = (seal_in(path, read_file(path)) or {}).get("beside")
    if written_with is None:
        return
    found = checksums(beside)
    for name in beside:
        if found.get(name) != written_with.get(name):
            raise InputError(f"{beside[name]} is of another scoring than {path}")


def in_words(error: InputError | FileNotFoundError) -> str:
    """What is wrong with a record file."""
    return f"{error.filename} is gone" if isinstance(error, FileNotFoundError) else str(error)


def require_rows(path: Path, found: int, sealed: int | None) -> None:
    """Raises InputError where a file has other than its sealed number of rows; None is any."""
    if sealed is not None and found != sealed:
        raise InputError(f"{path} is damaged: it has {count(found, 'row')} of {sealed}")
