"""The scores of a run frame by frame, for any number of frames: a column for each ranking, attack and depth.

A run has as many rows as frames times what is done to each, and what is done to each is nearly always the same. So a
row's names are kept once, as a column's, and its numbers in a file, one column after the other: what is asked of a run
reads the few columns that it is about, and memory holds some numbers for each frame, never the rows.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

FLAG, FLOAT, COUNT = np.dtype("i1"), np.dtype("f8"), np.dtype("f4")
_NONE = -1  # a flag that is not known, or a row that is not there
ONCE = "once"


@dataclass(frozen=True)
class Form:
    """How rows of one kind become a sheet.

    Attributes:
        frame: what they say of their frame.
        column: what tells the rows of one frame apart.
        measures: the numbers kept: flags (true, false, unknown), counts below 2^24, or floats.
    """

    frame: tuple[str, ...]
    column: tuple[str, ...]
    measures: Mapping[str, np.dtype]

    def of(self, table: pd.DataFrame) -> "Form":
        """What of it a table has."""
        frame, column = (tuple(name for name in names if name in table) for names in (self.frame, self.column))
        return Form(frame, column, {name: kind for name, kind in self.measures.items() if name in table})


_PLACE = ("seed", "segmentation", "method", "of", "draw", "fill")
SCORES = Form(
    ("key", "video", "family", "label", "predicted", "correct", "before"),
    (*_PLACE, "attack", "epsilon", "depth"),
    dict.fromkeys(("flipped_to_real", "correct_after", "weak"), FLAG)
    | dict.fromkeys(("drop", "area", "inside"), FLOAT)
    | {"forwards": COUNT},
)
GRADED = Form(("key", "video", "family"), (*_PLACE, "attack", "measure"), {"value": FLOAT, "reached": FLAG})
MEASURED = Form(
    ("key", "video", "family"), ("seed", "segmentation", "method", "fill", "metric", "better"), {"value": FLOAT}
)
SPENT = Form(("key",), ("stage", ONCE), {"forwards": COUNT, "calls": COUNT, "seconds": FLOAT})


@dataclass(frozen=True, eq=False)
class Sheet:
    """Some frames and some columns of a run's scores.

    Attributes:
        store: the numbers.
        everyone: what is known of each frame of the run, a line each, in the run's order.
        columns: what each column is, a line each, by its place in the store, in the order of the rows.
        chosen: the places of the frames, increasing; None for all.
    """

    store: "Store"
    everyone: pd.DataFrame
    columns: pd.DataFrame
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        """How many frames."""
        return len(self.everyone) if self.chosen is None else len(self.chosen)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """What is known of the frames, a line each."""
        return self.everyone if self.chosen is None else self.everyone.iloc[self.chosen]

    @cached_property
    def videos(self) -> np.ndarray:
        """The number of each frame's video, (n,), in the order of their names."""
        return self.frames["video"].cat.codes.to_numpy().astype(np.int64)

    @property
    def families(self) -> tuple[str, ...]:
        """The manipulations of the frames, in their order, without those that are missing."""
        return tuple(str(family) for family in self.frames["family"].dropna().unique())

    def with_columns(self, chosen: pd.Series | pd.DataFrame) -> "Sheet":
        """Only some columns: where a series over them is true, or those that are left of their table."""
        columns = self.columns[chosen] if isinstance(chosen, pd.Series) else self.columns.loc[chosen.index]
        return replace(self, columns=columns)

    def with_frames(self, kept: np.ndarray) -> "Sheet":
        """Only the frames where `kept` (n,) is true."""
        places = np.flatnonzero(kept)
        return (
            self
            if len(places) == len(self)
            else replace(self, chosen=places if self.chosen is None else self.chosen[places])
        )

    def read(self, measure: str, place: int) -> np.ndarray:
        """A measure of one column, (n,) floats; NaN where a frame has no such row or the number is not known."""
        found = self.store.read(measure, place)
        return found if self.chosen is None else found[self.chosen]

    def each(self, measure: str) -> Iterator[np.ndarray]:
        """A measure of every column in turn, (n,)."""
        for place in self.columns.index:
            yield self.read(measure, place)

    def mean(self, measure: str) -> np.ndarray:
        """The mean of a measure over the columns that a frame has, (n,); NaN where it has none."""
        total, count = np.zeros(len(self)), np.zeros(len(self), dtype=np.int32)
        for found in self.each(measure):
            there = ~np.isnan(found)
            np.add(total, found, out=total, where=there)
            count += there
        return np.divide(total, count, out=np.full(len(self), np.nan), where=count > 0)

    def overall(self, measure: str) -> tuple[float, int]:
        """The mean of a measure over all rows, with how many frames have one; NaN without any."""
        total, rows, there = 0.0, 0, np.zeros(len(self), dtype=bool)
        for found in self.each(measure):
            known = ~np.isnan(found)
            total += float(found[known].sum())
            rows += int(np.count_nonzero(known))
            there |= known
        return (total / rows if rows else math.nan), int(np.count_nonzero(there))

    def rows(self, *measures: str) -> tuple[np.ndarray, list[np.ndarray]]:
        """Every row that has the first of the measures: the place of its frame among these, and the measures."""
        there = [np.flatnonzero(~np.isnan(first)) for first in self.each(measures[0])]
        values = [[found[kept] for found, kept in zip(self.each(m), there, strict=True)] for m in measures]
        none = np.zeros(0)
        return np.concatenate([*there, none.astype(np.int64)]), [np.concatenate([*each, none]) for each in values]

    def any(self, measure: str) -> np.ndarray:
        """Whether a flag is true in some column, (n,)."""
        found = np.zeros(len(self), dtype=bool)
        for flags in self.each(measure):
            found |= flags > 0
        return found

    def by(self, name: str) -> dict[str, "Sheet"]:
        """The columns by one of their names, in their order."""
        return {str(each): self.with_columns(self.columns[name] == each) for each in self.columns[name].unique()}

    def table(self, measure: str, by: str) -> pd.DataFrame:
        """Means (n, m) of a measure over the columns of the same name, a column for each name."""
        return pd.DataFrame({name: part.mean(measure) for name, part in self.by(by).items()}, index=range(len(self)))


class Store:
    """A file without a name, of each column each measure, that ends with what reads it."""

    def __init__(self, frames: int, measures: Mapping[str, np.dtype], folder: Path | None = None) -> None:
        """Numbers of so many frames; `folder` is where there is space for them (else where temporary files go)."""
        self.frames, self.measures = frames, dict(measures)
        widths = np.cumsum([0, *(kind.itemsize for kind in self.measures.values())])
        self._start, self._stride = dict(zip(self.measures, widths.tolist(), strict=False)), int(widths[-1])
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the store

    def write(self, measure: str, place: int, first: int, values: np.ndarray) -> None:
        """Keeps a measure of one column, of the frames from `first` on."""
        self._file.seek(self._at(measure, place) + first * values.itemsize)
        self._file.write(values.tobytes())

    def read(self, measure: str, place: int) -> np.ndarray:
        """A measure of one column, (n,) floats."""
        kind = self.measures[measure]
        self._file.seek(self._at(measure, place))
        found = np.frombuffer(self._file.read(self.frames * kind.itemsize), dtype=kind)
        if kind == FLAG:
            return np.where(found == _NONE, np.nan, found)
        return found.astype(float, copy=False)

    def _at(self, measure: str, place: int) -> int:
        return (place * self._stride + self._start[measure]) * self.frames


class Builder:
    """Makes a sheet of tables that hold whole frames each, one after the other."""

    def __init__(self, form: Form, keys: pd.Index, folder: Path | None = None) -> None:
        """For the frames `keys`, in this order; `folder` is where its file can grow."""
        self._form, self._keys = form, keys
        self._store = Store(len(keys), form.measures, folder)
        self._places: dict[tuple[object, ...], int] = {}
        self._parts: list[pd.DataFrame] = []
        self._filled = 0

    def add(self, table: pd.DataFrame, keys: pd.Index) -> None:
        """Takes the rows of the next frames, `keys`; some of them may have none."""
        named = table["key"].astype("category").cat
        of_frame = keys.get_indexer(pd.Index(named.categories))[named.codes.to_numpy()]
        if (of_frame < 0).any():
            raise ValueError("a row is of a frame that is not among those added")
        known = len(self._places)
        of_column = self._columns(table)
        taken = np.zeros((len(self._places), len(keys)), dtype=bool)
        taken[of_column, of_frame] = True
        if np.count_nonzero(taken) != len(table):
            raise ValueError("a frame has two rows of the same seed, segmentation, method, draw, attack and depth")
        for measure, kind in self._form.measures.items():
            block = _missing(kind, taken.shape)
            block[of_column, of_frame] = _encoded(table[measure], kind)
            for place, values in enumerate(block):
                if place >= known and self._filled:
                    self._store.write(measure, place, 0, _missing(kind, (self._filled,)))
                self._store.write(measure, place, self._filled, values)
        first = table[list(self._form.frame)].drop_duplicates("key").set_index("key")
        self._parts.append(first.reindex(keys).reset_index(names="key"))
        self._filled += len(keys)

    def _columns(self, table: pd.DataFrame) -> np.ndarray:
        """The column of each row; new ones get the next places, in the order of the rows."""
        if not len(table):
            return np.zeros(0, dtype=np.int64)
        code, labels = np.zeros(len(table), dtype=np.int64), []
        for name in self._form.column:
            codes, names = pd.factorize(table[name])
            code, _ = pd.factorize(code * (len(names) + 1) + codes)  # small again, in the order of the rows
            labels.append((codes, names))
        first = np.zeros(code.max() + 1, dtype=np.int64)
        first[code[::-1]] = np.arange(len(code))[::-1]
        found = zip(*(names[codes[first]].tolist() for codes, names in labels), strict=True)
        places = [self._places.setdefault(each, len(self._places)) for each in found]
        return np.array(places)[code]

    def sheet(self) -> Sheet:
        """The sheet, once every frame was added."""
        if self._filled != len(self._keys):
            raise ValueError(f"{len(self._keys)} frames were announced and {self._filled} added")
        everyone = pd.concat(self._parts, ignore_index=True) if self._parts else pd.DataFrame(columns=self._form.frame)
        for name in {"video", "family", "predicted"} & set(everyone):
            everyone[name] = pd.Categorical(everyone[name].astype(object))  # categories in the order of names
        return Sheet(self._store, everyone, pd.DataFrame(list(self._places), columns=list(self._form.column)))


def of_table(table: "pd.DataFrame | Sheet", form: Form = SCORES) -> Sheet:
    """A tidy table in memory as a sheet; a sheet stays as it is."""
    if isinstance(table, Sheet):
        return table
    if table.empty:
        return Builder(form, pd.Index([])).sheet()
    if form is SPENT:
        table = numbered(table)
    keys = pd.Index(table["key"].unique())
    builder = Builder(form.of(table), keys)
    builder.add(table, keys)
    return builder.sheet()


def numbered(costs: pd.DataFrame) -> pd.DataFrame:
    """Costs with a number where a frame has the same stage several times, as their form asks for."""
    return costs.assign(**{ONCE: costs.groupby(["key", "stage"], observed=True).cumcount()})


def of_family(sheet: Sheet, family: str) -> Sheet:
    """The frames of one manipulation."""
    return sheet.with_frames((sheet.frames["family"] == family).to_numpy(dtype=bool))


def _missing(kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, _NONE if kind == FLAG else np.nan, dtype=kind)


def _encoded(values: pd.Series, kind: np.dtype) -> np.ndarray:
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(numbers), _NONE, numbers).astype(FLAG) if kind == FLAG else numbers.astype(kind)
