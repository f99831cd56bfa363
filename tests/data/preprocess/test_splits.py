"""Official splits, and splits by time."""

import json
from pathlib import Path

import pytest

from common.errors import InputError
from data.preprocess.splits import TimeSplit, official_splits


def test_the_official_splits(ffpp: Path) -> None:
    splits = official_splits(ffpp / "splits")
    assert (splits["519"], splits["750"], splits["004"], splits["634"]) == ("train", "train", "val", "test")
    counts = {name: list(splits.values()).count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 720, "val": 140, "test": 140}


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
        ("[[0, 1]]", "ids are strings"),
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
