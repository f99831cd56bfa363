"""The tables of a run: every row, the published table's shape, the statistics, the costs, the failures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.files import atomic_write
from scoring import records
from scoring.costs import Cost
from scoring.protocol import ARMS, RANDOM
from scoring.rows import to_table
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


def write(
    folder: Path, name: str, stacked: np.ndarray, grades: pd.DataFrame, metrics: pd.DataFrame, summary: Summary
) -> list[Path]:
    """Writes the tables of scores into `folder`, each whole or not at all; `name` is from `results_name`.

    Returns the files, the one to look at first at the front.
    """
    table = to_table(stacked)
    attacks = {attack: folder / scores_file(name, attack, i) for i, attack in enumerate(table["attack"].unique())}
    for attack, path in attacks.items():
        _csv(path, published(table[table["attack"] == attack]), index=True)
    statistics, tidy, raw = (folder / f for f in (f"summary_{name}.csv", f"rows_{name}.csv", f"results_{name}.npy"))
    _csv(statistics, flat(summary))
    _csv(tidy, table)
    records.save(raw, stacked)
    others = {folder / f"grades_{name}.csv": grades, folder / f"metrics_{name}.csv": metrics}
    others = {path: found for path, found in others.items() if len(found)}
    for path, found in others.items():
        _csv(path, found)
    return [*attacks.values(), statistics, *others, tidy, raw]


def write_costs(folder: Path, costs: Mapping[str, Sequence[Cost]]) -> pd.DataFrame:
    """Writes what each stage of each frame took, and returns it; an adversarial method's include its image's."""
    spent = [(key, c.stage, c.forwards, c.calls, round(c.seconds, 3)) for key in costs for c in costs[key]]
    table = pd.DataFrame(spent, columns=["key", "stage", "forwards", "calls", "seconds"])
    _csv(folder / "costs.csv", table.assign(seconds=table["seconds"].map("{:.3f}".format)))
    return table


def write_failures(folder: Path, failures: Mapping[str, str]) -> None:
    """Writes the frames that could not be scored, with the reason."""
    _csv(folder / "failures.csv", pd.DataFrame(list(failures.items()), columns=["key", "reason"]))


def scores_file(name: str, attack: str, place: int) -> str:
    """The name of the published-shape table of the attack at `place`: the first has the plain name."""
    return f"scores_{name}.csv" if place == 0 else f"scores_{name}_{_safe(attack)}.csv"


def published(table: pd.DataFrame) -> pd.DataFrame:
    """The published table's shape, from the rows of one attack: Original, the methods and random regions by 25 columns.

    Of several budgets and ways to divide a frame, the main one's. Of the references it has "random", which the
    published table lacks.

    "Sufficiency <family> Top k" is the mean `drop` over detected frames, "Accuracy <family> Top k" the mean of
    `correct_after` over frames whose class the detector has. The Original row has the accuracies before any
    attack: overall, and by family in the Top 1 columns. What does not exist is NaN.
    """
    table = main_condition(table)
    table = table[table["of"].eq("") & ~table["method"].isin(set(ARMS) - {RANDOM})]
    table = table.assign(**{name: table[name].astype("Float64").astype(float) for name in ("correct", "correct_after")})
    frames, found = table.drop_duplicates("key"), detected(table)
    original = {"Accuracy": frames["correct"].mean()}
    methods: dict[str, pd.Series] = {}
    for short, family in FAMILIES.items():
        original[_accuracy(short, "1")] = frames.loc[frames["family"] == family, "correct"].mean()
        for k in _TOPS:
            methods[_sufficiency(short, k)] = _by_method(found, family, k)["drop"].mean()
            methods[_accuracy(short, k)] = _by_method(table, family, k)["correct_after"].mean()
    shape = pd.DataFrame(methods, index=["Original", *table["method"].unique()], columns=list(PUBLISHED_COLUMNS))
    shape.loc["Original"] = pd.Series(original).reindex(PUBLISHED_COLUMNS)
    return shape.astype(float).round(3) + 0.0  # no "-0.000"


def _by_method(table: pd.DataFrame, family: str, k: str) -> Any:
    return table[(table["family"] == family) & (table["depth"] == k)].groupby("method")


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


def _csv(path: Path, table: pd.DataFrame, index: bool = False) -> None:
    with atomic_write(path) as file:
        table.to_csv(file, index=index, float_format="%.3f" if index else None, lineterminator="\n")


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name)
