"""Flat dataclasses as structured arrays and NPY files: read back exactly as they were, or not at all."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from common.errors import InputError
from common.files import atomic_write

_CODES = {int: "<i8", float: "<f8", bool: "?"}


def names(kind: type) -> tuple[str, ...]:
    """The columns of a dataclass whose fields are str, int, float and bool."""
    return tuple(field.name for field in fields(kind))


def to_array(kind: type, records: Sequence[Any]) -> np.ndarray:
    """The records of one kind as a structured array; its texts are as wide as the longest needs: nothing is cut.

    Raises InputError for a text that cannot be kept so (one that ends with a null character).
    """
    values = [astuple(record) for record in records]
    columns = dict(zip(names(kind), zip(*values, strict=True), strict=True)) if values else {}
    array = np.array(
        values, dtype=[(field.name, _code(field.type, columns.get(field.name, ()))) for field in fields(kind)]
    )
    if [tuple(item) for item in array.tolist()] != values:
        raise InputError(f"frame {records[0].key!r}: its name or its video's cannot be stored; rename it")
    return array


def stack(kind: type, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Several such arrays as one, wide enough for all."""
    return np.concatenate(arrays) if arrays else to_array(kind, [])


def save(path: str | Path, array: np.ndarray) -> None:
    """Writes an array as NPY without pickle, whole or not at all."""
    with atomic_write(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def load(path: str | Path, kind: type) -> np.ndarray:
    """Reads what `save` wrote of that kind. Raises InputError where the file is truncated or holds something else."""
    try:
        with open(path, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TokenError) as error:  # a header is read as a Python literal
        raise InputError(f"{path} is not readable as {kind.__name__.lower()}s of scores ({error})") from error
    if array.dtype.names != names(kind):
        raise InputError(f"{path} does not hold {kind.__name__.lower()}s of scores of this version")
    return array


def _code(kind: Any, texts: Sequence[str]) -> str:
    return f"<U{max(1, *map(len, texts))}" if kind is str and texts else "<U1" if kind is str else _CODES[kind]
