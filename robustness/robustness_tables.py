"""The files of one detector's robustness: tidy CSVs and a table in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.statistics import Estimate
from common.csv_files import save_csv
from robustness.attack_setup import AttackSetup
from robustness.robustness_summary import Robustness
from robustness.stage_records import Record
from robustness.stage_runner import StageResults
from robustness.stages import CLEAN, AttackStage
from runs.row_files import write_failures

NONE = "none"


def write_robustness_tables(folder: Path, results: StageResults, summary: Robustness, setup: AttackSetup) -> list[Path]:
    """Writes the tables into a folder, each whole or not at all; returns the files, the one to read first in front.

    Timings are in costs.csv alone, so that the other CSVs are the same, byte for byte, however often a run was
    interrupted.

    Args:
        folder: the run's folder.
        results: of every stage and frame.
        summary: of these results.
        setup: what the run was.

    Raises:
        OSError: the folder cannot be written.
    """
    tables = {
        "robustness.csv": _flat(summary.lines),
        "clean.csv": _flat(summary.clean),
        "rows.csv": _rows(results, setup),
        "costs.csv": pd.DataFrame(list(summary.seconds.items()), columns=["stage", "seconds_per_frame"]).round(4),
    }
    if summary.masking is not None:
        tables["check.csv"] = _flat([summary.masking]).assign(flags="; ".join(summary.masking.flags))
    if summary.restored:
        tables["dip.csv"] = _flat(summary.restored)
    for name, table in tables.items():
        save_csv(folder / name, table, float_format="%.6g")
    write_failures(folder, dict(summary.failures))
    return [folder / name for name in tables]


def _flat(lines: Sequence[Any]) -> pd.DataFrame:
    """Dataclasses as a table; an estimate's columns are NAME, NAME_low and NAME_high."""
    return pd.DataFrame([_columns(line) for line in lines])


def _columns(line: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in asdict(line).items():
        if isinstance(value, dict):
            columns |= {name if part == "value" else f"{name}_{part}": number for part, number in value.items()}
        else:
            columns[name] = value
    return columns


def _rows(results: StageResults, setup: AttackSetup) -> pd.DataFrame:
    """One row per frame, and per fake, attack and budget."""
    frames = {frame.key: frame for frame in setup.plan.chosen.frames}
    stages: dict[str, tuple[str, float]] = {CLEAN: (NONE, 0.0)}
    for stage in setup.plan.stages:
        if isinstance(stage, AttackStage):
            stages[stage.name] = (stage.frame_attack.name, stage.frame_attack.epsilon)
    rows = []
    for stage_name, (attack, epsilon) in stages.items():
        for key, record in results.records[stage_name].items():
            frame = {"key": key, "video": frames[key].video, "family": frames[key].family}
            rows.append({**frame, "attack": attack, "epsilon": epsilon, **_values(record)})
    return pd.DataFrame(rows)


def _values(record: Record) -> dict[str, Any]:
    values = asdict(record)
    return {name: values.get(name) for name in ("score", "real", "source_real", "linf", "steps", "forwards")}


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table in Markdown, numbers right-aligned."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def percent_interval(estimate: Estimate) -> str:
    """ "45 [30-60]": a share and its interval in percent; "-" where there is none."""
    if math.isnan(estimate.value):
        return "-"
    interval = "" if math.isnan(estimate.low) else f" [{100 * estimate.low:.0f}-{100 * estimate.high:.0f}]"
    return f"{100 * estimate.value:.0f}{interval}"
