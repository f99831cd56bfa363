"""A run that commit 380fa60 left is read, compared, and gives the same numbers; it is not continued.

saved/380fa60 is `evaluate.py --method LIME --method LIME_adv --limit 3 --attack nes --attack pgd` with tiny settings,
its pictures removed and two of its three frames packed by that commit; saved/tables-380fa60 holds tables that it made.
"""

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

import evaluate
from analysis.adversarial_images import adversarial_share
from common import console
from common.errors import InputError
from data.frames import Frame
from reporting.conclusions import counts
from reporting.products import write_products
from runs import parquet_records
from runs.chosen_parts import chosen_protocol
from runs.configuration import FORMAT, Configuration, DetectorIdentity, FramesIdentity
from runs.earlier_names import renamed_protocol
from runs.run import score_frames
from runs.run_folder import RunFolder, Shard
from runs.selection import demo_selection
from runs.stored_run import read_stored_run
from scoring.costs import ProgressCallback
from scoring.records import UNKNOWN, Row
from scoring.scored import Scored

SAVED = Path(__file__).parent / "saved"
TABLES = SAVED / "tables-380fa60"
BASELINES = ["random", "random-area", "bottom-k", "whole", "oracle", "mask"]
NAME = "LIME+LIME_adv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAVED / "380fa60", tmp_path / "run"))


def configuration(folder: Path) -> Configuration:
    """What made the run, as its own version described it, under today's names."""
    stored = read_stored_run(folder).configuration
    values = {field.name: stored[field.name] for field in fields(Configuration) if field.name in stored}
    tuples = {name: tuple(values[name]) for name in ("methods", "segmentations", "budgets")}
    detector = DetectorIdentity(**{**stored["detector"], "class_names": tuple(stored["detector"]["class_names"])})
    return Configuration(**{**values, **tuples, "detector": detector, "frames": FramesIdentity(**stored["frames"])})


def nobody(frame: Frame, on_stage: ProgressCallback) -> Scored:
    raise AssertionError(f"{frame.key} is scored again")


def test_its_frames_are_read_whether_packed_or_not(folder: Path) -> None:
    run = read_stored_run(folder)
    assert len(run.rows) == 3
    assert set(run.rows.columns["attack"]) == {"nes", "pgd"}
    precision = run.rows.by("method")["mask"].mean("mask_precision")
    assert ((precision > 0.3) & (precision <= 1)).all()
    assert run.configuration["protocol"]["baselines"] == [
        "random",
        "random-area",
        "bottom-k",
        "whole",
        "oracle",
        "mask",
    ]
    assert run.configuration["protocol"]["flip_thresholds"] == ["budget"]
    assert "arms" not in run.configuration["protocol"]


def test_it_is_not_continued_and_one_line_says_so(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    own = RunFolder(folder)
    refused = r"its format was 3 and is now \d+, so it is read and compared, but not continued; give another --run NAME"
    with own.locked(Shard()), pytest.raises(InputError, match=refused) as told:
        score_frames(own, replace(configuration(folder), format=FORMAT), demo_selection(3), nobody)
    assert "\n" not in str(told.value)
    assert {file: file.read_bytes() for file in before} == before


def test_its_rows_say_no_queries_and_those_of_nes_are_its_forwards(folder: Path) -> None:
    own = RunFolder(folder)
    rows = parquet_records.to_frame(own.tables(own.keys())[Row])
    assert set(rows["queries"]) == {UNKNOWN}
    asked = read_stored_run(folder).flip_thresholds.by("measure")["queries"]
    assert set(asked.columns["attack"]) == {"nes"}
    chosen = rows[(rows["attack"] == "nes") & (rows["method"] == "LIME") & (rows["depth"] == "3")]
    (column,) = asked.columns.index[asked.columns["method"] == "LIME"]
    assert asked.read("value", column).tolist() == chosen["forwards"].tolist()


def test_what_flips_its_frames_is_known_and_its_adversarial_images_are_not(folder: Path) -> None:
    frames = read_stored_run(folder).frames
    assert len(frames) == 3
    assert adversarial_share(frames).images == 0
    (column,) = frames.columns.index
    assert frames.read("whole_attacks", column).tolist() == [2, 2, 2]
    assert set(frames.read("flipped_by_region", column)) <= {0.0, 1.0}


CORRECTED = re.compile(r"(.*difference|score|flips|drop|flip_rate)_(low|high)")
"""Intervals, which are now corrected like the tests beside them, or left out with fewer videos than a test needs."""


def renamed(column: str) -> str:
    """Today's name of a column; the published table's first one had none."""
    return "method" if column.startswith("Unnamed") else column.replace("inside", "mask_precision")


def test_its_tables_hold_the_same_numbers(folder: Path) -> None:
    wanted = configuration(folder)
    results = write_products(RunFolder(folder), NAME, json.loads(wanted.to_json()), demo_selection(3).keys, {})
    assert len(results.rows) == 3
    assert not (folder / "frames.csv").exists()
    assert "It is not known on how many frames" in (folder / "report.html").read_text()
    said = counts(results.rows, results.summary, results.failures, results.frames)
    assert "It is not known on how many frames the adversarial image flips the verdict." in said
    for table in TABLES.iterdir():
        expected = pd.read_csv(table, keep_default_na=False).rename(columns=renamed)
        same = [column for column in expected if not CORRECTED.fullmatch(column) and column != "verdict"]
        ours = pd.read_csv(folder / table.name, keep_default_na=False)
        pd.testing.assert_frame_equal(ours[same], expected[same], check_dtype=False, obj=table.name)
    summary = pd.read_csv(folder / "summary.csv")
    assert not summary["trusted"].any()  # no face-centre in this run, and three videos
    assert summary["score_low"].isna().all()
    rows = pd.read_csv(folder / f"rows_{NAME}.csv")
    assert rows.loc[rows["method"] == "mask", "mask_precision"].between(0.3, 1).all()


def test_it_is_compared_with_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.status(evaluate.app, ["compare", str(folder), str(SAVED / "380fa60")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Their configurations are the same." in printed
    assert printed.count("It is not known on how many frames the adversarial image flips the verdict.") == 2
    assert "No score is shown to have moved." in printed


def test_the_settings_old_names_are_taken() -> None:
    given = renamed_protocol({"grade_steps": "3", "grades": "budget"})
    protocol = chosen_protocol("quick", (), given)
    assert (protocol.threshold_steps, protocol.flip_thresholds) == (3, ("budget",))


def test_one_setting_under_both_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"protocol.grades is the earlier name of protocol.flip_thresholds"):
        renamed_protocol({"flip_thresholds": "fraction", "grades": "budget"})
