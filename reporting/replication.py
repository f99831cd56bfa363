"""What the differences from the published evaluation do to its table: in the terminal, and as CSV files."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.replication import (
    ACCURACY,
    SUFFICIENCY,
    ColumnMove,
    adversarial_gains,
    agreement,
    column_moves,
    order_of_methods,
)
from analysis.statistics import Estimate
from common.console import console, count, paragraph, table
from common.csv_files import save_csv
from runs.score_table import ScoreTable

NONE_OUT = "(as published)"


@dataclass(frozen=True)
class Replicated:
    """What one run says beside the run with every difference.

    Attributes:
        order: the mean Sufficiency by method, the highest first.
        gains: of the adversarial fill, by method.
        tau: Kendall's, of its order with the published one.
        moves: of its columns from the published ones; none for that run itself.
    """

    order: dict[str, float]
    gains: dict[str, Estimate]
    tau: float
    moves: tuple[ColumnMove, ...] = ()


def compare_with_published(
    published: ScoreTable, without: Mapping[str, ScoreTable], seed: int
) -> dict[str, Replicated]:
    """What leaving out each difference changes, by the difference; the published run itself first."""
    order = order_of_methods(published)
    found = {NONE_OUT: Replicated(order, adversarial_gains(published, seed), 1.0)}
    for difference, scores in without.items():
        own = order_of_methods(scores)
        shared = [method for method in order if method in own]
        tau = agreement(shared, [method for method in own if method in order])
        moves = tuple(column_moves(published, scores, seed))
        found[difference] = Replicated(own, adversarial_gains(scores, seed), tau, moves)
    return found


def show_replication(found: Mapping[str, Replicated]) -> None:
    """Prints which difference moves which column, what becomes of the order, and of the adversarial fill's gain."""
    published, moves = found[NONE_OUT], [move for replicated in found.values() for move in replicated.moves]
    table(
        "\nWithout one difference at a time: columns of all frames that move, and the order of the methods",
        ["without", "moved", "largest move of Sufficiency", "largest move of Accuracy", "tau", "best method"],
        [_line(difference, replicated) for difference, replicated in found.items()],
    )
    pooled = [move for move in moves if not move.family]
    paragraph(
        f"moved: columns whose 95 % interval (videos as the sample) leaves out 0, of those with an interval. They are "
        f"not corrected: of {count(len(pooled), 'column')} in all, one in twenty would by chance. tau: Kendall's, of "
        "the order of the methods that both have, by their mean Sufficiency, with the published order; 1 is the same."
    )
    methods = list(published.gains)
    table(
        "\nThe adversarial fill's gain in Sufficiency, mean of the depths, with its 95 % interval",
        ["without", *methods],
        [[name, *(_interval(item.gains.get(m)) for m in methods)] for name, item in found.items()],
    )
    if any(math.isnan(move.difference.low) for move in pooled):
        paragraph("Without an interval: fewer than two videos, or one of whose frames a run has none.")
    for name, item in found.items():
        if list(item.order) != list(published.order):
            paragraph(f"Without {name} the order is {', '.join(item.order)}.")
    same = [name for name, item in found.items() if name != NONE_OUT and list(item.order) == list(published.order)]
    paragraph(f"The published run's order is {', '.join(published.order)}.")
    if same:
        paragraph(f"The order stays without {', '.join(same)}.")
    console.print()


def write_replication(folder: Path, found: Mapping[str, Replicated]) -> list[Path]:
    """Writes every column's move, and the order and gains of each run; returns the files."""
    moves = pd.DataFrame(
        [
            {
                "without": name, "method": move.method, "column": move.column, "as_published": move.first,
                "without_it": move.second, **_flat("difference", move.difference), "frames": move.difference.frames,
                "videos": move.difference.videos, "moved": move.moved,
            }
            for name, item in found.items()
            for move in item.moves
        ]
    )  # fmt: skip
    orders = pd.DataFrame(
        [
            {
                "without": name, "tau": item.tau, "place": place, "method": method, "sufficiency": value,
                **_flat("fill_gain", item.gains.get(method)),
            }
            for name, item in found.items()
            for place, (method, value) in enumerate(item.order.items(), start=1)
        ]
    )  # fmt: skip
    files = [folder / "replication_columns.csv", folder / "replication_order.csv"]
    for path, content in zip(files, (moves, orders), strict=True):
        save_csv(path, content)
    return files


def _line(name: str, replicated: Replicated) -> list[str]:
    pooled = [move for move in replicated.moves if not move.family]
    known = [move for move in pooled if not math.isnan(move.difference.low)]
    moved = f"{sum(move.moved for move in known)} of {len(known)}" if pooled else ""
    best = next(iter(replicated.order), "")
    largest = [_largest([move for move in pooled if move.measure == measure]) for measure in (SUFFICIENCY, ACCURACY)]
    return [name, moved, *largest, "" if math.isnan(replicated.tau) else f"{replicated.tau:.2f}", best]


def _largest(moves: list[ColumnMove]) -> str:
    moves = [move for move in moves if not math.isnan(move.difference.value)]
    if not moves:
        return ""
    move = max(moves, key=lambda move: abs(move.difference.value))
    if move.difference.value == 0:
        return "none moves"
    return f"{move.method} Top {move.depth} {_interval(move.difference)}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return ""
    interval = "" if math.isnan(estimate.low) else f" [{estimate.low + 0.0:+.2f} {estimate.high + 0.0:+.2f}]"
    return f"{estimate.value + 0.0:+.2f}{interval}"


def _flat(name: str, estimate: Estimate | None) -> dict[str, float]:
    value = Estimate() if estimate is None else estimate
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
