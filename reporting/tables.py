"""The tables of a run: for each attack one in the published table's shape, and the statistics of every method."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis.names import flat_names
from analysis.summary import Summary
from common.csv_files import save_csv
from common.files import safe_name
from data.frames import SHORT_NAMES
from reporting.published_mark import marked, published_mark
from runs.conditions import detected, main_condition
from runs.score_table import ScoreTable, as_score_table, of_family
from scoring.baselines.table import BASELINES, RANDOM

_DEPTHS = {"1": "Top 1", "2": "Top 2", "3": "Top 3"}


def _sufficiency(short: str, depth: str) -> str:
    return f"Sufficiency {short} {_DEPTHS[depth]}"


def _accuracy(short: str, depth: str) -> str:
    return f"Accuracy {short} {'(Top 1)' if depth == '1' else _DEPTHS[depth]}"


PUBLISHED_COLUMNS = (
    *(_sufficiency(short, depth) for short in SHORT_NAMES for depth in _DEPTHS),
    "Accuracy",
    *(_accuracy(short, depth) for short in SHORT_NAMES for depth in _DEPTHS),
)


def write_tables(
    folder: Path,
    name: str,
    scores: ScoreTable,
    summary: Summary,
    configuration: Mapping[str, Any] = MappingProxyType({}),
) -> list[Path]:
    """Writes the published table for each attack, and the summary; returns the files, the main attack's table first.

    Args:
        folder: where the files go.
        name: what they are called after, from `runs.run_names.files_name`.
        scores: of every frame.
        summary: the statistics of each method and baseline, of the same scores.
        configuration: what config.json holds; a run as published is marked, in the first table above its rows' names.

    Raises:
        OSError: the folder cannot be written.
    """
    files = []
    for index, attack in enumerate(scores.columns["attack"].unique()):
        files.append(folder / scores_file(name, str(attack), index))
        shape = published(scores.with_columns(scores.columns["attack"] == attack))
        save_csv(
            files[-1],
            shape.rename_axis(index=published_mark(configuration) or "method"),
            float_format="%.3f",
            index=True,
        )
    files.append(folder / f"summary_{name}.csv")
    save_csv(files[-1], marked(flat_summary(summary), configuration))
    return files


def scores_file(name: str, attack: str, index: int) -> str:
    """The file of the published-shape table of an attack, by the attack's index: the first has the plain name."""
    return f"scores_{name}.csv" if index == 0 else f"scores_{name}_{safe_name(attack)}.csv"


def published(table: pd.DataFrame | ScoreTable) -> pd.DataFrame:
    """The published table's shape, from one attack's scores: Original, the methods and random regions by 25 columns.

    Of several budgets and ways to divide a frame, the main one's. Of the baselines it has "random", which the
    published table lacks.

    "Sufficiency <family> Top k" is the mean `drop` over detected frames, "Accuracy <family> Top k" the mean of
    `correct_after` over frames whose class the detector has. The Original row has the accuracies before any
    attack: overall, and by family in the Top 1 columns. What does not exist is NaN.
    """
    scores = as_score_table(table)
    scores = scores.with_columns(main_condition(scores.columns))
    scores = scores.with_columns(
        scores.columns["of"].eq("") & ~scores.columns["method"].isin(set(BASELINES) - {RANDOM})
    )
    original = {"Accuracy": _correct(scores)}
    methods: dict[str, dict[str, float]] = {}
    for short, family in SHORT_NAMES.items():
        frames = of_family(scores, family)
        original[_accuracy(short, "1")] = _correct(frames)
        for depth in _DEPTHS:
            methods[_sufficiency(short, depth)] = _by_method(detected(frames), depth, "drop")
            methods[_accuracy(short, depth)] = _by_method(frames, depth, "correct_after")
    names = [str(name) for name in scores.columns["method"].unique()]
    shape = pd.DataFrame(methods, index=pd.Index(["Original", *names], name="method"), columns=list(PUBLISHED_COLUMNS))
    shape.loc["Original"] = pd.Series(original).reindex(PUBLISHED_COLUMNS)
    return shape.astype(float).round(3) + 0.0  # no "-0.000"


def _correct(scores: ScoreTable) -> float:
    """The share of frames whose class the detector says, of those with a class."""
    return float(scores.frames["correct"].astype("Float64").astype(float).mean())


def _by_method(scores: ScoreTable, depth: str, measure: str) -> dict[str, float]:
    at_depth = scores.with_columns(scores.columns["depth"] == depth)
    return {method: part.overall(measure)[0] for method, part in at_depth.by("method").items()}


def flat_summary(summary: Summary) -> pd.DataFrame:
    """A summary as a table: an estimate's columns are NAME, NAME_low and NAME_high, a comparison's likewise."""
    return pd.DataFrame([flat_names(asdict(line)) for line in summary.lines])
