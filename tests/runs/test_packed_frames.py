"""Frames packed into column files: the same as in files of their own, whatever happens in between."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import InputError
from data.frames import CLASS_NAMES
from reporting.products import write_products
from runs import drift, gathering, parquet_records, row_files
from runs import run_folder as folder_module
from runs.gathering import gather
from runs.packed_frames import FOLDERS
from runs.run_folder import RunFolder
from runs.seals import Seals
from runs.stored_run import read_stored_run
from scoring.costs import Cost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row
from tests.analysis.made_up import at_random, table, unseen, verdict
from tests.analysis.made_up import make as make_rows
from tests.reporting.test_tables import GRADE

CHANCE = {"LIME": 0.8, "SHAP": 0.5, "RISE": 0.2, "random": 0.1}
CONFIGURATION = {"seed": 0, "attacks": {"nes": {"attack": "nes"}}, "detector": {"class_names": list(CLASS_NAMES)}}
COSTS = [Cost("verdict", 1, 1, 0.25), Cost("LIME", 150, 5, 1.5), Cost("LIME", 10, 5, 0.5)]
MEASURED = MetricValue("a.png", "a", "FaceSwap", 0, "slic-50", "LIME", "mean", "deletion", 0.5, "lower", "", 32)


KILLED = """
import os, signal, sys
from pathlib import Path
from runs import parquet_records
from runs.run_folder import RunFolder

folder, left, write = RunFolder(Path(sys.argv[1])), {writes}, parquet_records.write_table
keys = folder.keys()

def counted(*given):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    write(*given)

def removing(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

parquet_records.write_table = counted
if left == 5:
    Path.unlink = removing
folder.pack(keys)
"""


def frames() -> dict[str, list[Row]]:
    made = make_rows(at_random(0, CHANCE), tuple(CHANCE), videos=9, frames=2)
    made = [unseen(row) if row.key.endswith("003/1.png") else row for row in made]
    return {key: [row for row in made if row.key == key] for key in dict.fromkeys(row.key for row in made)}


def fill(path: Path, pack: int = 0) -> tuple[RunFolder, list[str]]:
    """A folder with frames, of which so many are packed, not the first ones and in another order."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIGURATION))
    folder = RunFolder(path)
    for number, (key, rows) in enumerate(frames().items()):
        flip_thresholds = [replace(GRADE, key=key, video=rows[0].video, value=number / 255)] if number % 3 else []
        metric_values = [replace(MEASURED, key=key, video=rows[0].video, undefined="" if number % 2 else "no mask")]
        kept = {Row: rows, FlipThreshold: flip_thresholds, MetricValue: metric_values, FrameVerdict: [verdict(rows[0])]}
        folder.save(key, kept, COSTS)
    keys = list(frames())
    if pack:
        folder.pack(keys[-1 : -1 - pack : -1])
    return folder, keys


def products(path: Path, pack: int) -> dict[str, bytes]:
    folder, keys = fill(path, pack)
    write_products(folder, "All", CONFIGURATION, keys, {})
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def test_a_packed_frame_comes_back_as_it_was(tmp_path: Path) -> None:
    loose, keys = fill(tmp_path / "loose")
    fill(tmp_path / "packed", 7)
    assert len(list((tmp_path / "packed" / "frames").glob("*.npy"))) == len(keys) - 7
    assert len(list((tmp_path / "packed" / "costs").glob("*.json"))) == len(keys) - 7
    again = RunFolder(tmp_path / "packed")  # another process, later
    assert again.missing([*keys, "new.png"]) == ["new.png"]
    for key in keys:
        one, other = loose.finished(key), again.finished(key)
        assert one is not None
        assert other is not None
        for kind in FOLDERS:
            assert np.array_equal(one[kind], other[kind])
            assert one[kind].dtype == other[kind].dtype
        assert again.costs(key) == loose.costs(key) == COSTS
    assert again.finished("new.png") is None


@pytest.mark.parametrize("pack", [0, 7])
def test_files_that_macos_puts_beside_a_run_change_nothing(
    tmp_path: Path, pack: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `._NAME` for every file and folder, and a `.DS_Store`, as on disks of other systems."""
    path = tmp_path / "run"
    fill(path, pack)
    (path / "drift").mkdir()
    first = read_stored_run(path)
    for file in [*path.rglob("*")]:
        (file.parent / f"._{file.name}").write_bytes(b"\0\5\x16\7")
    (path / "frames" / ".DS_Store").write_bytes(b"\0")
    again = read_stored_run(path)
    assert again.rows.frames.equals(first.rows.frames)
    assert RunFolder(path).missing([*frames(), "new.png"]) == ["new.png"]
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """The products of frames with files of their own."""
    path = tmp_path_factory.mktemp("whole")
    return path, products(path, 0)


def test_products_are_the_same_wherever_frames_lie(tmp_path: Path, whole: tuple[Path, dict[str, bytes]]) -> None:
    files = {"scores_All.csv", "summary.csv", "rows_All.csv", "results_All.npy", "costs.csv", "frames.csv"}
    assert files <= set(whole[1])
    assert products(tmp_path, 7) == whole[1]


def test_many_rows_give_the_same_numbers_in_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, dict[str, bytes]]
) -> None:
    """The way of a run of millions of rows, on few: several batches, parts, column files. Numbers are equal exactly."""
    path, small = whole
    monkeypatch.setattr(row_files, "MOST_ROWS", 100)
    monkeypatch.setattr(gathering, "BATCH", 5)
    large = products(tmp_path, 12)
    tidy = {"rows_All", "grades_All", "metrics_All", "costs", "frames"}
    assert set(small) - set(large) == {*(f"{name}.csv" for name in tidy), "results_All.npy"}
    assert set(large) - set(small) == {f"{name}.parquet" for name in tidy}
    for name in set(small) & set(large):
        assert large[name] == small[name], name
    for name in tidy:
        one = pd.read_csv(path / f"{name}.csv", dtype={"depth": str})
        other = pd.read_parquet(tmp_path / f"{name}.parquet")
        texts = {column: other[column].astype(object) for column in other.select_dtypes("category")}
        other = other.assign(**{each: values.where(values != "") for each, values in texts.items()})
        if name == "grades_All":  # in which what NES needed follows the other grades of each batch
            order = ["key", "measure", "method"]
            one, other = (each.sort_values(order, kind="stable", ignore_index=True) for each in (one, other))
        pd.testing.assert_frame_equal(one, other[one.columns], check_dtype=False, check_exact=True)


def test_the_other_format_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, keys = fill(tmp_path)
    gather(folder, CONFIGURATION, keys, "All")
    with monkeypatch.context() as patched:
        patched.setattr(row_files, "MOST_ROWS", 100)
        gather(folder, CONFIGURATION, keys, "All")
    assert not list(tmp_path.glob("*.csv")) + list(tmp_path.glob("results_*.npy"))
    gather(folder, CONFIGURATION, keys, "All")
    assert not list(tmp_path.glob("*.parquet"))


def test_runs_are_compared_wherever_their_frames_lie(tmp_path: Path) -> None:
    fill(tmp_path / "loose")
    fill(tmp_path / "packed", 11)
    one, other = read_stored_run(tmp_path / "loose").rows, read_stored_run(tmp_path / "packed").rows
    assert sorted(one.frames["key"]) == sorted(other.frames["key"])
    assert one.overall("drop") == pytest.approx(other.overall("drop"))


def test_products_are_the_same_where_parts_hold_frames_by_turns(
    tmp_path: Path, whole: tuple[Path, dict[str, bytes]]
) -> None:
    folder, keys = fill(tmp_path)
    folder.pack(keys[1::2])
    folder.pack(keys[::2])
    assert folder.missing(keys) == []
    write_products(folder, "All", CONFIGURATION, keys, {})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == whole[1]


def test_frames_are_packed_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "PACK", 4)
    _, keys = fill(tmp_path)
    assert len(list((tmp_path / "frames").glob("part-*.parquet"))) == len(keys) // 4
    assert len(list((tmp_path / "frames").glob("*.npy"))) == len(keys) % 4
    assert RunFolder(tmp_path).missing(keys) == []


@pytest.mark.parametrize("writes", [0, 4, 5])
def test_killed_while_packing_nothing_is_lost(tmp_path: Path, writes: int) -> None:
    """SIGKILL before a part's first file, before its rows, and when all is written and the small files are to go."""
    whole, keys = fill(tmp_path / "whole")
    fill(tmp_path / "run")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KILLED.format(writes=writes), str(tmp_path / "run")]
    assert subprocess.run(command, cwd=root, check=False).returncode == -signal.SIGKILL
    again = RunFolder(tmp_path / "run")
    assert again.missing(keys) == []
    for folder in (whole, again):
        gather(folder, CONFIGURATION, keys, "All")
    for name in ("rows_All.csv", "grades_All.csv", "metrics_All.csv", "costs.csv", "frames.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_frames_of_a_part_that_cannot_be_read_are_scored_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, keys = fill(tmp_path, 18)
    (part,) = (tmp_path / "frames").glob("part-*.parquet")
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-50])
    else:
        pd.DataFrame({"key": ["a"]}).to_parquet(part)
    assert RunFolder(tmp_path).missing(keys) == keys
    told = capsys.readouterr().err
    assert part.name in told
    assert "its frames are left out until the run's command has scored them again" in told


@pytest.mark.parametrize("kind", ["frames", "grades", "metrics", "verdicts", "costs"])
def test_a_bit_anywhere_in_a_part_is_noticed_before_anything_is_scored(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the first pages, in the last, and in what ends the file, which no checksum of pages covers."""
    _, keys = fill(tmp_path, 18)
    (part,) = (tmp_path / kind).glob("part-*.parquet")
    whole = part.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 40).astype(int).tolist():
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert RunFolder(tmp_path).missing(keys) == keys, at
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert str(part) in told
    part.unlink()
    assert RunFolder(tmp_path).missing(keys) == keys
    assert f"{part} is gone" in capsys.readouterr().err or kind == "frames"


def test_damage_while_a_run_is_read_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    _, keys = fill(tmp_path, 18)
    folder = RunFolder(tmp_path)
    assert folder.missing(keys) == []
    (part,) = (tmp_path / "grades").glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"grades/part-.*remove .*frames/part-.*scores its frames again") as told:
        gather(folder, CONFIGURATION, keys)
    assert "\n" not in str(told.value)


def test_a_part_of_another_part_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its metric values would be nobody's, and those of its frames missing without a word."""
    folder, keys = fill(tmp_path)
    folder.pack(keys[:9])
    folder.pack(keys[9:])
    one, other = sorted((tmp_path / "metrics").glob("part-*.parquet"))
    one.write_bytes(other.read_bytes())
    assert len(RunFolder(tmp_path).missing(keys)) == 9
    assert f"{one} is a copy of {other.name}" in capsys.readouterr().err


def test_what_a_part_is_damaged_by_is_said_although_drift_is_looked_for_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, keys = fill(tmp_path, 18)
    (part,) = (tmp_path / "frames").glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    folder = RunFolder(tmp_path)
    assert list(drift._verdicts(folder, keys)) == []
    assert capsys.readouterr().err == ""
    assert folder.missing(keys) == keys
    assert str(part) in capsys.readouterr().err


def test_damaged_parts_go_once_their_frames_are_scored_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, keys = fill(tmp_path, 18)
    (part,) = (tmp_path / "metrics").glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    again = RunFolder(tmp_path)
    assert again.missing(keys) == keys
    for key, rows in frames().items():
        again.save(key, {Row: rows}, COSTS)
    assert again.missing(keys) == []
    again.remove_damaged()
    capsys.readouterr()
    assert RunFolder(tmp_path).missing(keys) == []
    assert not list(tmp_path.glob("*/part-*"))
    assert capsys.readouterr().err == ""


def test_a_file_of_columns_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.parquet", table(next(iter(frames().values())))
    columns = parquet_records.schema(Row)
    with pytest.raises(RuntimeError, match="power cut"), parquet_records.writing(path, columns) as writer:
        writer.add(parquet_records.of_frame(columns, rows))
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []
    seals = Seals(tmp_path / "config.json")
    parquet_records.write_table(path, Row, parquet_records.of_frame(columns, rows), seals)
    read = parquet_records.read_table(path, Row, seals, ["key"])
    assert read.column("key").to_pylist() == rows["key"].tolist() == pd.read_parquet(path)["key"].tolist()
