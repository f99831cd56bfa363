"""The products of a run for people: tables, figures and the report, made from the records of its frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import evidence
from analysis.headline import Headline
from analysis.method_ranking import rank_methods
from analysis.statistics import estimates
from analysis.summary import Summary, summarise_methods
from common.seeds import generator
from reporting import flip_rate_figure, paper, tables, words
from reporting.evidence_files import write_evidence
from reporting.page.write import write_page
from reporting.published_mark import published_mark
from runs import row_files
from runs.drift import drift_in_words
from runs.finished_run import FinishedRun
from runs.frame_table import FRAMES, class_names
from runs.gathering import gather
from runs.partial_frames import MissingPart, partial_frames
from runs.run_folder import RunFolder
from runs.score_table import ScoreTable, as_score_table


@dataclass(frozen=True, eq=False)
class RunResults:
    """The results of a finished run.

    Attributes:
        rows: the scores (`scoring.records.Row`), as a score table.
        flip_thresholds: how much it takes to flip (`scoring.records.FlipThreshold`), with the queries that an attack
            needed; likewise.
        metrics: the values of the standard metrics (`scoring.records.MetricValue`); likewise.
        summary: the statistics of each method and baseline (see `analysis.summary.summarise_methods`).
        headlines: the headline scores of each method (see `analysis.method_ranking.rank_methods`); none where the
            detector called no frame fake.
        failures: frames that could not be scored, with the reason.
        files: what was written for people.
        frames: what is known of each frame (`runs.frame_table`), as a score table.
        missing: what of the frames failed while the rest of each was scored.
        mark: what sets the run apart (`reporting.published_mark`).
        drift: what is to be said of a detector that drifted (`runs.drift`); "" for nothing.
        names: what is to be said of the names of its classes (`reporting.words.exchanged_names`); likewise.
    """

    rows: ScoreTable
    flip_thresholds: ScoreTable
    metrics: ScoreTable
    summary: Summary
    headlines: list[Headline]
    failures: dict[str, str]
    files: tuple[Path, ...]
    frames: ScoreTable = field(default_factory=lambda: as_score_table(pd.DataFrame(), FRAMES))
    missing: tuple[MissingPart, ...] = ()
    mark: str = ""
    drift: str = ""
    names: str = ""


def write_products(
    folder: RunFolder, name: str, configuration: Mapping[str, Any], keys: Sequence[str], failures: Mapping[str, str]
) -> RunResults:
    """Makes the tables, figures and the report of a run's finished frames.

    Memory holds some numbers of every frame and never all rows, so this serves eight frames and a million.

    Args:
        folder: the run's, where they go.
        name: what files are called after, the methods.
        configuration: what config.json holds.
        keys: of the finished frames, in the run's order; at least one.
        failures: frames that could not be scored, with the reason.

    Raises:
        InputError: a frame is not there, or its file is damaged.
        OSError: the folder cannot be written.
    """
    gathered = gather(folder, configuration, keys, name)
    scores, flip_thresholds, metrics = gathered.scores, gathered.flip_thresholds, gathered.metrics
    seed = int(configuration["seed"])
    summary = summarise_methods(scores, seed, gathered.frames)
    headlines = rank_methods(scores, seed, gathered.frames)
    files = [*tables.write_tables(folder.path, name, scores, summary, configuration), *gathered.files]
    row_files.write_failures(folder.path, failures, gathered.missing)
    drift, names = drift_in_words(folder), words.exchanged_names(scores, class_names(configuration))
    if headlines:
        picture = folder.path / f"summary_{name}.png"
        mark = published_mark(configuration)
        flip_rate_figure.save_summary(picture, summary, mark)
        content = FinishedRun(
            scores, flip_thresholds, metrics, gathered.costs, configuration, failures, gathered.frames, gathered.missing
        )
        cautions = [drift, names, partial_frames(gathered.missing), words.few_segments(gathered.frames)]
        notes = [caution for caution in cautions if caution]
        page = write_page(folder.path, content, headlines, notes, interval=_interval(seed))
        files = [page, *files, picture, *paper.write_paper_files(folder.path, content, headlines)]
        files += write_evidence(folder.path, evidence(scores, flip_thresholds, seed), mark)
    return RunResults(
        scores,
        flip_thresholds,
        metrics,
        summary,
        headlines,
        dict(failures),
        tuple(files),
        gathered.frames,
        gathered.missing,
        published_mark(configuration),
        drift,
        names,
    )


def _interval(seed: int) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
    """The intervals of the report's curves: of a mean of values (n,) from videos (n,)."""

    def interval(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
        (estimate,) = estimates(values[:, None].astype(float), videos, generator(seed, "curve"), (-1.0, 1.0))
        return estimate.low, estimate.high

    return interval
