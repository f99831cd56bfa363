"""Seals: what a record file says of itself, so that damage shows that keeps its length, and records of another run.

A seal is a short JSON text in the file: behind the array of an NPY file, among the metadata of a Parquet file, last in
a JSON file. Its SHA-256 is that of the whole file, with zeros where it stands itself, so that no byte is left out.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from common.console import count
from common.errors import InputError
from common.files import parse_json, read_file
from runs.configuration import FORMAT

SINCE = 5
"""The format of runs since which record files are sealed (`runs.configuration.FORMAT`)."""

_START, _ZEROS = '{"sealed": ', "0" * 64


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
        """The seal of a file of so many rows, its checksum still zeros; to stand in it as JSON, for `closed`.

        `beside` are the checksums of the files that were written with it (`checksums`), where there are some.
        """
        known = {"beside": dict(beside)} if beside else {}
        return {"sealed": path.stem, "rows": rows, "configuration": self.configuration, **known, "sha256": _ZEROS}

    def check(self, path: Path, content: bytes) -> int | None:
        """How many rows a record file's content says it has; None where it has no seal and needs none.

        Raises InputError where the content is not what was sealed, or of another file or configuration.
        """
        seal = _seal_in(path, content)
        if seal is None:
            if self.required:
                raise InputError(f"{path} has no checksum: it is damaged, or of an earlier version")
            return None
        try:
            name, rows, made_with, checksum = seal["sealed"], seal["rows"], seal["configuration"], str(seal["sha256"])
        except KeyError as error:
            raise InputError(f"{path} is damaged: its checksum cannot be read") from error
        at = content.rfind(checksum.encode())
        if len(checksum) != len(_ZEROS) or _digest(content, at) != checksum:
            raise InputError(f"{path} is damaged: its checksum does not fit")
        if name != path.stem:
            raise InputError(f"{path} is a copy of {name}{path.suffix}")
        if made_with != self.configuration:
            raise InputError(f"{path} was made with another configuration than the run's config.json holds")
        return int(rows)


def checksums(folders: Mapping[str, Path]) -> dict[str, str]:
    """The checksums in the seals of files that are there and sealed, by the names that they are given by."""
    seals = {name: _seal_in(path, read_file(path)) for name, path in folders.items() if path.exists()}
    return {name: str(seal["sha256"]) for name, seal in seals.items() if seal}


def require_one_scoring(path: Path, beside: Mapping[str, Path]) -> None:
    """Raises InputError where a file was not written with those beside it; all were checked before.

    Nothing is known of files of earlier versions.
    """
    written_with = (_seal_in(path, read_file(path)) or {}).get("beside")
    if written_with is None:
        return
    found = checksums(beside)
    for name in beside:
        if found.get(name) != written_with.get(name):
            raise InputError(f"{beside[name]} is of another scoring than {path}")


def _seal_in(path: Path, content: bytes) -> dict[str, Any] | None:
    """The seal in a file's content; None where there is none. Raises InputError where it is none that can be read."""
    start = content.rfind(_START.encode())
    if start < 0:
        return None
    try:
        found: dict[str, Any] = json.JSONDecoder().raw_decode(content[start:].decode(errors="replace"))[0]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: its checksum cannot be read") from error
    return found


def closed(content: bytes) -> bytes:
    """A file's content with a blank seal in it, the checksum in its place."""
    at = content.rfind(_ZEROS.encode())
    if at < 0:
        raise ValueError("the content has no blank seal")
    return content[:at] + _digest(content, at).encode() + content[at + len(_ZEROS) :]


def in_words(error: InputError | FileNotFoundError) -> str:
    """What is wrong with a record file."""
    return f"{error.filename} is gone" if isinstance(error, FileNotFoundError) else str(error)


def require_rows(path: Path, found: int, sealed: int | None) -> None:
    """Raises InputError where a file has other than its sealed number of rows; None is any."""
    if sealed is not None and found != sealed:
        raise InputError(f"{path} is damaged: it has {count(found, 'row')} of {sealed}")


def _digest(content: bytes, at: int) -> str:
    """The SHA-256 of a content with zeros for the checksum at this place."""
    digest = hashlib.sha256(memoryview(content)[:at])
    digest.update(_ZEROS.encode())
    digest.update(memoryview(content)[at + len(_ZEROS) :])
    return digest.hexdigest()
