"""A row of scores: what one attack did to the top k regions of one method on one frame."""

import math
import os
from collections.abc import Sequence
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import pandas as pd

from common.errors import InputError
from common.files import atomic_write

UNKNOWN = -1  # in `label`, `correct`, `correct_after` and `inside`; empty in the CSV


@dataclass(frozen=True)
class Row:
    """What one attack did to one frame's top k regions as one method ranks them.

    Attributes:
        key: the frame.
        video: the video it is from.
        family: the manipulation it was made with, "" where unknown.
        label: its `mc_label`, -1 where it has none.
        predicted: the class that the detector says.
        correct: whether that is the frame's class: 1 or 0, -1 where the detector has no class for it.
        target: the explained class: the predicted one, or where that is Real, the most probable other.
        method: "LIME", "LIME_adv", ...; "Random" is the control.
        fill: what hid pixels while explaining.
        weak: whether the method had no evidence for some of its top three regions.
        attack: "nes", ...
        k: 1, 2 or 3: the best region, the best two, the best three together.
        area: the attacked share of the frame's pixels, in [0, 1].
        inside: the share of those that were truly manipulated, in [0, 1]; -1 where that is not known.
        before: p(target) of the frame.
        after: p(target) of the attacked frame.
        drop: before - after.
        predicted_after: the class that the detector says of the attacked frame.
        correct_after: as `correct`, of the attacked frame.
        flipped_to_real: whether the attack made the detector say Real; never where it did so before.
        linf: the largest change of a pixel's channel, in [0, 1].
        steps: the attack's steps; 0 where the detector said Real already.
    """

    key: str
    video: str
    family: str
    label: int
    predicted: str
    correct: int
    target: str
    method: str
    fill: str
    weak: bool
    attack: str
    k: int
    area: float
    inside: float
    before: float
    after: float
    drop: float
    predicted_after: str
    correct_after: int
    flipped_to_real: bool
    linf: float
    steps: int


NAMES = tuple(field.name for field in fields(Row))
_CODES = {int: "<i8", float: "<f8", bool: "?"}
_DAMAGED = (ValueError, EOFError, SyntaxError, TokenError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What numpy raises for damaged bytes: it reads a header as a Python literal."""


def to_array(rows: Sequence[Row]) -> np.ndarray:
    """The rows as a structured array; its texts are as wide as the longest needs, so that nothing is cut.

    Raises InputError for a text that cannot be kept so (one that ends with a null character).
    """
    values = [tuple(asdict(row).values()) for row in rows]
    columns = dict(zip(NAMES, zip(*values, strict=True), strict=True)) if rows else dict.fromkeys(NAMES, ())
    kinds = []
    for field in fields(Row):
        width = max((len(text) for text in columns[field.name]), default=0) if field.type is str else 0
        kinds.append((field.name, f"<U{max(1, width)}" if field.type is str else _CODES[field.type]))  # type: ignore[index]
    array = np.array(values, dtype=kinds)
    if [tuple(item) for item in array.tolist()] != values:
        raise InputError(f"frame {rows[0].key!r}: its name or its video's cannot be stored; rename it")
    return array


def stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Several such arrays as one, wide enough for all."""
    return np.concatenate(arrays) if arrays else to_array([])


def save(path: str | Path, array: np.ndarray) -> None:
    """Writes an array as NPY without pickle, whole or not at all."""
    with atomic_write(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def load(path: str | Path) -> np.ndarray:
    """Reads what `save` wrote. Raises InputError where the file is truncated or holds something else."""
    try:
        with open(path, "rb") as file:
            shape, kind = _header(file)
            if math.prod(shape) * kind.itemsize != os.fstat(file.fileno()).st_size - file.tell():
                raise ValueError("its length is not what its header says")
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGED as error:
        raise InputError(f"{path} is not readable as rows of scores ({error})") from error
    if array.dtype.names != NAMES or array.ndim != 1 or not all(map(_is_of, array.dtype.descr, fields(Row))):
        raise InputError(f"{path} does not hold rows of scores of this version")
    try:
        array.tolist()
    except ValueError as error:  # bytes that are no characters
        raise InputError(f"{path} is damaged ({error})") from error
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and type that an NPY file says it has."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    return shape, kind


def _is_of(column: tuple[Any, ...], field: Field[Any]) -> bool:
    """Whether a column of a structured type is of a field's."""
    code = str(column[1])
    return code.startswith("<U") if field.type is str else np.dtype(code) == np.dtype(_CODES[field.type])  # type: ignore[index]


def to_table(array: np.ndarray) -> pd.DataFrame:
    """The rows as a table, what is unknown as missing values."""
    table = pd.DataFrame({name: array[name] for name in NAMES})
    for name in ("label", "correct", "correct_after"):
        table[name] = table[name].astype("Int64").mask(table[name] == UNKNOWN)
    table["inside"] = table["inside"].mask(table["inside"] == UNKNOWN)
    table["family"] = table["family"].mask(table["family"] == "")
    return table
