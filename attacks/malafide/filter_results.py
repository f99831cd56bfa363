"""Where filters and their tests lie: FOLDER/<trained on>/<manipulation>/<filter>/, and what is in each file."""

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.console import say
from common.errors import InputError
from common.files import appending, atomic_write, parse_json, read_text, visible
from common.locks import LOCK, lock

FILTER, CONFIG, CHECKPOINT, TESTS = "filter.safetensors", "config.json", "last.ckpt", "tests"
FINISHED = "finished"
"""Where config.json keeps the SHA-256 of the filter that was finished there, and the time limit that it had.

Null while none was, and not there in earlier versions.
"""


@dataclass(frozen=True)
class FilterCell:
    """The folder of one filter: `root`/<trained on>/<manipulation>/<label>.

    Holds config.json (everything resolved, and once the filter is finished its SHA-256), filter.safetensors,
    history.csv (a row per epoch), last.ckpt (to resume from) and tests/<tested on>.json (`stored_tests`).
    """

    root: Path
    trained_on: str
    manipulation: str
    label: str

    @property
    def folder(self) -> Path:
        """The folder."""
        return self.root / self.trained_on / self.manipulation / self.label

    @property
    def filter(self) -> Path:
        """The filter's file."""
        return self.folder / FILTER

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.folder / CONFIG

    @property
    def history(self) -> Path:
        """The file with a row per epoch."""
        return self.folder / "history.csv"

    @property
    def checkpoint(self) -> Path:
        """The file to resume from."""
        return self.folder / CHECKPOINT


def tests_file(filter_path: Path, tested_on: str) -> Path:
    """The file of a filter's tests on a detector: beside the filter."""
    return filter_path.parent / TESTS / f"{tested_on}.json"


def find_filters(root: Path) -> list[Path]:
    """The filters under a folder, sorted. Raises InputError where there is none."""
    filters = sorted(visible(root, f"**/{FILTER}")) if root.is_dir() else []
    if not filters:
        raise InputError(f"{root}: no filter here; `python -m attacks malafide train --out {root}` makes them")
    return filters


def plain_name(name: str, option: str) -> str:
    """`name`, where a folder or file can be called so. Raises InputError, naming the option, where not."""
    if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*", name):
        raise InputError(f"{option} {name!r} names files: use letters, digits, '-', '_', '+' and '.'")
    return name


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises InputError where it cannot be read."""
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run the command that made it again") from error


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def bind_identity(path: Path, identity: Mapping[str, Any], free: Mapping[str, Any]) -> dict[str, Any] | None:
    """Writes what made a folder, or makes sure that it is the same; returns what was there.

    `identity` decides the results, `free` may change between calls; which filter was finished (`FINISHED`) stays.
    Raises InputError for an identity that differs.
    """
    before: dict[str, Any] | None = None
    wanted = json.loads(json.dumps(dict(identity)))
    if path.exists():
        before = read_json(path)
        if not isinstance(before, dict):
            raise InputError(f"{path} is damaged; remove its folder, or choose another --out")
        for key, value in wanted.items():
            if before.get(key) != value:
                raise InputError(
                    f"{path.parent} was made with {key}={_shown(before.get(key))}, not {_shown(value)}; give the same "
                    "options to continue it, or another place for the results (--out, --name or --run)"
                )
    finished = {FINISHED: None} if before is None else {key: before[key] for key in before if key == FINISHED}
    write_json(path, {**wanted, **free, **finished})
    return before


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time in a folder; others wait. Ends with the process, however."""
    folder.mkdir(parents=True, exist_ok=True)
    with appending(folder / LOCK) as file:
        if not lock(file):
            say(f"waiting for another process that works on {folder}")
            lock(file, patience=math.inf)
        yield


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:16]}...{text[-8:]}"
