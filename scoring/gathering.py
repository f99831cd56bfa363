"""From finished frames to the tidy tables on disk and the sheets that everything else is made of, some at a time."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data.frames import REAL
from scoring import parts, records
from scoring.costs import Spent
from scoring.folder import Folder
from scoring.grading import GRADED_DEPTH
from scoring.row_files import Take, row_files
from scoring.rows import Grade, Measured, Row, tidy
from scoring.sheet import GRADED, MEASURED, SCORES, SPENT, Builder, Form, Sheet, numbered
from scoring.summary import main_condition

BATCH = 2000
"""Frames read at a time: with every published reference about a million rows."""
QUERIES, NES = "queries", "nes"

FORMS: Mapping[type, Form] = {Row: SCORES, Grade: GRADED, Measured: MEASURED, Spent: SPENT}
"""How the records of each kind become a sheet."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """What finished frames hold.

    Attributes:
        scores, grades, metrics, costs: as sheets; the grades with the queries that NES needed.
        files: the tidy tables that were written, the rows' first.
    """

    scores: Sheet
    grades: Sheet
    metrics: Sheet
    costs: Sheet
    files: tuple[Path, ...]


def gather(folder: Folder, configuration: Mapping[str, Any], keys: Sequence[str], name: str | None = None) -> Gathered:
    """Reads finished frames; with a `name`, writes their tidy tables, called after it.

    Raises InputError where a file of several frames is damaged, OSError where the folder cannot be written.
    """
    space = None if name is None else folder.path  # a run that is only read may lie where nothing can be written
    builders = {kind: Builder(form, pd.Index(keys), space) for kind, form in FORMS.items()}
    files: list[Path] = []
    with contextlib.ExitStack() as stack:
        write: Take | None = None
        for start in range(0, len(keys), BATCH):
            some = list(keys[start : start + BATCH])
            found = {kind: parts.to_frame(table) for kind, table in folder.tables(some).items()}
            found[Grade] = pd.concat([found[Grade], queries(found[Row], configuration)], ignore_index=True)
            if name is not None and write is None:  # the first frames tell how many rows there will be
                rows = len(found[Row]) * len(keys) // len(some)
                write = stack.enter_context(row_files(folder.path, name, rows, files))
            if write is not None:
                write(found)
            for kind, table in found.items():
                builders[kind].add(numbered(table) if kind is Spent else tidy(table), pd.Index(some))
    sheets = {kind: builder.sheet() for kind, builder in builders.items()}
    return Gathered(sheets[Row], sheets[Grade], sheets[Measured], sheets[Spent], tuple(files))


def queries(rows: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """What NES needed on the three best segments (or the whole frame), in images passed to the detector.

    A grade that the rows hold already: a frame that did not flip is censored at what was spent.
    """
    attacks = configuration.get("attacks", {})
    names = [name for name, settings in attacks.items() if settings.get("attack") == NES]
    chosen = main_condition(rows) if len(rows) else rows
    chosen = chosen[chosen["predicted"] != REAL]
    chosen = chosen[chosen["attack"].isin(names) & chosen["depth"].isin((GRADED_DEPTH, "all"))]
    shared = [field for field in records.names(Grade) if field not in ("measure", "value", "reached")]
    return chosen[shared].assign(
        measure=QUERIES, value=chosen["forwards"].astype(float), reached=chosen["flipped_to_real"].astype(bool)
    )
