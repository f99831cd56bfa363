"""One line a frame: on records whose answer is known, and against a naive reading of a whole run's rows."""

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.frames import CLASS_NAMES
from runs import npy_records, parquet_records
from runs.frame_table import columns, frame_lines, kind_of_attack, shown
from scoring.costs import FrameCost
from scoring.records import FlipThreshold, FrameVerdict, Row
from tests.analysis.made_up import unseen, verdict
from tests.reporting.page import plausible
from tests.reporting.test_tables import GRADE
from tests.scoring.test_records import ROW

STANDS = replace(ROW, flipped_to_real=False, predicted_after="FaceSwap")
WHOLE = replace(STANDS, method="whole", depth="all", k=49)
BY_PGD = replace(WHOLE, attack="pgd")
CENSORED = replace(GRADE, key=ROW.key, method="whole", measure="budget", attack="pgd", reached=False)
FLAGS = ("flipped_by_region", "flipped_as_whole", "whole_attacks", "attackable")


def tables(kind: type, records: list[Any]) -> pd.DataFrame:
    return parquet_records.to_frame(parquet_records.of_values(kind, [astuple(record) for record in records]))


def lines_of(
    rows: list[Row],
    flip_thresholds: list[FlipThreshold] | None = None,
    verdicts: list[FrameVerdict] | None = None,
    costs: list[FrameCost] | None = None,
) -> pd.DataFrame:
    kinds = {FrameVerdict: verdicts, Row: rows, FlipThreshold: flip_thresholds, FrameCost: costs}
    return frame_lines(*(tables(kind, records or []) for kind, records in kinds.items()))


def flags(*given: Any) -> tuple[Any, ...]:
    """The flags of the only line; None for what is not known."""
    (line,) = lines_of(*given)[list(FLAGS)].astype(object).to_dict("records")
    return tuple(None if pd.isna(value) else value for value in line.values())


@pytest.mark.parametrize(
    ("rows", "flip_thresholds", "verdicts", "expected"),
    [
        ([STANDS, WHOLE], [], [], (False, False, 1, None)),  # one attack proves nothing
        ([STANDS, WHOLE, BY_PGD], [], [], (False, False, 2, False)),
        ([STANDS, WHOLE, replace(WHOLE, attack="torchattacks:VANILA")], [], [], (False, False, 1, None)),  # aimless
        ([STANDS, WHOLE], [CENSORED], [], (False, False, 2, False)),
        ([STANDS, BY_PGD], [CENSORED], [], (False, False, 1, None)),  # PGD twice is one attack
        ([STANDS, WHOLE, replace(BY_PGD, attack="torchattacks:PGD")], [CENSORED], [], (False, False, 2, False)),
        ([STANDS], [replace(CENSORED, method="LIME")], [], (False, None, 0, None)),
        ([STANDS], [], [], (False, None, 0, None)),
        ([ROW, WHOLE, BY_PGD], [], [], (True, False, 2, True)),
        ([STANDS, WHOLE, replace(BY_PGD, flipped_to_real=True)], [], [], (False, True, 2, True)),
        ([STANDS, WHOLE, replace(STANDS, epsilon=1 / 255, flipped_to_real=True)], [], [], (True, False, 1, True)),
        ([STANDS, WHOLE], [replace(CENSORED, reached=True)], [], (False, True, 2, True)),
        ([STANDS, WHOLE], [CENSORED, replace(CENSORED, method="RISE", reached=True)], [], (True, False, 2, True)),
        ([STANDS, BY_PGD], [], [verdict(ROW, flipped=0)], (False, False, 2, False)),  # its image is NES's
        ([STANDS, WHOLE], [], [verdict(ROW, flipped=0)], (False, False, 1, None)),
        ([STANDS, WHOLE, BY_PGD], [], [verdict(ROW, flipped=1)], (False, False, 2, True)),
        ([unseen(STANDS), unseen(WHOLE), unseen(BY_PGD)], [], [verdict(unseen(ROW))], (None, None, None, None)),
    ],
)
def test_a_frame_is_unattackable_only_where_two_attacks_fail_on_its_whole(
    rows: list[Row], flip_thresholds: list[FlipThreshold], verdicts: list[FrameVerdict], expected: tuple[Any, ...]
) -> None:
    assert flags(rows, flip_thresholds, verdicts) == expected


def test_a_trial_that_flips_makes_its_frame_attackable_in_every_trial() -> None:
    again = [replace(row, seed=1) for row in (STANDS, WHOLE, BY_PGD)]
    other = [replace(row, key="b.png") for row in (STANDS, WHOLE, BY_PGD)]
    found = lines_of([STANDS, WHOLE, BY_PGD, again[0], again[1], replace(again[2], flipped_to_real=True), *other])
    assert found[["key", "seed"]].values.tolist() == [[ROW.key, 0], [ROW.key, 1], ["b.png", 0]]
    assert found["flipped_as_whole"].tolist() == [False, True, False]
    assert found["attackable"].tolist() == [True, True, False]


def test_attacks_are_told_apart_by_what_they_are() -> None:
    names = ("pgd", "PGD", "torchattacks:PGD", "pgd 4/255", "nes", "malafide:a", "malafide:b", "own.module:PGD")
    assert [kind_of_attack(name) for name in names] == [*["pgd"] * 4, "nes", *["malafide"] * 2, "own.module:pgd"]


def test_the_adversarial_image_is_paid_for_once() -> None:
    rows = [STANDS, replace(STANDS, method="LIME_adv", fill="adversarial")]
    rows.append(replace(rows[1], method="RISE_adv"))
    rows.append(replace(rows[1], method="random-model", of="LIME_adv"))
    stages = [("verdict", 0.5), ("adversarial", 8.0), ("LIME", 1.0), ("LIME_adv", 9.0), ("RISE_adv", 10.0),
              ("random-model", 3.0), ("metrics of LIME_adv", 4.0)]  # fmt: skip
    second = [("adversarial", 16.0), ("LIME_adv", 17.0)]  # another seed
    costs = [FrameCost(ROW.key, stage, 1, 1, seconds) for stage, seconds in [*stages, *second]]
    costs.append(FrameCost("b.png", "LIME_adv", 1, 1, 2.0))
    found = lines_of([*rows, replace(ROW, key="b.png"), replace(ROW, key="c.png")], [], [], costs)
    assert found["seconds"].tolist()[:2] == [0.5 + 8 + 1 + 1 + 2 + 3 + 4 + 16 + 1, 2.0]
    assert pd.isna(found["seconds"].iloc[2])  # its costs were removed


def test_the_table_has_a_probability_for_each_class_and_nothing_for_what_is_not_known() -> None:
    second = replace(unseen(ROW), key="b.png", label=-1, family="")
    lines = lines_of([STANDS, second], [], [verdict(ROW), verdict(second)], [FrameCost(ROW.key, "verdict", 1, 1, 0.5)])
    table = shown(lines, CLASS_NAMES)
    assert list(table.columns) == [
        "key", "video", "family", "label", "seed", "segmentation", "predicted", "correct", "target", "before",
        "p(Real)", "p(NeuralTextures)", "p(Face2Face)", "p(Deepfakes)", "p(FaceSwap)", "segments",
        "adversarial_flipped", "adversarial_steps", "adversarial_forwards", "adversarial_queries", "unscored",
        "flipped_by_region", "flipped_as_whole", "whole_attacks", "attackable", "seconds",
    ]  # fmt: skip
    assert (table["p(FaceSwap)"].tolist(), table["p(Real)"].tolist()) == ([0.9, 0.025], [0.025, 0.9])
    text = table.to_csv(index=False).splitlines()[2].split(",")
    line = dict(zip(table.columns, text, strict=True))
    empty = {
        "family",
        "label",
        "segments",
        "seconds",
        "unscored",
        *FLAGS,
        *(n for n in line if n.startswith("adversarial")),
    }
    assert {name for name, value in line.items() if not value} == empty
    stored = parquet_records.of_frame(columns(CLASS_NAMES), table)
    assert stored.column_names == list(table.columns)
    assert stored.column("attackable").to_pylist() == [None, None] or stored.column("attackable")[0].as_py()


@pytest.mark.parametrize("classes", [("Real", "Fake"), ("Real", *(f"class {n}" for n in range(999)))])
def test_any_number_of_classes(classes: tuple[str, ...]) -> None:
    values = [(n + 1) / 1e6 for n in range(len(classes))]
    judged = replace(verdict(ROW), probabilities=" ".join(f"{value:.9g}" for value in values))
    assert npy_records.to_array(FrameVerdict, [judged])["probabilities"][0] == judged.probabilities
    table = shown(lines_of([STANDS], [], [judged]), classes)
    assert table[[f"p({name})" for name in classes]].iloc[0].tolist() == values


def test_a_run_of_an_earlier_version_has_its_flips_but_no_adversarial_image() -> None:
    (line,) = lines_of([ROW, WHOLE], [CENSORED]).to_dict("records")
    assert (line["flipped_by_region"], line["flipped_as_whole"], line["attackable"]) == (True, False, True)
    assert pd.isna([line["adversarial_flipped"], line["segments"], line["probabilities"]]).all()


def test_a_whole_run_says_what_its_rows_say() -> None:
    """Frame by frame, read naively; few flips are left, so that there is every outcome."""
    run, draws = plausible.finished(40, ("LIME", "LIME_adv", "RISE")), np.random.default_rng(0)
    kept = np.where(run.rows["method"] == "whole", 0.3, 0.003)
    rows = run.rows.assign(flipped_to_real=run.rows["flipped_to_real"] & (draws.random(len(run.rows)) < kept))
    reached = run.flip_thresholds["reached"] & (draws.random(len(run.flip_thresholds)) < 0.03)
    thresholds = run.flip_thresholds.assign(reached=reached)
    lines = frame_lines(tables(FrameVerdict, []), rows, thresholds, run.costs).set_index("key")
    outcomes = set()
    for key, own in rows.groupby("key"):
        line = lines.loc[key]
        if own["predicted"].iloc[0] == "Real":
            assert line[["flipped_by_region", "flipped_as_whole", "attackable"]].isna().all()
            continue
        whole = own["method"] == "whole"
        by_region = (
            own.loc[~whole, "flipped_to_real"].any() or thresholds.loc[thresholds["key"] == key, "reached"].any()
        )
        as_whole = own.loc[whole, "flipped_to_real"].any()
        assert (line["flipped_by_region"], line["flipped_as_whole"]) == (by_region, as_whole)
        assert line["attackable"] == (by_region or as_whole)  # NES and PGD tried the whole of each
        outcomes.add((bool(by_region), bool(as_whole)))
    assert len(outcomes) == 4
