"""The tables of a run: every row, the published table's shape, the statistics, the costs, the failures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from scoring.csv_files import save_csv
from scoring.protocol import ARMS, RANDOM
from scoring.sheet import Sheet, of_family, of_table
from scoring.summary import Summary, detected, main_condition

FAMILIES = {"DF": "Deepfakes", "F2F": "Face2Face", "FS": "FaceSwap", "NT": "NeuralTextures"}
_TOPS = {"1": "Top 1", "2": "Top 2", "3": "Top 3"}


def _sufficiency(short: str, k: str) -> str:
    return f"Sufficiency {short} {_TOPS[k]}"


def _accuracy(short: str, k: str) -> str:
    return f"Accuracy {short} {'(Top 1)' if k == '1' else _TOPS[k]}"


PUBLISHED_COLUMNS = (
    *(_sufficiency(short, k) for short in FAMILIES for k in _TOPS),
    "Accuracy",
    *(_accuracy(short, k) for short in FAMILIES for k in _TOPS),
)


def results_name(methods: Sequence[str]) -> str:
    """What the files of a run are named after: "All", or the methods joined by "+", safe in a file name."""
    return _safe("+".join(methods))


def write(folder: Path, name: str, scores: Sheet, summary: Summary) -> list[Path]:
    """Writes the tables of scores into `folder`, each whole or not at all; `name` is from `results_name`.

    Returns the files, the one to look at first at the front.
    """
    files = []
    for place, attack in enumerate(scores.columns["attack"].unique()):
        files.append(folder / scores_file(name, str(attack), place))
        shape = published(scores.with_columns(scores.columns["attack"] == attack))
        save_csv(files[-1], shape, float_format="%.3f", index=True)
    files.append(folder / f"summary_{name}.csv")
    save_csv(files[-1], flat(summary))
    return files


def write_failures(folder: Path, failures: Mapping[str, str]) -> None:
    """Writes the frames that could not be scored, with the reason."""
    save_csv(folder / "failures.csv", pd.DataFrame(list(failures.items()), columns=["key", "reason"]))


def scores_file(name: str, attack: str, place: int) -> str:
    """The name of the published-shape table of the attack at `place`: the first has the plain name."""
    return f"scores_{name}.csv" if place == 0 else f"scores_{name}_{_safe(attack)}.csv"


def published(table: pd.DataFrame | Sheet) -> pd.DataFrame:
    """The published table's shape, from one attack's scores: Original, the methods and random regions by 25 columns.

    Of several budgets and ways to divide a frame, the main one's. Of the references it has "random", which the
    published table lacks.

    "Sufficiency <family> Top k" is the mean `drop` over detected frames, "Accuracy <family> Top k" the mean of
    `correct_after` over frames whose class the detector has. The Original row has the accuracies before any
    attack: overall, and by family in the Top 1 columns. What does not exist is NaN.
    """
    sheet = of_table(table)
    sheet = sheet.with_columns(main_condition(sheet.columns))
    sheet = sheet.with_columns(sheet.columns["of"].eq("") & ~sheet.columns["method"].isin(set(ARMS) - {RANDOM}))
    original = {"Accuracy": _correct(sheet)}
    methods: dict[str, dict[str, float]] = {}
    for short, family in FAMILIES.items():
        frames = of_family(sheet, family)
        original[_accuracy(short, "1")] = _correct(frames)
        for k in _TOPS:
            methods[_sufficiency(short, k)] = _by_method(detected(frames), k, "drop")
            methods[_accuracy(short, k)] = _by_method(frames, k, "correct_after")
    names = [str(name) for name in sheet.columns["method"].unique()]
    shape = pd.DataFrame(methods, index=["Original", *names], columns=list(PUBLISHED_COLUMNS))
    shape.loc["Original"] = pd.Series(original).reindex(PUBLISHED_COLUMNS)
    return shape.astype(float).round(3) + 0.0  # no "-0.000"


def _correct(sheet: Sheet) -> float:
    """The share of frames whose class the detector says, of those with a class."""
    return float(sheet.frames["correct"].astype("Float64").astype(float).mean())


def _by_method(sheet: Sheet, k: str, measure: str) -> dict[str, float]:
    deep = sheet.with_columns(sheet.columns["depth"] == k)
    return {method: part.overall(measure)[0] for method, part in deep.by("method").items()}


def flat(summary: Summary) -> pd.DataFrame:
    """A summary as a table: an estimate's columns are NAME, NAME_low and NAME_high, a comparison's likewise."""
    return pd.DataFrame([flat_names(asdict(line)) for line in summary.lines])


def flat_names(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under joined names; `value` adds nothing to the name of what it belongs to."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        full = prefix if name == "value" else f"{prefix}_{name}" if prefix else name
        found |= flat_names(value, full) if isinstance(value, dict) else {full: value}
    return found


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name)
