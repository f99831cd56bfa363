"""Everything that a run leaves for people: tables, figures, the report, made of what its frames gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.seeds import generator
from scoring import evidence, figures, publication, tables
from scoring.folder import Folder
from scoring.gathering import gather
from scoring.page.content import Finished, Headline
from scoring.page.write import write_page
from scoring.sheet import Sheet
from scoring.standings import stand
from scoring.statistics import estimates
from scoring.summary import Summary, summarise


@dataclass(frozen=True, eq=False)
class Results:
    """What a finished run holds.

    Attributes:
        rows: the scores (`scoring.rows.Row`), as a sheet.
        grades: how much it takes to flip (`scoring.rows.Grade`), with the queries that NES needed; likewise.
        metrics: the standard metrics (`scoring.rows.Measured`); likewise.
        summary: the statistics of each method and reference (see `summary.summarise`).
        headlines: where each method stands (see `standings.stand`); none where nothing was detected.
        failures: frames that could not be scored, with the reason.
        files: what was written for people.
    """

    rows: Sheet
    grades: Sheet
    metrics: Sheet
    summary: Summary
    headlines: list[Headline]
    failures: dict[str, str]
    files: tuple[Path, ...]


def make(
    folder: Folder, name: str, configuration: Mapping[str, Any], keys: Sequence[str], failures: dict[str, str]
) -> Results:
    """Makes the tables, figures and the report of the finished frames `keys`; `name` is what files are called after.

    Memory holds some numbers of every frame and never all rows, so this serves eight frames and a million.
    """
    gathered = gather(folder, configuration, keys, name)
    scores, grades, metrics = gathered.scores, gathered.grades, gathered.metrics
    seed = int(configuration["seed"])
    summary, headlines = summarise(scores, seed), stand(scores, seed)
    files = [*tables.write(folder.path, name, scores, summary), *gathered.files]
    tables.write_failures(folder.path, failures)
    if headlines:
        picture = folder.path / f"summary_{name}.png"
        figures.save_summary(picture, summary)
        content = Finished(scores, grades, metrics, gathered.costs, configuration, failures)
        page = write_page(folder.path, content, headlines, interval=_interval(seed))
        files = [page, *files, picture, *publication.write(folder.path, content, headlines)]
        files += evidence.write(folder.path, scores, grades, seed).files
    return Results(scores, grades, metrics, summary, headlines, failures, tuple(files))


def _interval(seed: int) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
    """The intervals of the report's curves: of a mean of values (n,) from videos (n,)."""

    def interval(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
        (found,) = estimates(values[:, None].astype(float), videos, generator(seed, "curve"), (-1.0, 1.0))
        return found.low, found.high

    return interval
