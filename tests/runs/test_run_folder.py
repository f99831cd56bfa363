"""A run's folder: names, finished frames, one process at a time."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from common.files import stem
from runs import npy_records
from runs.run_folder import OWN_FOLDERS, RunFolder, Shard
from runs.stored_run import read_stored_run
from scoring.costs import Cost
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row
from tests.reporting.test_tables import GRADE
from tests.scoring.test_records import ROW

COSTS = [Cost("verdict", 1, 1, 0.25), Cost("LIME", 150, 5, 1.5)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_any_key_gives_a_safe_short_name(key: str) -> None:
    name = stem(key)
    assert len(name) <= 80
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in name)
    assert not name.startswith(".")


@given(st.lists(st.text(max_size=8), min_size=2, unique=True))
def test_different_keys_never_share_a_name(keys: list[str]) -> None:
    keys = [key for key in keys if key.isascii()]
    assert len({stem(key).lower() for key in keys}) == len(keys)  # also where the file system ignores case


def test_lookalike_keys_have_different_files(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    keys = ["a/b.png", "a_b.png", "A/b.png", "a\\b.png", "ä/b.png", "ö/b.png", "x" * 300 + "a/b.png"]
    assert len({folder.file(Row, key) for key in keys}) == len(keys)
    assert "0001.png" in folder.file(Row, ROW.key).name


def test_a_finished_frame_comes_back_with_its_costs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    rows, flip_thresholds = [ROW, replace(ROW, k=2)], [replace(GRADE, key=ROW.key)]
    assert folder.finished(ROW.key) is None
    folder.save(ROW.key, {Row: rows, FlipThreshold: flip_thresholds}, COSTS)
    found = folder.finished(ROW.key)
    assert found is not None
    assert np.array_equal(found[Row], npy_records.to_array(Row, rows))
    assert np.array_equal(found[FlipThreshold], npy_records.to_array(FlipThreshold, flip_thresholds))
    assert len(found[MetricValue]) == 0
    assert folder.costs(ROW.key) == COSTS


@pytest.mark.parametrize("name", OWN_FOLDERS)
def test_a_link_or_a_file_in_place_of_its_folder_is_one_line(name: str, tmp_path: Path) -> None:
    own, other = tmp_path / "run", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    for target in (other, tmp_path / "gone"):
        (own / name).symlink_to(target)
        with (
            pytest.raises(InputError, match=f"run/{name} is a link .to .*{target.name}., where the run keeps a folder"),
            RunFolder(own).locked(Shard()),
        ):
            pass
        (own / name).unlink()
    (own / name).write_text("x")
    (own / "config.json").write_text("{}")
    with pytest.raises(InputError, match=f"run/{name} is a file, where the run keeps a folder"):
        read_stored_run(own)
    assert list(other.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_pipe_or_folder_in_place_of_a_record_hangs_nothing(
    make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path)
    for kind in (Row, FlipThreshold, None):
        folder.save(ROW.key, {Row: [ROW]}, COSTS)
        file = folder.costs_file(ROW.key) if kind is None else folder.file(kind, ROW.key)
        file.unlink()
        make(file)
        assert folder.missing([ROW.key]) == [ROW.key]
        assert f"{file} is no file, but a folder, a pipe or a device" in capsys.readouterr().err
        file.rmdir() if make is os.mkdir else file.unlink()
    make(tmp_path / "config.json")
    with pytest.raises(InputError, match=r"config\.json is no file"):
        read_stored_run(tmp_path)


def test_the_runs_own_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with RunFolder(tmp_path / "run").locked(Shard()):
        assert (tmp_path / "disk" / ".lock").exists()


def test_a_run_is_where_it_was_when_the_working_folder_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("run"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder.save(ROW.key, {Row: [ROW]}, COSTS)
    assert (tmp_path / "run" / "frames").is_dir()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_damaged_frame_is_not_finished_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    folder.save(ROW.key, {Row: [ROW]}, COSTS)
    path = folder.file(Row, ROW.key)
    path.write_bytes(path.read_bytes()[:-10])
    assert folder.finished(ROW.key) is None
    assert path.name in capsys.readouterr().err
    npy_records.save_records(path, npy_records.to_array(Row, [replace(ROW, key="another frame")]), folder.seals)
    assert folder.finished(ROW.key) is None
    assert "does not hold the rows of" in capsys.readouterr().err


@pytest.mark.parametrize("stopped_at", [FrameVerdict, FlipThreshold, MetricValue, Row])
def test_a_frame_that_is_saved_anew_never_mixes_two_scorings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: type
) -> None:
    """As where it was scored in part, a record was damaged, and a kill comes while it is scored again."""
    folder, save = RunFolder(tmp_path), npy_records.save_records
    folder.save(ROW.key, {Row: [ROW]}, COSTS)

    def stop(path: Path, *given: Any) -> None:
        if path == folder.file(stopped_at, ROW.key):
            raise KeyboardInterrupt
        save(path, *given)

    monkeypatch.setattr(npy_records, "save_records", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.save(ROW.key, {Row: [ROW, replace(ROW, k=2)]}, COSTS)
    assert RunFolder(tmp_path).finished(ROW.key) is None


def test_a_frame_without_its_grades_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    folder.save(ROW.key, {Row: [ROW]}, COSTS)
    folder.file(FlipThreshold, ROW.key).unlink()
    assert folder.finished(ROW.key) is None
    assert "is gone; the frame is left out until the run's command has scored it again" in capsys.readouterr().err


def test_a_frame_with_damaged_costs_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    folder.save(ROW.key, {Row: [ROW]}, COSTS)
    folder.costs_file(ROW.key).write_text('[{"stage": ')
    assert folder.finished(ROW.key) is None
    assert folder.costs(ROW.key) == []
    assert "count as not measured" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shards_are_written_i_of_n(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        Shard.parse(text)


def test_shards_divide_the_frames() -> None:
    parts = [Shard.parse(f"{i}/3") for i in (1, 2, 3)]
    assert [[place for place in range(8) if part.has(place)] for part in parts] == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert Shard.parse("1/1").whole


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked(Shard()):
        for shard in (Shard(), Shard(0, 2)):
            with pytest.raises(InputError, match="another process"), folder.locked(shard):
                pass
    with folder.locked(Shard(0, 2)), folder.locked(Shard(1, 2)):
        for shard in (Shard(), Shard(1, 2)):
            with pytest.raises(InputError, match="another process"), folder.locked(shard):
                pass
    with folder.locked(Shard()):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from runs.run_folder import RunFolder, Shard\n"
        "lock = RunFolder(Path(sys.argv[1])).locked(Shard()); lock.__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    assert ended.returncode == -9
    with RunFolder(tmp_path).locked(Shard()):
        pass


def test_half_written_files_are_swept_but_not_from_under_other_parts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(ROW.key, {Row: [ROW]}, COSTS)
    left = tmp_path / "frames" / ".x.npy.abc.part"
    left.write_bytes(b"half")
    with folder.locked(Shard(0, 2)):
        assert left.exists()
    with folder.locked(Shard()):
        assert not left.exists()
    assert folder.finished(ROW.key) is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_an_os_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="denied"), RunFolder(tmp_path / "run").locked(Shard()):
        pass
