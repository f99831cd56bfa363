"""Everything that a run leaves for people: tables, figures, the report, made of what its frames gave."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.seeds import generator
from scoring import figures, publication, records, tables
from scoring.folder import Folder, Records
from scoring.grading import GRADED_DEPTH
from scoring.page.content import Finished, Headline
from scoring.page.write import write_page
from scoring.rows import Grade, Measured, Row, to_table
from scoring.standings import stand
from scoring.statistics import estimates
from scoring.summary import Summary, detected, main_condition, summarise

QUERIES, NES = "queries", "nes"


@dataclass(frozen=True, eq=False)
class Results:
    """What a finished run holds.

    Attributes:
        rows: the tidy table (`scoring.rows.Row`).
        grades: how much it takes to flip (`scoring.rows.Grade`), with the queries that NES needed.
        metrics: the standard metrics (`scoring.rows.Measured`).
        summary: the statistics of each method and reference (see `summary.summarise`).
        headlines: where each method stands (see `standings.stand`); none where nothing was detected.
        failures: frames that could not be scored, with the reason.
        files: what was written for people.
    """

    rows: pd.DataFrame
    grades: pd.DataFrame
    metrics: pd.DataFrame
    summary: Summary
    headlines: list[Headline]
    failures: dict[str, str]
    files: tuple[Path, ...]


def make(
    folder: Folder,
    name: str,
    configuration: Mapping[str, Any],
    finished: Mapping[str, Records],
    failures: dict[str, str],
) -> Results:
    """Makes the tables, figures and the report of the finished frames; `name` is what their files are called after."""
    stacked = {kind: records.stack(kind, [each[kind] for each in finished.values()]) for kind in (Row, Grade, Measured)}
    rows, grades, metrics = (to_table(stacked[kind]) for kind in (Row, Grade, Measured))
    grades = pd.concat([grades, queries(rows, configuration)], ignore_index=True)
    seed = int(configuration["seed"])
    summary, headlines = summarise(rows, seed), stand(rows, seed)
    files = tables.write(folder.path, name, stacked[Row], grades, metrics, summary)
    costs = tables.write_costs(folder.path, {key: folder.costs(key) for key in finished})
    tables.write_failures(folder.path, failures)
    if headlines:
        picture = folder.path / f"summary_{name}.png"
        figures.save_summary(picture, summary)
        content = Finished(rows, grades, metrics, costs, configuration, failures)
        page = write_page(folder.path, content, headlines, interval=_interval(seed))
        files = [page, *files, picture, *publication.write(folder.path, content, headlines)]
    return Results(rows, grades, metrics, summary, headlines, failures, tuple(files))


def _interval(seed: int) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
    """The intervals of the report's curves: of a mean of values (n,) from videos (n,)."""

    def interval(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
        (found,) = estimates(values[:, None].astype(float), videos, generator(seed, "curve"), (-1.0, 1.0))
        return found.low, found.high

    return interval


def queries(rows: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """What NES needed on the three best segments (or the whole frame), in images passed to the detector.

    A grade that the rows hold already: a frame that did not flip is censored at what was spent.
    """
    attacks = configuration.get("attacks", {})
    names = [name for name, settings in attacks.items() if settings.get("attack") == NES]
    chosen = detected(main_condition(rows)) if len(rows) else rows
    chosen = chosen[chosen["attack"].isin(names) & chosen["depth"].isin((GRADED_DEPTH, "all"))]
    shared = [field for field in records.names(Grade) if field not in ("measure", "value", "reached")]
    return chosen[shared].assign(
        measure=QUERIES, value=chosen["forwards"].astype(float), reached=chosen["flipped_to_real"].astype(bool)
    )
