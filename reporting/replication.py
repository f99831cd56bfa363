"""What the differences from the published evaluation do to its table: in the terminal, and as CSV files."""

import math
from collections.abc import Iterator, Mapping, Sequence
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
    in_groups,
    order_of_methods,
)
from analysis.statistics import Estimate, videos_needed
from common.console import console, count, paragraph, table
from common.csv_files import save_csv
from reporting.products import RunResults
from runs.partial_frames import partial_frames
from runs.score_table import ScoreTable

NONE_OUT = "(as published)"


@dataclass(frozen=True)
class Replicated:
    """What one run says beside the run with every difference.

    Attributes:
        order: the mean Sufficiency by method, the highest first; without methods that have none.
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
    found = {NONE_OUT: Replicated(order, adversarial_gains(published, seed), agreement(order, order))}
    for difference, scores in without.items():
        own = order_of_methods(scores)
        moves = tuple(column_moves(published, scores, seed))
        found[difference] = Replicated(own, adversarial_gains(scores, seed), agreement(order, own), moves)
    return found


def doubts(run: str, results: RunResults) -> list[str]:
    """What the numbers of one run of a replication are not of: a detector that drifted, frames that failed."""
    left_out = ""
    if results.failures:
        left_out = (
            f"{count(len(results.failures), 'frame')} could not be scored (failures.csv in its folder says why); its "
            "order and gains are of the others, and its columns of those that the published run has, too."
        )
    return [f"{run}: {said}" for said in (results.drift, left_out, partial_frames(results.missing)) if said]


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
        f"not corrected: of {count(len(pooled), 'column')} in all, {_by_chance(pooled)} would by chance. tau: "
        "Kendall's, of the order of the methods that both have, by their mean Sufficiency, with the published order; 1 "
        "is the same, and methods that tie (=) have no order."
    )
    methods = list(published.gains)
    table(
        "\nThe adversarial fill's gain in Sufficiency, mean of the depths, with its 95 % interval",
        ["without", *methods],
        [[name, *(_interval(item.gains.get(m)) for m in methods)] for name, item in found.items()],
    )
    if any(math.isnan(move.difference.low) for move in pooled):
        paragraph("Without an interval: fewer than two videos, or one of whose frames a run has none.")
    orders = {name: _in_words(item.order) for name, item in found.items()}
    for name, order in orders.items():
        if order != orders[NONE_OUT]:
            paragraph(f"Without {name} the order is {order}.")
    same = [name for name, order in orders.items() if name != NONE_OUT and order == orders[NONE_OUT]]
    paragraph(f"The published run's order is {orders[NONE_OUT]}.")
    if same and published.order:
        paragraph(f"The order stays without {', '.join(same)}.")
    for method in dict.fromkeys(method for item in found.values() for method in item.order):
        if lacking := [name for name, item in found.items() if method not in item.order]:
            paragraph(
                f"{method} has no place in the order of {', '.join(lacking)}: every frame that is called fake is left "
                "out of its row there."
            )
    console.print()


def _by_chance(moves: Sequence[ColumnMove]) -> str:
    """The share of columns that move by chance; few videos may all agree, beyond whose values no interval goes."""
    fewest = min((move.difference.videos for move in moves if not math.isnan(move.difference.low)), default=0)
    if fewest == 0 or fewest >= videos_needed(1):
        return "one in twenty"
    return f"at least one in {2 ** (fewest - 1)}, of {fewest} videos,"


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
            for place, methods in _placed(item.order)
            for method, value in ((method, item.order[method]) for method in methods)
        ]
    )  # fmt: skip
    files = [folder / "replication_columns.csv", folder / "replication_order.csv"]
    for path, content in zip(files, (moves, orders), strict=True):
        save_csv(path, content)
    return files


def _placed(order: Mapping[str, float]) -> Iterator[tuple[int, list[str]]]:
    """The methods at each place from 1, as in sports: two that tie for the first are followed by the third."""
    place = 1
    for methods in in_groups(order):
        yield place, methods
        place += len(methods)


def _in_words(order: Mapping[str, float]) -> str:
    return (
        "unknown, as no method has a Sufficiency"
        if not order
        else ", ".join(" = ".join(methods) for methods in in_groups(order))
    )


def _line(name: str, replicated: Replicated) -> list[str]:
    pooled = [move for move in replicated.moves if not move.family]
    known = [move for move in pooled if not math.isnan(move.difference.low)]
    moved = f"{sum(move.moved for move in known)} of {len(known)}" if pooled else ""
    groups = in_groups(replicated.order)
    best = " = ".join(groups[0]) if len(groups) > 1 or len(replicated.order) == 1 else "none" if groups else ""
    largest = [_largest([move for move in pooled if move.measure == measure]) for measure in (SUFFICIENCY, ACCURACY)]
    return [name, moved, *largest, "" if math.isnan(replicated.tau) else f"{replicated.tau:z.2f}", best]


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
    interval = "" if math.isnan(estimate.low) else f" [{estimate.low:+z.2f} {estimate.high:+z.2f}]"
    return f"{estimate.value:+z.2f}{interval}"


def _flat(name: str, estimate: Estimate | None) -> dict[str, float]:
    value = Estimate() if estimate is None else estimate
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
