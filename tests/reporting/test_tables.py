"""The tables, against naive twins and the published shape."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.summary import summarise_methods
from reporting import tables
from reporting.tables import PUBLISHED_COLUMNS, flat_summary, published
from runs import npy_records, parquet_records, row_files
from runs.run_names import results_name
from runs.score_table import as_score_table
from scoring.costs import Cost, FrameCost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row
from tests.analysis.made_up import at_random, make, table, unseen

METHODS = ("LIME", "SOBOL", "RISE", "random")
CHANCE = {"LIME": 0.9, "SOBOL": 0.6, "RISE": 0.3, "random": 0.1}

GRADE = FlipThreshold(
    "a.png", "a", "FaceSwap", 0, "slic-50", "LIME", "", 0, "segment_mean", "pgd", "budget", 2 / 255, True
)
COLUMNS = """
Sufficiency DF Top 1,Sufficiency DF Top 2,Sufficiency DF Top 3,
Sufficiency F2F Top 1,Sufficiency F2F Top 2,Sufficiency F2F Top 3,
Sufficiency FS Top 1,Sufficiency FS Top 2,Sufficiency FS Top 3,
Sufficiency NT Top 1,Sufficiency NT Top 2,Sufficiency NT Top 3,
Accuracy,
Accuracy DF (Top 1),Accuracy DF Top 2,Accuracy DF Top 3,
Accuracy F2F (Top 1),Accuracy F2F Top 2,Accuracy F2F Top 3,
Accuracy FS (Top 1),Accuracy FS Top 2,Accuracy FS Top 3,
Accuracy NT (Top 1),Accuracy NT Top 2,Accuracy NT Top 3
"""


def test_the_published_columns_exactly() -> None:
    assert ",".join(PUBLISHED_COLUMNS) == COLUMNS.replace("\n", "")
    assert len(PUBLISHED_COLUMNS) == 25


def test_the_published_table_is_its_naive_twin() -> None:
    made = make(at_random(0, CHANCE), METHODS, videos=8, frames=3)
    made = [unseen(row) if row.key.endswith("000/1.png") else row for row in made]
    found = published(table(made))
    assert list(found.index) == ["Original", *METHODS]
    names = {"DF": "Deepfakes", "F2F": "Face2Face", "FS": "FaceSwap", "NT": "NeuralTextures"}
    for short, family in names.items():
        for k in (1, 2, 3):
            for method in METHODS:
                mine = [row for row in made if (row.family, row.k, row.method) == (family, k, method)]
                drops = [row.drop for row in mine if row.predicted != "Real"]
                kept = [row.correct_after for row in mine]
                column = f"Accuracy {short} (Top 1)" if k == 1 else f"Accuracy {short} Top {k}"
                assert found.loc[method, f"Sufficiency {short} Top {k}"] == round(float(np.mean(drops)), 3)
                assert found.loc[method, column] == round(float(np.mean(kept)), 3)
    assert found["Accuracy"].tolist()[0] == round(23 / 24, 3)
    assert found["Accuracy"].isna().tolist() == [False] + [True] * 4


def test_the_original_row_has_accuracies_only() -> None:
    original = published(table(make(at_random(1, CHANCE), METHODS))).loc["Original"]
    given = set(original.dropna().index)
    assert given == {"Accuracy", *(f"Accuracy {short} (Top 1)" for short in ("DF", "F2F", "FS", "NT"))}


def test_a_family_without_a_column_counts_in_the_overall_accuracy() -> None:
    made = [replace(row, family="FaceShifter", label=-1, correct=0) for row in make(at_random(2, CHANCE), METHODS)]
    found = published(table(made))
    assert found.loc["Original", "Accuracy"] == 0.0
    assert found.drop(columns="Accuracy").isna().all(axis=None)


def test_three_decimals_and_empty_cells(tmp_path: Path) -> None:
    made = [replace(row, drop=-0.0001) for row in make(at_random(3, CHANCE), METHODS, videos=2)]
    write(tmp_path, made)
    lines = (tmp_path / "scores_All.csv").read_text().splitlines()
    assert lines[0] == "method," + COLUMNS.replace("\n", "")
    assert lines[1].startswith("Original,,,,")
    assert "-0.000" not in "".join(lines)
    cells = [cell for line in lines[1:] for cell in line.split(",")[1:]]
    assert all(cell == "" or len(cell.split(".")[1]) == 3 for cell in cells)


def write(folder: Path, made: list[Row], name: str = "All", flip_thresholds: bool = False) -> list[Path]:
    scores, files = as_score_table(table(made)), []
    kept = {Row: made, FlipThreshold: [GRADE] if flip_thresholds else [], MetricValue: [], FrameVerdict: []}
    found = {
        kind: parquet_records.to_frame(parquet_records.of_array(kind, npy_records.to_array(kind, each)))
        for kind, each in kept.items()
    }
    with row_files.row_files(folder, name, len(made), files) as take:
        take({**found, FrameCost: parquet_records.to_frame(parquet_records.of_values(FrameCost, []))})
    return [*tables.write_tables(folder, name, scores, summarise_methods(scores)), *files]


def test_every_attack_has_its_table_and_the_first_the_plain_name(tmp_path: Path) -> None:
    files = write(tmp_path, make(at_random(4, CHANCE), METHODS, attacks=("nes", "torchattacks:CW")), "LIME+own")
    assert [path.name for path in files] == [
        "scores_LIME+own.csv",
        "scores_LIME+own_torchattacks-CW.csv",
        "summary_LIME+own.csv",
        "rows_LIME+own.csv",
        "results_LIME+own.npy",
    ]
    assert all(path.is_file() for path in files)


def test_the_tidy_table_and_the_stack_hold_every_row(tmp_path: Path) -> None:
    made = make(at_random(5, CHANCE), METHODS)
    write(tmp_path, made)
    assert [Row(*item) for item in npy_records.load_records(tmp_path / "results_All.npy", Row).tolist()] == made
    tidy = pd.read_csv(tmp_path / "rows_All.csv")
    assert list(tidy.columns) == list(npy_records.column_names(Row))
    assert tidy["drop"].tolist() == [row.drop for row in made]


def test_grades_have_a_table_where_there_are_any(tmp_path: Path) -> None:
    files = write(tmp_path, make(at_random(5, CHANCE), METHODS), flip_thresholds=True)
    assert tmp_path / "grades_All.csv" in files
    (only,) = pd.read_csv(tmp_path / "grades_All.csv", keep_default_na=False).to_dict("records")
    assert only == asdict(GRADE)


def test_only_the_main_condition_is_in_the_published_table() -> None:
    made = make(at_random(5, CHANCE), METHODS)
    swept = [replace(row, epsilon=1 / 255, drop=9.0) for row in made]
    others = [replace(row, segmentation="slic-100", drop=9.0) for row in made]
    baselines = [replace(row, method="bottom-k", of="LIME") for row in made if row.method == "LIME"]
    pd.testing.assert_frame_equal(published(table(made + swept + others + baselines)), published(table(made)))


def test_the_statistics_as_a_table() -> None:
    summary = summarise_methods(table(make(at_random(6, CHANCE), METHODS)))
    found = flat_summary(summary)
    assert len(found) == len(summary.lines)
    assert {"flip_rate", "flip_rate_low", "drop", "accuracy_high", "area", "weak"} <= set(found.columns)
    assert {"flip_rate_vs_random_difference_low", "drop_vs_random_p"} <= set(found.columns)
    first = summary.lines[0]
    assert found.loc[0, "flip_rate_high"] == first.flip_rate.high
    assert found.loc[0, "flip_rate_vs_random_p_holm"] == first.flip_rate_vs_random.p_holm


def test_costs_and_failures(tmp_path: Path) -> None:
    row_files.write_costs(tmp_path, {"a, b.png": [Cost("verdict", 1, 1, 0.12345), Cost("LIME", 150, 5, 2.0)], "c": []})
    assert (tmp_path / "costs.csv").read_text() == (
        'key,stage,forwards,calls,seconds\n"a, b.png",verdict,1,1,0.123\n"a, b.png",LIME,150,5,2.000\n'
    )
    row_files.write_failures(tmp_path, {"x.png": 'no "x", sorry'})
    assert (tmp_path / "failures.csv").read_text() == 'key,stage,reason\nx.png,,"no ""x"", sorry"\n'
    row_files.write_failures(tmp_path, {})
    assert (tmp_path / "failures.csv").read_text() == "key,stage,reason\n"


@pytest.mark.parametrize(
    ("methods", "name"),
    [
        (["LIME"], "LIME"),
        (["LIME", "RISE_adv"], "LIME+RISE_adv"),
        (["my.module:Mine"], "my.module-Mine"),
        (["../x"], "..-x"),
    ],
)
def test_names_of_files(methods: list[str], name: str) -> None:
    assert results_name(methods) == name


def test_missing_numbers_stay_missing() -> None:
    summary = summarise_methods(table([unseen(row) for row in make(at_random(7, CHANCE), METHODS)]))
    assert all(math.isnan(line.area) for line in summary.lines)
    assert flat_summary(summary)["flip_rate"].isna().all()
