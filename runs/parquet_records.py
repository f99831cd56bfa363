"""Records in column files (Parquet), for runs of more frames than a file each, or one table in memory, can carry.

Texts are kept once per file (dictionaries), so that a row takes a twentieth of what it takes as NPY. A file is written
whole or not at all; those of a run have a seal (`runs.seals`) among their metadata, and a damaged one is refused.
"""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import InputError
from common.files import atomic_write, read_file
from common.seals import closed
from runs.earlier_names import ADDED, renamed_columns
from runs.npy_records import kind_name
from runs.seals import Seals, require_rows

SEAL = "flipscope.seal"
"""The name of the seal among the metadata."""

TEXT = pa.dictionary(pa.int32(), pa.string())
_TYPES = {str: TEXT, int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_DAMAGED = (pa.ArrowException, OSError, ValueError, KeyError)
"""What pyarrow raises for damaged bytes."""


def schema(kind: type) -> pa.Schema:
    """The columns of a dataclass whose fields are str, int, float and bool."""
    return pa.schema([(field.name, _type(field)) for field in fields(kind)])


def _type(field: Field[Any]) -> pa.DataType:
    return _TYPES[field.type]  # type: ignore[index]


def of_array(kind: type, array: np.ndarray) -> pa.Table:
    """Records that `runs.npy_records` made as a table in memory."""
    columns = {field.name: _column(array[field.name], _type(field)) for field in fields(kind)}
    return pa.table(columns, schema=schema(kind))


def of_values(kind: type, records: Sequence[Sequence[Any]]) -> pa.Table:
    """Records given as tuples as a table in memory."""
    values = zip(*records, strict=True) if records else [()] * len(fields(kind))
    columns = {
        field.name: pa.array(column, _plain(field)).cast(_type(field))
        for field, column in zip(fields(kind), values, strict=True)
    }
    return pa.table(columns, schema=schema(kind))


def _plain(field: Field[Any]) -> pa.DataType:
    return pa.string() if field.type is str else _type(field)


def _column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if kind != TEXT:
        return pa.array(values, kind)
    codes, names = pd.factorize(values)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names.tolist(), pa.string()))


def of_frame(wanted: pa.Schema, table: pd.DataFrame) -> pa.Table:
    """A tidy table with these columns, with missing values where something is not known."""
    columns = []
    for field in wanted:
        values = table[field.name]
        if field.type == TEXT:
            named = values.astype("category").cat
            names = [str(category) for category in named.categories]
            codes = pa.array(named.codes.to_numpy(np.int32), mask=named.codes.to_numpy() < 0)
            columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())))
        else:
            columns.append(pa.array(values, field.type, from_pandas=True))
    return pa.table(columns, schema=wanted)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table in memory for pandas, texts as categories."""
    return table.unify_dictionaries().to_pandas()


class Writer:
    """Writes tables of the same columns into a file, one after the other, each as a row group."""

    def __init__(self, file: Any, columns: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(
            file, columns, compression="zstd", write_page_checksum=True, write_statistics=False
        )

    def add(self, table: pa.Table) -> None:
        """Writes a table."""
        if len(table):
            self._writer.write_table(table.unify_dictionaries().combine_chunks(), row_group_size=len(table))

    def close(self, metadata: Mapping[str, str] | None = None) -> None:
        """Writes what ends the file, with further metadata in it."""
        if metadata:
            self._writer.add_key_value_metadata(dict(metadata))
        self._writer.close()


@contextlib.contextmanager
def writing(path: Path, columns: pa.Schema) -> Iterator[Writer]:
    """A file of records of these columns that appears whole, once everything was added, or not at all."""
    with atomic_write(path, "wb") as file:
        writer = Writer(file, columns)
        try:
            yield writer
        except BaseException:
            with contextlib.suppress(OSError, pa.ArrowException):  # on a full disk say; the file is removed anyway
                writer.close()
            raise
        writer.close()


def write_table(path: Path, kind: type, table: pa.Table, seals: Seals, beside: Mapping[str, str] | None = None) -> None:
    """Writes one table of a run's records with its seal, whole or not at all.

    `beside` are the checksums of files that it was written with (`runs.seals.checksums`).
    """
    content = io.BytesIO()
    writer = Writer(content, schema(kind))
    writer.add(table)
    writer.close({SEAL: json.dumps(seals.blank(path, len(table), beside))})
    with atomic_write(path, "wb") as file:
        file.write(closed(content.getvalue()))


def read_table(path: Path, kind: type, seals: Seals, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads what was written of a kind, or some of its columns.

    Raises InputError where the file is damaged, of another run, or holds something else, FileNotFoundError where it is
    not there.
    """
    content = read_file(path)
    sealed = seals.check(path, content)
    wanted = schema(kind) if columns is None else pa.schema([schema(kind).field(name) for name in columns])
    try:
        names = pq.read_schema(pa.BufferReader(content)).names
        stored = {present: name for name in names for present in renamed_columns([name])}
        added = [name for name in wanted.names if name in ADDED and name not in stored]
        names = [stored.get(name, name) for name in wanted.names if name not in added]
        table = pq.read_table(pa.BufferReader(content), columns=names, page_checksum_verification=True)
        table = table.rename_columns(list(renamed_columns(table.column_names)))
        for name in added:
            values = pa.array(np.full(len(table), ADDED[name]), wanted.field(name).type)
            table = table.add_column(wanted.names.index(name), name, values)
    except _DAMAGED as error:
        raise InputError(f"{path} is not readable as {kind_name(kind)} of scores ({_line(error)})") from error
    if table.schema.remove_metadata() != wanted:
        raise InputError(f"{path} does not hold {kind_name(kind)} of scores of this version")
    require_rows(path, len(table), sealed)
    return table


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
