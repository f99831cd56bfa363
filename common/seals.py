"""Seals: what a file says of itself, so that damage shows that keeps its length, and a copy under another name.

A seal is a short JSON text in the file: behind the array of an NPY file, among the metadata of a Parquet file, last in
a JSON file. Its SHA-256 is that of the whole file, with zeros where it stands itself, so that no byte is left out.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import InputError

_START, _ZEROS = '{"sealed": ', "0" * 64


def blank(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """The seal of a file, with what else it says, its checksum still zeros; to stand in it as JSON, for `closed`."""
    return {"sealed": path.stem, **said, "sha256": _ZEROS}


def closed(content: bytes) -> bytes:
    """A file's content with a blank seal in it, the checksum in its place."""
    at = content.rfind(_ZEROS.encode())
    if at < 0:
        raise ValueError("the content has no blank seal")
    return content[:at] + _digest(content, at).encode() + content[at + len(_ZEROS) :]


def seal_in(path: Path, content: bytes) -> dict[str, Any] | None:
    """What the seal in a file's content says, compared with nothing; None where there is none.

    Raises InputError where it is none that can be read.
    """
    start = content.rfind(_START.encode())
    if start < 0:
        return None
    try:
        found: dict[str, Any] = json.JSONDecoder().raw_decode(content[start:].decode(errors="replace"))[0]
    except (ValueError, RecursionError) as error:
        raise unreadable(path) from error
    return found


def opened(path: Path, content: bytes) -> dict[str, Any] | None:
    """What the seal in a file's content says, or None where it has none.

    Raises InputError where the content is not what was sealed, or of a file of another name.
    """
    seal = seal_in(path, content)
    if seal is None:
        return None
    try:
        name, checksum = seal["sealed"], str(seal["sha256"]).encode()
    except (ValueError, KeyError) as error:
        raise unreadable(path) from error
    at = content.rfind(checksum)
    if len(checksum) != len(_ZEROS) or _digest(content, at).encode() != checksum:
        raise InputError(f"{path} is damaged: its checksum does not fit")
    if name != path.stem:
        raise InputError(f"{path} is a copy of {name}{path.suffix}")
    return seal


def unreadable(path: Path) -> InputError:
    """The error of a seal that does not say what it should."""
    return InputError(f"{path} is damaged: its checksum cannot be read")


def _digest(content: bytes, at: int) -> str:
    """The SHA-256 of a content with zeros for the checksum at this place."""
    digest = hashlib.sha256(memoryview(content)[:at])
    digest.update(_ZEROS.encode())
    digest.update(memoryview(content)[at + len(_ZEROS) :])
    return digest.hexdigest()
