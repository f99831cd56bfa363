"""A run's results as pandas tables, for notebooks and scripts."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from common.console import count, warn
from common.csv_files import as_read
from common.errors import InputError
from common.notebook_html import paragraph, table
from data.frames import REAL
from runs.conditions import MEAN, conditions, depth_groups
from runs.drift import drift_in_words
from runs.frame_table import class_names, shown
from runs.gathering import FrameBatch, read_batches
from runs.run_folder import RunFolder
from runs.stored_run import read_configuration
from runs.transform_columns import transforms_of
from scoring.baselines.table import BASELINES
from scoring.costs import FrameCost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row, tidy
from xai.regions import ALL

_FAILURES = ("key", "stage", "reason")


@dataclass(frozen=True, eq=False)
class RunTables:
    """A run read from its folder; texts are pandas' strings, what is not known is missing.

    Attributes:
        path: the folder.
        configuration: what is in config.json.
        rows: a line for each frame, method or baseline, attack and depth (`scoring.records.Row`).
        frames: a line for each frame and trial, as in frames.csv.
        thresholds: how much it takes to flip each frame (`scoring.records.FlipThreshold`), with the queries asked.
        metrics: the values of the standard metrics (`scoring.records.MetricValue`).
        costs: forwards, calls and seconds by frame and stage.
        failures: what could not be scored, with the reason; `stage` is empty for a whole frame.
    """

    path: Path
    configuration: Mapping[str, Any]
    rows: pd.DataFrame
    frames: pd.DataFrame
    thresholds: pd.DataFrame
    metrics: pd.DataFrame
    costs: pd.DataFrame
    failures: pd.DataFrame

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The score table of each attack, one below the other: plain means, the highest flip rate first.

        A line for each attack and method or baseline (its index), of the frames that the detector called fake: how many
        `frames`, the share of verdicts that became Real at each depth ("1", "1-2", ...) and over the depths
        (`flip_rate`), and the mean fall of p(target) over the depths (`drop`). The numbers are those of summary.csv.
        """
        rows = self.rows[self.rows["predicted"] != REAL]
        groups = depth_groups(self.rows)
        parts = [
            _scores_of(part, groups).assign(attack=attack)
            for attack, part in rows.groupby(conditions(rows), sort=False)
        ]
        every = pd.concat(parts) if parts else pd.DataFrame(columns=["attack", "frames", *groups, "flip_rate", "drop"])
        return every.set_index("attack", append=True).swaplevel().rename_axis(["attack", "method"])

    def _repr_html_(self) -> str:
        """What a notebook shows: what was run, and the score table of each attack."""
        detector = self.configuration.get("detector")
        name = detector.get("name", "") if isinstance(detector, Mapping) else ""
        about = f"{self.path.resolve().name}: {count(self.rows['key'].nunique(), 'frame')}, detector {name}, preset "
        about += f"{self.configuration.get('preset', '')}; {count(len(self.failures), 'failure')}"
        tables = [_shown(str(attack), part.droplevel("attack")) for attack, part in _by_attack(self.scores)]
        return str(paragraph(about)) + "".join(map(str, tables))


def read_run(folder: str | Path) -> RunTables:
    """Reads the results of a run, frames by their keys; of one that is not done, those that are finished so far.

    Everything is held in memory, about half a kilobyte a row; of a run of more than some 10,000 frames read the columns
    that you need from its Parquet files instead.

    Raises InputError where the folder is not a run's, has no finished frame, or holds what no run wrote.
    """
    path = Path(folder)
    configuration, run_folder = read_configuration(path), RunFolder(path)
    run_folder.require_folders()
    keys = sorted(run_folder.keys())
    if not keys:
        raise InputError(f"{path} has no finished frame yet")
    if drift := drift_in_words(run_folder):
        warn(f"{path}: {drift}")
    batches = list(read_batches(run_folder, configuration, keys))
    return RunTables(
        path=path,
        configuration=configuration,
        rows=_together(tidy(batch.tables[Row]) for batch in batches),
        frames=_together(_lines(batch, configuration) for batch in batches),
        thresholds=_together(tidy(batch.tables[FlipThreshold]) for batch in batches),
        metrics=_together(tidy(batch.tables[MetricValue]) for batch in batches),
        costs=_together(batch.tables[FrameCost] for batch in batches),
        failures=_failures(path, batches),
    )


def _lines(batch: FrameBatch, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """The lines of some frames, with a column for each class's probability where the run has kept them."""
    if not len(batch.tables[FrameVerdict]):
        return batch.lines.drop(columns="probabilities")
    return shown(batch.lines, class_names(configuration), transforms_of(configuration))


def _together(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, their texts as pandas' strings: categories would differ from part to part."""
    return pd.concat([_texts(part) for part in parts], ignore_index=True)


def _texts(part: pd.DataFrame) -> pd.DataFrame:
    named = [name for name in part if part[name].dtype == object or isinstance(part[name].dtype, pd.CategoricalDtype)]
    return part.astype(dict.fromkeys(named, "str"))


def _failures(path: Path, batches: Sequence[FrameBatch]) -> pd.DataFrame:
    """What failed: whole frames by failures.csv, where there is one, and parts of frames by their records."""
    lines = [(part.key, part.stage, part.reason) for batch in batches for part in batch.missing]
    finished = {key for batch in batches for key in batch.keys}
    file = path / "failures.csv"
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as opened:
            known = [[as_read(row.get(name) or "") for name in _FAILURES] for row in csv.DictReader(opened)]
        lines = [(key, stage, reason) for key, stage, reason in known if not stage and key not in finished] + lines
    return pd.DataFrame(lines, columns=list(_FAILURES), dtype="str")


def _scores_of(rows: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The plain means of one attack by method, each a mean over the frames of their own means, as in the summary."""
    columns: dict[str, pd.Series] = {}
    for top, depths in groups.items():
        chosen = rows[rows["depth"].isin((*depths, ALL))]
        means = chosen.groupby(["method", "key"], sort=False)[["flipped_to_real", "drop"]].mean().groupby("method")
        columns["flip_rate" if top == MEAN else top] = means["flipped_to_real"].mean()
        if top == MEAN:
            columns |= {"frames": means.size(), "drop": means["drop"].mean()}
    table = pd.DataFrame(columns)
    table["baseline"] = [list(BASELINES).index(name) if name in BASELINES else -1 for name in table.index]
    table = table.sort_values(["baseline", "flip_rate"], ascending=[True, False], kind="stable")
    return table[["frames", *(top for top in groups if top != MEAN), "flip_rate", "drop"]]


def _by_attack(scores: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    return scores.groupby(level="attack", sort=False)


def _shown(attack: str, scores: pd.DataFrame) -> str:
    """One attack's table as HTML."""
    shares = [str(name) for name in scores if name not in ("frames", "drop")]
    heads = ["method", "frames", *(f"{name} (%)" for name in shares[:-1]), "flipped (%)", "drop"]
    rows = [
        [str(method), str(line["frames"]), *(_number(100 * line[name], 0) for name in shares), _number(line["drop"], 2)]
        for method, line in scores.to_dict("index").items()
    ]
    return str(table(f"Attack {attack}: verdicts that became Real by the best segments attacked", heads, rows))


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
