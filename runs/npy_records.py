"""Flat dataclasses as structured arrays and NPY files: read back exactly as they were, or not at all.

The files of a run end in a seal (`runs.seals`) behind the array, which `numpy.load` passes over.
"""

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, astuple, fields
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import pandas as pd

from common.errors import InputError
from common.files import atomic_write, read_file
from common.seals import closed
from runs.earlier_names import ADDED, renamed_columns
from runs.seals import Seals, require_rows

_CODES = {int: "<i8", float: "<f8", bool: "?"}
_DAMAGED = (ValueError, EOFError, SyntaxError, TokenError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What numpy raises for damaged bytes: it reads a header as a Python literal."""


def kind_name(kind: type) -> str:
    """What records of a kind are called in a message: "rows", "flip thresholds"."""
    return re.sub(r"(?<!^)([A-Z])", r" \1", kind.__name__).lower() + "s"


def column_names(kind: type) -> tuple[str, ...]:
    """The columns of a dataclass whose fields are str, int, float and bool."""
    return tuple(field.name for field in fields(kind))


def to_array(kind: type, records: Sequence[Any]) -> np.ndarray:
    """The records of one kind as a structured array; its texts are as wide as the longest needs: nothing is cut.

    Raises InputError for what cannot be kept so: a text that ends with a null character, a number that is NaN.
    """
    values = [astuple(record) for record in records]
    columns = dict(zip(column_names(kind), zip(*values, strict=True), strict=True)) if values else {}
    array = np.array(
        values, dtype=[(field.name, _code(field.type, columns.get(field.name, ()))) for field in fields(kind)]
    )
    for item, record in zip(array.tolist(), values, strict=True):
        if item != record:
            raise InputError(f"frame {records[0].key!r}: {_unkept(kind, item, record)}")
    return array


def _unkept(kind: type, kept: Sequence[Any], record: Sequence[Any]) -> str:
    """What of a record cannot be stored, and what to do."""
    name, value = next(
        (name, value) for name, now, value in zip(column_names(kind), kept, record, strict=True) if now != value
    )
    what = f"the {name} {value!r} of its {kind_name(kind)} cannot be stored"
    if isinstance(value, float):
        return f"{what}: it is no number; what computes it divides by zero, or loses it otherwise"
    return f"{what}: it ends in a null character; rename it"


def array_of_table(kind: type, table: pd.DataFrame) -> np.ndarray:
    """The records in a table, nothing in it missing, as a structured array as wide as its texts need."""
    columns = {field.name: table[field.name].to_numpy() for field in fields(kind)}
    columns |= {f.name: np.array(columns[f.name].tolist(), dtype=str) for f in fields(kind) if f.type is str}
    array = np.empty(len(table), dtype=[(f.name, _code(f.type, columns[f.name].tolist())) for f in fields(kind)])
    for name, values in columns.items():
        array[name] = values
    return array


def stack(kind: type, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Several such arrays as one, wide enough for all."""
    return np.concatenate(arrays) if arrays else to_array(kind, [])


def save_records(
    path: Path, array: np.ndarray, seals: Seals | None = None, beside: Mapping[str, str] | None = None
) -> None:
    """Writes an array as NPY without pickle, whole or not at all; one of a run's record files with its seal.

    `beside` are the checksums of files that it was written with (`runs.seals.checksums`).

    Raises OSError where the disk is full.
    """
    content = io.BytesIO()  # numpy's own writing to a full disk loses the reason
    np.save(content, array, allow_pickle=False)
    if seals is not None:
        content.write(f"{json.dumps(seals.blank(path, len(array), beside))}\n".encode())
    with atomic_write(path, "wb") as file:
        file.write(content.getbuffer() if seals is None else closed(content.getvalue()))


def load_records(path: Path, kind: type, seals: Seals | None = None) -> np.ndarray:
    """Reads records of one kind; with `seals`, only what the run sealed.

    Raises InputError where the file is damaged, truncated, of another run, or holds something else.
    """
    what = f"{kind_name(kind)} of scores"
    content = read_file(path)
    sealed = None if seals is None else seals.check(path, content)
    file = io.BytesIO(content)
    try:
        shape, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if size > len(content) - file.tell() or (sealed is None and size < len(content) - file.tell()):
            raise ValueError("its length is not what its header says")
        file.seek(0)
        array = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGED as error:
        raise InputError(f"{path} is not readable as {what} ({error})") from error
    require_rows(path, len(array) if array.ndim else 0, sealed)
    if array.dtype.names is not None:
        array.dtype.names = renamed_columns(array.dtype.names)
        array = _with_added(array, kind)
    if (
        array.dtype.names != column_names(kind)
        or array.ndim != 1
        or not all(map(_is_of, array.dtype.descr, fields(kind)))
    ):
        raise InputError(f"{path} does not hold {what} of this version")
    try:
        array.tolist()
    except (ValueError, SystemError) as error:  # bytes that are no characters
        raise InputError(f"{path} is damaged ({error})") from error
    return array


def _with_added(array: np.ndarray, kind: type) -> np.ndarray:
    """The records of an earlier version with the columns that were added since; others as they are."""
    names = array.dtype.names or ()
    added = [name for name in column_names(kind) if name in ADDED and name not in names]
    if not added or names != tuple(name for name in column_names(kind) if name not in added):
        return array
    codes = {field.name: _code(field.type, ()) for field in fields(kind)}
    whole = np.empty(array.shape, dtype=[(n, codes[n] if n in added else array.dtype[n]) for n in column_names(kind)])
    for name in column_names(kind):
        whole[name] = ADDED[name] if name in added else array[name]
    return whole


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and type that an NPY file says it has."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _is_of(column: tuple[Any, ...], field: Field[Any]) -> bool:
    """Whether a column of a structured type is of a field's."""
    code = str(column[1])
    return code.startswith("<U") if field.type is str else np.dtype(code) == np.dtype(_CODES[field.type])  # type: ignore[index]


def _code(kind: Any, texts: Sequence[str]) -> str:
    if kind is str:
        return f"<U{max(1, *map(len, texts))}" if texts else "<U1"
    return _CODES[kind]
