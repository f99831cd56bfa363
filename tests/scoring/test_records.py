"""Rows come back from disk as they were, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from runs import npy_records
from scoring import records
from scoring.records import MetricValue, Row

VALUE = MetricValue("a.png", "a", "", 0, "slic-50", "LIME", "mean", "deletion", float("nan"), "lower", "", 1)
ROW = Row(
    key="manipulated_sequences/FaceSwap/c23/videos/000_003.mp4/0001.png",
    video="manipulated_sequences/FaceSwap/c23/videos/000_003.mp4",
    family="FaceSwap",
    label=4,
    predicted="FaceSwap",
    correct=1,
    target="FaceSwap",
    seed=0,
    segmentation="slic-50",
    method="LIME",
    of="",
    draw=0,
    fill="segment_mean",
    weak=False,
    completeness_error=-1.0,
    stability=0.8,
    attack="nes",
    epsilon=16 / 255,
    depth="1",
    k=1,
    area=0.02,
    mask_precision=0.75,
    before=0.9,
    after=0.1 + 0.2,
    drop=0.6,
    predicted_after="Real",
    correct_after=0,
    flipped_to_real=True,
    linf=16 / 255,
    steps=7,
    forwards=74,
    queries=567,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)


@given(texts, texts, st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_value_comes_back(key: str, method: str, value: float, steps: int, flag: bool) -> None:
    first = replace(ROW, key=key, method=method, before=value, steps=steps, weak=flag)
    array = npy_records.to_array(Row, [first, ROW])
    for found, row in zip(array, (first, ROW), strict=True):
        assert Row(*found.tolist()) == row


def test_files_hold_rows_without_pickle(tmp_path: Path) -> None:
    array = npy_records.to_array(Row, [ROW, replace(ROW, k=2, label=-1, family="")])
    npy_records.save_records(tmp_path / "a.npy", array)
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    assert np.array_equal(npy_records.load_records(tmp_path / "a.npy", Row), array)


def test_a_text_that_numpy_would_cut_is_refused() -> None:
    with pytest.raises(InputError, match=r"the key .* of its rows cannot be stored: it ends in a null .*; rename it"):
        npy_records.to_array(Row, [replace(ROW, key="ends with nothing\0")])


@pytest.mark.parametrize(("kind", "record"), [(Row, replace(ROW, drop=float("nan"))), (MetricValue, VALUE)])
def test_a_number_that_is_none_is_said_to_be_that_and_no_matter_of_names(kind: type, record: Any) -> None:
    with pytest.raises(
        InputError, match=r"the (drop|value) nan of its (rows|metric values) cannot be stored"
    ) as caught:
        npy_records.to_array(kind, [record])
    assert "rename" not in str(caught.value)


def test_stacking_keeps_the_longest_text() -> None:
    long = replace(ROW, key="ä" * 500)
    stacked = npy_records.stack(
        Row, [npy_records.to_array(Row, [ROW]), npy_records.to_array(Row, [long]), npy_records.to_array(Row, [ROW])]
    )
    assert stacked["key"].tolist() == [ROW.key, long.key, ROW.key]
    assert len(npy_records.stack(Row, [])) == 0


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    npy_records.save_records(tmp_path / "whole.npy", npy_records.to_array(Row, [ROW] * 3))
    whole = (tmp_path / "whole.npy").read_bytes()
    for length in {0, 1, 5, 9, 40, 200, len(whole) // 2, len(whole) - 1}:
        (tmp_path / "cut.npy").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.npy"):
            npy_records.load_records(tmp_path / "cut.npy", Row)


@pytest.mark.parametrize("content", ["objects", "other", "zip", "header"])
def test_other_content_is_refused_and_never_unpickled(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.npy"
    if content == "objects":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif content == "other":
        np.save(path, np.zeros(3))
    elif content == "zip":
        with open(path, "wb") as file:
            np.savez(file, np.zeros(3))
    else:
        path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': __a)))(" + b" " * 20)
    with pytest.raises(InputError, match=r"x\.npy"):
        npy_records.load_records(path, Row)


def test_what_is_unknown_is_empty_in_the_csv() -> None:
    unknown = replace(ROW, label=-1, family="", correct=-1, correct_after=-1)
    table = records.tidy(pd.DataFrame(npy_records.to_array(Row, [unknown, ROW])))
    assert list(table.columns) == list(npy_records.column_names(Row))
    for name in ("label", "family", "correct", "correct_after"):
        assert table[name].isna().tolist() == [True, False]
    line = table.to_csv(index=False).splitlines()[1].split(",")
    assert [
        line[npy_records.column_names(Row).index(name)] for name in ("family", "label", "correct", "correct_after")
    ] == [""] * 4
    assert pd.api.types.is_bool_dtype(table["flipped_to_real"])
