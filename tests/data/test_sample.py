"""The selections of frames, published and spread, against naive twins."""

import random
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.console import application, status
from data.entry import Entry
from data.index import read_index, write_index
from data.sample import Rule, natural, published, sample, select, spread


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(2, 30))
def test_positions_are_those_of_linspace(total: int, count: int) -> None:
    positions = spread(total, count)
    assert len(positions) == len(set(positions)) == min(total, count)
    if total > count:
        exact = np.linspace(0, total - 1, count)
        assert positions[0] == 0
        assert positions[-1] == total - 1
        assert np.abs(np.array(positions) - exact).max() <= 0.5 + 1e-9
        assert max(np.diff(positions)) - min(np.diff(positions)) <= 1


def test_positions_by_hand() -> None:
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(4, 3) == [0, 2, 3]  # the exact middle, 1.5, goes up
    assert spread(3, 10) == [0, 1, 2]
    assert [spread(5, 1), spread(4, 1), spread(0, 3)] == [[2], [1], []]
    with pytest.raises(ValueError, match="at least 1"):
        spread(3, 0)


def twin(total: int, count: int) -> list[int]:
    """The published rule, said again one frame at a time, with decimal numbers' rounding to even."""
    step = max(int((Decimal(total) / Decimal(count)).to_integral_value(ROUND_HALF_EVEN)), 1)
    chosen: list[int] = []
    for position in range(total):
        if position % step == 0 and len(chosen) < count:
            chosen.append(position)
    first = list(chosen)
    while len(chosen) < count <= total:
        chosen.append(first[len(chosen) - len(first)] + 1)
    return sorted(chosen)


@pytest.mark.parametrize("count", [1, 3, 10, 16])
def test_the_published_rule_is_its_twins_for_every_length(count: int) -> None:
    for total in range(201):
        positions = published(total, count)
        assert positions == twin(total, count), total
        assert len(set(positions)) == min(total, count)
        assert all(0 <= position < max(total, 1) for position in positions)


def test_published_positions_by_hand() -> None:
    assert published(18, 10) == [0, 1, 2, 4, 6, 8, 10, 12, 14, 16]  # nine of every second, one more
    assert published(15, 10) == [0, 1, 2, 3, 4, 6, 8, 10, 12, 14]  # 1.5 is rounded to 2
    assert published(25, 10) == list(range(0, 20, 2))  # 2.5 is rounded to 2, so the last frames are left out
    assert published(14, 10) == list(range(10))
    assert published(3, 10) == [0, 1, 2]
    with pytest.raises(ValueError, match="at least 1"):
        published(3, 0)


def test_the_published_rule_counts_in_the_order_of_the_index() -> None:
    keys = [f"F/0/{number}.png" for number in (9, 100, 11, 2, 50, 3)]
    entries = [Entry(key, True, 1) for key in keys]
    assert [entry.key for entry in select(entries, 2)] == [keys[0], keys[3]]
    assert [entry.key for entry in select(entries, 2, Rule.SPREAD)] == [keys[1], keys[3]]  # the numbers 100 and 2


def naive(entries: list[Entry], count: int) -> list[Entry]:
    """The definition, said again with dictionaries of frame numbers."""
    keep = set()
    for video in {entry.video for entry in entries}:
        frames = {
            int(entry.key.split("_")[-1].removesuffix(".png")): entry for entry in entries if entry.video == video
        }
        numbers = sorted(number for number, entry in frames.items() if entry.fake)
        places = range(len(numbers)) if len(numbers) <= count else np.linspace(0, len(numbers) - 1, count) + 1e-9
        keep |= {frames[numbers[round(place)]].key for place in places}
    return [entry for entry in entries if entry.key in keep]


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 12))
def test_the_selection_is_the_naive_one(draw: random.Random, count: int) -> None:
    entries = []
    for video in range(4):
        fake = video != 2
        numbers = draw.sample(range(1000), draw.randrange(30))
        entries += [Entry(f"F/{video}/frame_{number}.png", fake, None if fake else 0) for number in numbers]
    draw.shuffle(entries)
    assert select(entries, count, Rule.SPREAD) == naive(entries, count)


def test_numbers_are_compared_as_numbers() -> None:
    names = ["v/frame10.png", "v/frame9.png", "v/frame09.png", "u/3.png", "v/a.png"]
    assert sorted(names, key=natural) == ["u/3.png", "v/a.png", "v/frame09.png", "v/frame9.png", "v/frame10.png"]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    entries = [
        Entry(f"{folder}/{frame}.png", fake, None if fake else 0, split)
        for folder, fake, split in [
            ("A/1", True, "test"),
            ("B/2", True, "train"),
            ("real/3", False, "test"),
            ("real/4", False, "val"),
        ]
        for frame in range(30)
    ]
    write_index(tmp_path / "index.csv", entries)
    return tmp_path / "index.csv"


def command(*arguments: object) -> int:
    app = application("test")
    app.command()(sample)
    return status(app, [str(argument) for argument in arguments])


def test_the_command_takes_one_split_and_only_fakes(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = index.parent / "sample.csv"
    assert command("--index", index, "--out", out, "--split", "test") == 0
    chosen = read_index(out)
    assert [entry.key for entry in chosen] == [f"A/1/{frame}.png" for frame in range(0, 30, 3)]
    assert "10 frames of 1 manipulated video, by the rule 'published'\n" in capsys.readouterr().out
    first = out.read_bytes()
    assert command("--index", index, "--out", out, "--split", "test") == 0
    assert out.read_bytes() == first
    assert command("--index", index, "--out", out, "--split", "test", "--rule", "spread") == 0
    spread_keys = [entry.key for entry in read_index(out)]
    assert spread_keys == [f"A/1/{frame}.png" for frame in (0, 3, 6, 10, 13, 16, 19, 23, 26, 29)]
    assert command("--index", index, "--out", out, "--per-video", 40) == 0
    captured = capsys.readouterr()
    assert len(read_index(out)) == 60
    assert "warning: fewer than 40 frames in 2 of 2 videos" in captured.err


def test_labels_in_doubt_stay_marked_and_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [Entry(f"A/{video}/{n}.png", True, None, faces=3 if video else None) for video in (0, 1) for n in (0, 1)]
    write_index(tmp_path / "index.csv", entries)
    assert command("--index", tmp_path / "index.csv", "--out", tmp_path / "sample.csv", "--per-video", 1) == 0
    assert [entry.faces for entry in read_index(tmp_path / "sample.csv")] == [None, 3]
    said = capsys.readouterr().err
    assert said.startswith("warning: 1 of 2 frames (of 1 video, such as A/1) may have the wrong label: several faces")


def test_masks_sources_and_families_without_a_class_are_kept(tmp_path: Path) -> None:
    entries = [
        Entry(
            f"manipulated_sequences/FaceShifter/c23/videos/1.mp4/{n:05d}_0.png",
            True,
            None,
            "test",
            f"masks/{n}",
            f"real/{n}",
        )
        for n in range(3)
    ]
    write_index(tmp_path / "index.csv", [*entries, Entry("real/0", False, 0, "test")])
    assert command("--index", tmp_path / "index.csv", "--out", tmp_path / "sample.csv", "--per-video", 2) == 0
    assert read_index(tmp_path / "sample.csv") == [entries[0], entries[2]]  # every second of three


@pytest.mark.parametrize(
    ("split", "says"),
    [("val", "no manipulated frames"), ("nope", "no frame of the split 'nope'; its splits: test, train, val")],
)
def test_an_empty_selection_is_refused(index: Path, split: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = index.parent / "sample.csv"
    assert command("--index", index, "--out", out, "--split", split) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert not out.exists()
