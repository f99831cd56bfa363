"""CSV files: what begins like a formula is written as a text, and read back as it was; the rest is plain CSV."""

import ast
import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.csv_files import as_read, as_written, save_csv, save_records, save_rows
from data.entry import Entry
from data.index import read_index, write_index
from data.landmarks import read_landmarks, write_landmarks
from tests.test_layers import ROOT

FORMULAS = ["=1+1.png", "+a.png", "-1", "@SUM(A1).png", "\tx", "'=x", "''-x", "-a/b.png"]
PLAIN = ["a=b.png", "'a'", "", "1", "a-b", "'"]


def cells(path: Path, separator: str = ",") -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=separator))


@given(st.text() | st.text(st.sampled_from("'=+-@a\t"), max_size=6))
def test_no_text_is_written_as_a_formula_and_each_comes_back(text: str) -> None:
    written = as_written(text)
    assert not written.startswith(("=", "+", "-", "@"))
    assert as_read(written) == text


@given(st.text(st.sampled_from("'=+-@a"), min_size=1, max_size=6))
def test_two_texts_are_never_written_alike(text: str) -> None:
    assert as_written(text) != as_written(f"'{text}")


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert as_written(text) == text == as_read(text)


def test_a_formula_that_others_wrote_is_read_as_it_stands() -> None:
    assert [as_read(text) for text in ("=a.png", "-1")] == ["=a.png", "-1"]


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    save_rows(
        tmp_path / "a.csv", [["x", "y", "z"], [-1, -0.5, Decimal("-0.250")], [None, float("nan"), np.float64(-2)]]
    )
    assert (tmp_path / "a.csv").read_text() == "x,y,z\n-1,-0.5,-0.250\n,nan,-2.0\n"
    save_csv(tmp_path / "b.csv", pd.DataFrame({"x": [-1, 2], "y": [-0.5, np.nan]}), float_format="%.3f")
    assert (tmp_path / "b.csv").read_text() == "x,y\n-1,-0.500\n2,\n"


@pytest.mark.parametrize("kind", ["object", "category", "string"])
def test_tables_are_written_so_whatever_holds_their_texts(tmp_path: Path, kind: str) -> None:
    texts = [*FORMULAS, *PLAIN]
    table = pd.DataFrame({"key": pd.Series(texts, dtype=kind), "=n": range(len(texts))})
    save_csv(tmp_path / "a.csv", table)
    header, *rows = cells(tmp_path / "a.csv")
    assert header == ["key", "'=n"]
    assert [as_read(key) for key, _ in rows] == texts
    assert [key for key, _ in rows if key.startswith(("=", "+", "-", "@", "\t"))] == []


def test_a_harmless_table_is_the_very_same_as_pandas(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"key": ["a", "b", None], "n": [1.5, -2.0, np.nan], "flag": pd.array([True, None, False], "boolean")},
        index=["x", "y", "z"],
    )
    for index in (False, True):
        save_csv(tmp_path / "a.csv", table, "%.2f", index)
        assert (tmp_path / "a.csv").read_text() == table.to_csv(None, index=index, float_format="%.2f")
    save_csv(tmp_path / "a.csv", table.rename_axis("name"), index=True)
    assert (tmp_path / "a.csv").read_text() == table.rename_axis("name").to_csv(None)
    save_csv(tmp_path / "a.csv", table.iloc[:0])
    assert (tmp_path / "a.csv").read_text() == "key,n,flag\n"


def test_names_in_the_index_and_missing_fields(tmp_path: Path) -> None:
    save_csv(tmp_path / "a.csv", pd.DataFrame({"n": [1]}, index=["=x"]), index=True)
    assert (tmp_path / "a.csv").read_text() == ",n\n'=x,1\n"
    save_records(tmp_path / "b.csv", ["a", "b"], [{"b": "@x", "c": 1}, {"a": -1}])
    assert (tmp_path / "b.csv").read_text() == "a,b\n,'@x\n-1,\n"


@pytest.mark.parametrize("separator", [",", " "])
def test_an_index_holds_any_path(tmp_path: Path, separator: str) -> None:
    entries = [Entry(f"{name}x.png", True, None, "=train", f"{name}m.png") for name in ("=", "+ ", "-", "@", "'=", "")]
    write_index(tmp_path / "index.csv", entries, separator)
    assert read_index(tmp_path / "index.csv") == entries
    written = [cell for row in cells(tmp_path / "index.csv", separator) for cell in row]
    assert not [cell for cell in written if cell.startswith(("=", "+", "-", "@"))]


def test_an_index_of_others_may_hold_them_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("relative_path,bin_label,mc_label\n=a.png,1,\n'=b.png,1,\n'c'.png,1,\n")
    assert [entry.key for entry in read_index(tmp_path / "index.csv")] == ["=a.png", "=b.png", "'c'.png"]


def test_landmarks_come_back_with_their_key_and_signs(tmp_path: Path) -> None:
    points = np.arange(10.0).reshape(5, 2) - 4.5
    write_landmarks(tmp_path / "landmarks.csv", [("-a.png", points)])
    (_, row) = cells(tmp_path / "landmarks.csv")
    assert row[:3] == ["'-a.png", "-4.500", "-3.500"]
    np.testing.assert_array_equal(read_landmarks(tmp_path / "landmarks.csv")["-a.png"], points)


def test_nothing_else_writes_csv() -> None:
    """Every CSV file of the product goes through one place."""
    found = []
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] in ("tests", "findings", ".venv") or file.name == "csv_files.py":
            continue
        calls = (node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        if names & {"to_csv", "DictWriter"} or "csv.writer" in file.read_text():
            found.append(file.name)
    assert found == []
