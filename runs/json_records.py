"""Records in small JSON files of a run, each with its seal (`runs.seals`)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import atomic_write, parse_json, read_file
from common.seals import closed
from runs.seals import Seals, require_rows

RECORDS, SEAL = "records", "seal"


def save_records(
    path: Path,
    records: Sequence[Mapping[str, Any]],
    seals: Seals,
    beside: Mapping[str, Any] | None = None,
    first: bool = False,
) -> None:
    """Writes records as JSON, whole or not at all, with what else is to be kept `beside` them, by name.

    With `first`, a file that another process wrote by then stays.

    Raises OSError where the folder cannot be written.
    """
    content = {**(beside or {}), RECORDS: list(records), SEAL: seals.blank(path, len(records))}
    with atomic_write(path, "wb", first) as file:
        file.write(closed(json.dumps(content).encode()))


def load_records(path: Path, seals: Seals) -> dict[str, Any]:
    """What `save_records` wrote, by name, the records as "records"; a list that earlier versions wrote are records.

    Raises InputError where the file is damaged or of another run, FileNotFoundError where it is not there.
    """
    content = read_file(path)
    sealed = seals.check(path, content)
    try:
        stored = parse_json(content.decode())
    except ValueError as error:
        raise InputError(f"{path} is not readable ({error})") from error
    values = {RECORDS: stored} if isinstance(stored, list) else stored
    if not isinstance(values, dict) or not isinstance(values.get(RECORDS), list):
        raise InputError(f"{path} does not hold records")
    require_rows(path, len(values[RECORDS]), sealed)
    return values
