"""The scores of a run frame by frame, for any number of frames: a column for each ranking, attack and depth.

A run has as many rows as frames times what is done to each, and what is done to each is nearly always the same. So a
row's names are kept once, as a column's, and its numbers in a file, one column after the other:

                       columns: one for each ranking, attack and depth
                     +----------------+----------------+----------------+
                     | LIME           | LIME           | RISE           |
                     | nes, 1         | nes, 2         | nes, 1         |
    frames           | drop   flipped | drop   flipped | drop   flipped |   measures
    +----------------+----------------+----------------+----------------+
    | a, video 1     | 0.20   0       | 0.60   1       | 0.10   0       |
    | b, video 2     | 0.30   0       | 0.80   1       | NaN    NaN     |   NaN: no such row
    +----------------+----------------+----------------+----------------+

A question about a run reads only the columns that it needs: memory holds some numbers for each frame, never all rows.

    >>> import pandas as pd
    >>> rows = pd.DataFrame(
    ...     [
    ...         ("a", "video 1", "LIME", "nes", "1", False, 0.2),
    ...         ("a", "video 1", "LIME", "nes", "2", True, 0.6),
    ...         ("a", "video 1", "RISE", "nes", "1", False, 0.1),
    ...         ("b", "video 2", "LIME", "nes", "1", False, 0.3),
    ...         ("b", "video 2", "LIME", "nes", "2", True, 0.8),
    ...     ],
    ...     columns=["key", "video", "method", "attack", "depth", "flipped_to_real", "drop"],
    ... )
    >>> scores = as_score_table(rows)
    >>> len(scores), scores.columns["method"].tolist()
    (2, ['LIME', 'LIME', 'RISE'])
    >>> scores.table("drop", by="method").round(2)
       LIME  RISE
    0  0.40   0.1
    1  0.55   NaN
    >>> scores.with_columns(scores.columns["depth"] == "2").overall("flipped_to_real")
    (1.0, 2)
"""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from common.files import naming
from scoring.records import SURVIVES

FLAG, FLOAT, COUNT = np.dtype("i1"), np.dtype("f8"), np.dtype("f4")
_NONE = -1  # a flag that is not known, or a row that is not there
ONCE = "once"


@dataclass(frozen=True)
class ColumnSchema:
    """How rows of one kind become a score table.

    Attributes:
        frame: the fields that describe a row's frame.
        column: the fields that distinguish the rows of one frame.
        measures: the numbers kept, with their type: flags (true, false, unknown), counts below 2^24, or floats.
        flags: begins the names of further flags, which only some runs have; "" for none.
    """

    frame: tuple[str, ...]
    column: tuple[str, ...]
    measures: Mapping[str, np.dtype]
    flags: str = ""

    def of(self, table: pd.DataFrame) -> "ColumnSchema":
        """The same schema without the fields that a table lacks, with the further flags that it has."""
        frame, column = (tuple(name for name in names if name in table) for names in (self.frame, self.column))
        measures = {name: kind for name, kind in self.measures.items() if name in table}
        further = [name for name in map(str, table) if self.flags and name.startswith(self.flags)]
        return ColumnSchema(frame, column, measures).with_flags(further)

    def with_flags(self, names: Iterable[str]) -> "ColumnSchema":
        """The same schema with further flags."""
        return replace(self, measures={**self.measures, **dict.fromkeys(names, FLAG)})


_RANKING = ("seed", "segmentation", "method", "of", "draw", "fill")
SCORES = ColumnSchema(
    ("key", "video", "family", "label", "predicted", "correct", "before"),
    (*_RANKING, "attack", "epsilon", "depth"),
    dict.fromkeys(("flipped_to_real", "correct_after", "weak"), FLAG)
    | dict.fromkeys(("drop", "area", "mask_precision", "completeness_error", "stability"), FLOAT)
    | {"forwards": COUNT},
    SURVIVES,
)
FLIP_THRESHOLDS = ColumnSchema(
    ("key", "video", "family"), (*_RANKING, "attack", "measure"), {"value": FLOAT, "reached": FLAG}
)
METRIC_VALUES = ColumnSchema(
    ("key", "video", "family"), ("seed", "segmentation", "method", "fill", "metric", "better"), {"value": FLOAT}
)
COSTS = ColumnSchema(("key",), ("stage", ONCE), {"forwards": COUNT, "calls": COUNT, "seconds": FLOAT})


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Some frames and some columns of a run's scores; the module's docstring shows one.

    Attributes:
        store: the numbers.
        run_frames: a line for each frame of the run, in the run's order, with the schema's `frame` fields.
        columns: a line for each column, in the order of the rows, with the schema's `column` fields; its index is the
            column's number in the store.
        chosen: (n,) indices of the frames among the run's, increasing; None for all.
    """

    store: "ColumnStore"
    run_frames: pd.DataFrame
    columns: pd.DataFrame
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        """How many frames."""
        return len(self.run_frames) if self.chosen is None else len(self.chosen)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """A line for each frame, with the schema's `frame` fields."""
        return self.run_frames if self.chosen is None else self.run_frames.iloc[self.chosen]

    @cached_property
    def videos(self) -> np.ndarray:
        """The number of each frame's video, (n,), in the order of their names."""
        return self.frames["video"].cat.codes.to_numpy().astype(np.int64)

    @property
    def families(self) -> tuple[str, ...]:
        """The manipulations of the frames, in their order, without those that are missing."""
        return tuple(str(family) for family in self.frames["family"].dropna().unique())

    def with_columns(self, chosen: pd.Series | pd.DataFrame) -> "ScoreTable":
        """The same frames with only some columns: where a series over `columns` is true, or a part of `columns`."""
        columns = self.columns[chosen] if isinstance(chosen, pd.Series) else self.columns.loc[chosen.index]
        return replace(self, columns=columns)

    def with_frames(self, kept: np.ndarray) -> "ScoreTable":
        """The same columns with only the frames where `kept`, (n,) bool, is true."""
        indices = np.flatnonzero(kept)
        return (
            self
            if len(indices) == len(self)
            else replace(self, chosen=indices if self.chosen is None else self.chosen[indices])
        )

    def read(self, measure: str, column: int) -> np.ndarray:
        """A measure of the column of that number, (n,) float; NaN where a frame has no such row or it is not known."""
        values = self.store.read(measure, column)
        return values if self.chosen is None else values[self.chosen]

    def each(self, measure: str) -> Iterator[np.ndarray]:
        """A measure of every column in turn, (n,)."""
        for column in self.columns.index:
            yield self.read(measure, column)

    def mean(self, measure: str) -> np.ndarray:
        """The mean of a measure over the columns that a frame has, (n,); NaN where it has none."""
        total, count = np.zeros(len(self)), np.zeros(len(self), dtype=np.int32)
        for values in self.each(measure):
            there = ~np.isnan(values)
            np.add(total, values, out=total, where=there)
            count += there
        return np.divide(total, count, out=np.full(len(self), np.nan), where=count > 0)

    def overall(self, measure: str) -> tuple[float, int]:
        """The mean over frames of each one's `mean` of a measure, with how many frames have one.

        So a frame weighs the same however many rows it has. NaN without any, or if the measure is not kept.
        """
        if measure not in self.store.measures:
            return math.nan, 0
        means = self.mean(measure)
        known = means[~np.isnan(means)]
        return (float(known.mean()) if len(known) else math.nan), len(known)

    def sum(self, measure: str) -> np.ndarray:
        """The sum of a measure over the columns that a frame has, (n,); NaN where it has none."""
        total, there = np.zeros(len(self)), np.zeros(len(self), dtype=bool)
        for values in self.each(measure):
            known = ~np.isnan(values)
            np.add(total, values, out=total, where=known)
            there |= known
        return np.where(there, total, np.nan)

    def rows(self, *measures: str) -> tuple[np.ndarray, list[np.ndarray]]:
        """Every row that has the first of the measures: its frame's index among these frames, and its measures."""
        indices = [np.flatnonzero(~np.isnan(first)) for first in self.each(measures[0])]
        parts = [[values[kept] for values, kept in zip(self.each(m), indices, strict=True)] for m in measures]
        none = np.zeros(0)
        return np.concatenate([*indices, none.astype(np.int64)]), [np.concatenate([*part, none]) for part in parts]

    def any(self, measure: str) -> np.ndarray:
        """Whether a flag is true in some column, (n,)."""
        is_true = np.zeros(len(self), dtype=bool)
        for flags in self.each(measure):
            is_true |= flags > 0
        return is_true

    def by(self, name: str) -> dict[str, "ScoreTable"]:
        """A score table for each value that the columns have in one field ("method", say), in the columns' order."""
        return {str(value): self.with_columns(self.columns[name] == value) for value in self.columns[name].unique()}

    def table(self, measure: str, by: str) -> pd.DataFrame:
        """Means of a measure over the columns of the same value in the field `by`: (n, m), a column for each value."""
        return pd.DataFrame({name: part.mean(measure) for name, part in self.by(by).items()}, index=range(len(self)))


class ColumnStore:
    """The numbers of every column, one measure after the other, in a temporary file that is removed with the store."""

    def __init__(self, frames: int, measures: Mapping[str, np.dtype], folder: Path | None = None) -> None:
        """Makes an empty store for so many frames, in `folder`, or for None where the system has temporary files."""
        self.frames, self.measures = frames, dict(measures)
        widths = np.cumsum([0, *(kind.itemsize for kind in self.measures.values())])
        self._start, self._stride = dict(zip(self.measures, widths.tolist(), strict=False)), int(widths[-1])
        self._folder = folder or tempfile.gettempdir()
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the store

    def write(self, measure: str, column: int, first: int, values: np.ndarray) -> None:
        """Writes a measure of one column, for some frames.

        Args:
            measure: its name.
            column: the column's number, from 0.
            first: index of the first of the frames.
            values: (k,) the numbers, in the measure's own type.
        """
        with naming(self._folder):
            self._file.seek(self._at(measure, column) + first * values.itemsize)
            self._file.write(values.tobytes())

    def read(self, measure: str, column: int) -> np.ndarray:
        """A measure of one column, (n,) float."""
        kind = self.measures[measure]
        with naming(self._folder):  # what is written last may reach the disk only now
            self._file.seek(self._at(measure, column))
            values = np.frombuffer(self._file.read(self.frames * kind.itemsize), dtype=kind)
        if kind == FLAG:
            return np.where(values == _NONE, np.nan, values)
        return values.astype(float, copy=False)

    def _at(self, measure: str, column: int) -> int:
        return (column * self._stride + self._start[measure]) * self.frames


class ScoreTableBuilder:
    """Makes a score table of tidy tables that hold whole frames each, one after the other."""

    def __init__(self, schema: ColumnSchema, keys: pd.Index, folder: Path | None = None) -> None:
        """Begins with the frames `keys`, in this order; `folder` is where the file of their numbers can grow."""
        self._schema, self._keys = schema, keys
        self._store = ColumnStore(len(keys), schema.measures, folder)
        self._numbers: dict[tuple[object, ...], int] = {}
        self._orders: dict[bytes, np.ndarray] = {}
        self._parts: list[pd.DataFrame] = []
        self._filled = 0

    def add(self, table: pd.DataFrame, keys: pd.Index) -> None:
        """Adds the rows of the next frames, `keys`, some of which may have none.

        Raises ValueError where a row is of another frame, or two rows of a frame are of the same column.
        """
        named = table["key"].astype("category").cat
        of_frame = keys.get_indexer(pd.Index(named.categories))[named.codes.to_numpy()]
        if (of_frame < 0).any():
            raise ValueError("a row is of a frame that is not among those added")
        known = len(self._numbers)
        of_column = self._columns(table)
        self._note(of_column, of_frame)
        taken = np.zeros((len(self._numbers), len(keys)), dtype=bool)
        taken[of_column, of_frame] = True
        if np.count_nonzero(taken) != len(table):
            raise ValueError("a frame has two rows of the same seed, segmentation, method, draw, attack and depth")
        for measure, kind in self._schema.measures.items():
            block = _missing(kind, taken.shape)
            block[of_column, of_frame] = _encoded(table[measure], kind)
            for column, values in enumerate(block):
                if column >= known and self._filled:
                    self._store.write(measure, column, 0, _missing(kind, (self._filled,)))
                self._store.write(measure, column, self._filled, values)
        first = table[list(self._schema.frame)].drop_duplicates("key").set_index("key")
        self._parts.append(first.reindex(keys).reset_index(names="key"))
        self._filled += len(keys)

    def _columns(self, table: pd.DataFrame) -> np.ndarray:
        """The number of each row's column, (rows,); new columns get the next numbers, in the order of the rows."""
        if not len(table):
            return np.zeros(0, dtype=np.int64)
        code, labels = np.zeros(len(table), dtype=np.int64), []
        for name in self._schema.column:
            codes, names = pd.factorize(table[name])
            code, _ = pd.factorize(code * (len(names) + 1) + codes)  # small again, in the order of the rows
            labels.append((codes, names))
        first = np.zeros(code.max() + 1, dtype=np.int64)
        first[code[::-1]] = np.arange(len(code))[::-1]
        columns = zip(*(names[codes[first]].tolist() for codes, names in labels), strict=True)
        numbers = [self._numbers.setdefault(column, len(self._numbers)) for column in columns]
        return np.array(numbers)[code]

    def _note(self, of_column: np.ndarray, of_frame: np.ndarray) -> None:
        """Notes each order in which frames have their columns."""
        by_frame = np.argsort(of_frame, kind="stable")
        for columns in np.split(of_column[by_frame], np.flatnonzero(np.diff(of_frame[by_frame])) + 1):
            self._orders.setdefault(columns.tobytes(), columns)

    def _ordered(self) -> list[int]:
        """The columns in the order in which frames have theirs, though the first frames may lack some.

        What comes first stands for the run: its main attack, budget and segmentation. The frames with the most columns
        come first; one that those lack goes behind what it follows in its own frame, or in front of all.
        """
        ordered: list[int] = []
        placed: set[int] = set()
        for columns in sorted(self._orders.values(), key=len, reverse=True):
            if placed.issuperset(columns.tolist()):
                continue
            position = -1
            for column in columns.tolist():
                if column in placed:
                    position = max(position, ordered.index(column))
                else:
                    position += 1
                    ordered.insert(position, column)
                    placed.add(column)
        return ordered

    def score_table(self) -> ScoreTable:
        """The score table, once every frame was added. Raises ValueError before."""
        if self._filled != len(self._keys):
            raise ValueError(f"{len(self._keys)} frames were announced and {self._filled} added")
        frames = pd.concat(self._parts, ignore_index=True) if self._parts else pd.DataFrame(columns=self._schema.frame)
        for name in {"video", "family", "predicted"} & set(frames):
            frames[name] = pd.Categorical(frames[name].astype(object))  # categories in the order of names
        columns = pd.DataFrame(list(self._numbers), columns=list(self._schema.column))
        return ScoreTable(self._store, frames, columns.loc[self._ordered()])


def as_score_table(table: "pd.DataFrame | ScoreTable", schema: ColumnSchema = SCORES) -> ScoreTable:
    """A tidy table in memory as a score table; a score table stays as it is."""
    if isinstance(table, ScoreTable):
        return table
    if table.empty:
        return ScoreTableBuilder(schema, pd.Index([])).score_table()
    if schema is COSTS:
        table = numbered(table)
    keys = pd.Index(table["key"].unique())
    builder = ScoreTableBuilder(schema.of(table), keys)
    builder.add(table, keys)
    return builder.score_table()


def numbered(costs: pd.DataFrame) -> pd.DataFrame:
    """Costs with a column that numbers the same stages of a frame from 0, as COSTS asks for."""
    return costs.assign(**{ONCE: costs.groupby(["key", "stage"], observed=True).cumcount()})


def of_family(scores: ScoreTable, family: str) -> ScoreTable:
    """The frames of one manipulation."""
    return scores.with_frames((scores.frames["family"] == family).to_numpy(dtype=bool))


def _missing(kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, _NONE if kind == FLAG else np.nan, dtype=kind)


def _encoded(values: pd.Series, kind: np.dtype) -> np.ndarray:
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(numbers), _NONE, numbers).astype(FLAG) if kind == FLAG else numbers.astype(kind)
