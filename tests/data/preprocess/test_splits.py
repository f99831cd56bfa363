"""Official splits, and splits by time."""

import json
from pathlib import Path

import pytest

from common.errors import InputError
from data.preprocess.splits import NAMES, TimeSplit, official_splits


def test_the_official_splits(ffpp: Path) -> None:
    splits = official_splits(ffpp / "splits")
    assert (splits["519"], splits["750"], splits["004"], splits["634"]) == ("train", "train", "val", "test")
    counts = {name: list(splits.values()).count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 720, "val": 140, "test": 140}


@pytest.mark.parametrize("pairs", ['[["4", "5"]]', '[["004", "0005"]]', "[[4, 5]]", '[["00004", 5]]'])
def test_ids_are_compared_as_numbers(tmp_path: Path, pairs: str) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.json").write_text(pairs if name == "val" else "[]")
    splits = official_splits(tmp_path)
    assert [splits.get(identity) for identity in ("004", "4", "005", "40", "000", "", "actor 4", "id4", "٤")] == [
        *("val", "val", "val"),
        *[None] * 6,
    ]
    assert splits.remark({"a": "004", "b": "5"}) is None


def test_videos_that_no_split_knows_are_told(tmp_path: Path) -> None:
    for name, pairs in (("train", '[["0", "x_7"]]'), ("val", "[]"), ("test", '[["12", "13"]]')):
        (tmp_path / f"{name}.json").write_text(pairs)
    splits = official_splits(tmp_path)
    assert (splits["000"], splits["x_7"], splits["012"]) == ("train", "train", "test")
    known = {"a/000.mp4": "000", "b/012_000.mp4": "012"}
    assert splits.remark(known) is None
    some = splits.remark({**known, "c/02__hall.mp4": "actor 02", "d/99.mp4": "99"})
    assert some == f"2 of 4 videos are in no split of {tmp_path}, such as c/02__hall.mp4 (id actor 02)"
    with pytest.raises(
        InputError, match=r"no split knows any of the 1 videos, such as d/99\.mp4 \(id 99\).*0, x_7, 12"
    ):
        splits.remark({"d/99.mp4": "99"})


def test_a_split_by_time_equals_its_naive_twin() -> None:
    split = TimeSplit(0.7, 0.25)
    for frames in (1, 2, 10, 309, 751):
        names = [split.of(position, frames) for position in range(frames)]
        expected = [None] * frames
        for position in range(round(0.7 * frames)):
            expected[position] = "train"
        for position in range(round(0.25 * frames)):
            expected[frames - 1 - position] = "test"
        assert names == expected
    assert [split.of(position, 100) for position in (69, 70, 74, 75)] == ["train", None, None, "test"]


def test_shares_that_do_not_fit_are_refused() -> None:
    assert TimeSplit(0.7, 0.3).of(70, 100) == "test"
    for train, test in ((0.8, 0.3), (0, 0.5), (0.5, 0), (-1, 0.5), (float("nan"), 0.2)):
        with pytest.raises(InputError, match="two positive shares"):
            TimeSplit(train, test)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ('{"a": 1}', "expected a list of pairs"),
        ('["000"]', "expected a list of pairs"),
        ("[[0.5, 1]]", "ids are texts or whole numbers"),
        ("[[true, false]]", "ids are texts or whole numbers"),
        ("[[4, 0]]", r"the id 0 is in train\.json too"),
        ('[["000", "005"]]', r"the id 000 is in train\.json too"),
    ],
)
def test_bad_split_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    for name, pairs in (("train", [["000", "001"]]), ("val", [["002", "003"]])):
        (tmp_path / f"{name}.json").write_text(json.dumps(pairs))
    with pytest.raises(InputError, match=r"test\.json: no such split file"):
        official_splits(tmp_path)
    (tmp_path / "test.json").write_text(content)
    with pytest.raises(InputError, match=rf"test\.json: .*{message}"):
        official_splits(tmp_path)
