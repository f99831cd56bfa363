"""Queries until a flip: of one attack, as its rows say, and only where they are known."""

from dataclasses import astuple, replace
from typing import Any

import pandas as pd

from runs import parquet_records
from runs.gathering import queries
from scoring.records import Row
from tests.analysis.made_up import unseen
from tests.scoring.test_records import ROW

THIRD = replace(ROW, depth="3", k=3)


def asked(rows: list[Row], **configuration: Any) -> pd.DataFrame:
    table = parquet_records.to_frame(parquet_records.of_values(Row, [astuple(row) for row in rows]))
    return queries(table, configuration)


def attacks(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"attack": "nes" if name.startswith("nes") else name} for name in names}


def test_queries_are_those_of_the_rows_on_the_three_best_segments_and_the_whole() -> None:
    rows = [ROW, THIRD, replace(THIRD, key="b.png", queries=4051, flipped_to_real=False), replace(THIRD, epsilon=0.01)]
    rows += [replace(ROW, method="whole", depth="all", queries=81), unseen(replace(THIRD, key="c.png"))]
    found = asked(rows, attacks=attacks("nes"))
    assert found[["key", "method", "measure", "value", "reached"]].values.tolist() == [
        [ROW.key, "LIME", "queries", 567.0, True],
        ["b.png", "LIME", "queries", 4051.0, False],
        [ROW.key, "whole", "queries", 81.0, True],
    ]


def test_an_attack_whose_queries_are_not_known_takes_no_part() -> None:
    pgd = replace(THIRD, attack="pgd", queries=-1)
    square = replace(THIRD, attack="torchattacks:Square", queries=99)
    found = asked([pgd, THIRD, square], attacks=attacks("pgd", "torchattacks:Square", "nes"))
    assert found["value"].tolist() == [567.0]  # NES, wherever it stands
    found = asked([pgd, square], attacks=attacks("pgd", "torchattacks:Square"))
    assert found[["attack", "value"]].values.tolist() == [["torchattacks:Square", 99.0]]
    assert len(asked([pgd], attacks=attacks("pgd"))) == len(asked([], attacks=attacks("nes"))) == 0


def test_before_rows_said_queries_nes_needed_its_forwards() -> None:
    rows = [replace(THIRD, queries=-1), replace(THIRD, attack="pgd", queries=-1)]
    found = asked(rows, attacks=attacks("nes", "pgd"), format=3)
    assert found[["attack", "value"]].values.tolist() == [["nes", 74.0]]
    assert len(asked(rows, attacks=attacks("nes", "pgd"), format=4)) == 0


def test_the_oracle_needs_the_fewest_queries_of_any_ranking_of_the_frame() -> None:
    """Its region does the most, and may take longer to flip than another; what never flipped does not count before."""
    oracle = replace(THIRD, method="oracle", queries=500)
    rows = [oracle, replace(THIRD, queries=300), replace(THIRD, method="whole", depth="all", queries=200)]
    rows += [replace(THIRD, method="RISE", queries=100, flipped_to_real=False), replace(oracle, seed=1, queries=700)]
    other = [replace(oracle, key="b.png", queries=90, flipped_to_real=False)]
    other.append(replace(THIRD, key="b.png", queries=80, flipped_to_real=False))
    found = asked(rows + other, attacks=attacks("nes"))
    own = found[found["method"] == "oracle"].set_index(["key", "seed"])
    assert own.loc[(ROW.key, 0), ["value", "reached"]].tolist() == [200.0, True]
    assert own.loc[(ROW.key, 1), ["value", "reached"]].tolist() == [700.0, True]
    assert own.loc[("b.png", 0), ["value", "reached"]].tolist() == [80.0, False]
    assert found[found["method"] != "oracle"]["value"].tolist() == [300.0, 200.0, 100.0, 80.0]
