"""Record files say what they are: a changed bit, other rows, another file's or another run's are noticed."""

import json
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from runs import frame_files, json_records, npy_records, packed_frames
from runs.run_folder import RunFolder
from runs.seals import Seals
from scoring.attempts import StageFailure, as_text
from scoring.costs import Cost
from scoring.records import FrameVerdict, MetricValue, Row
from tests.analysis.made_up import verdict
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.test_packed_frames import MEASURED
from tests.scoring.test_records import ROW

COSTS = [Cost("verdict", 1, 1, 0.25)]
ROWS = [ROW, replace(ROW, k=2), replace(ROW, k=3), replace(ROW, method="SHAP")]


def run(path: Path, seed: int = 0, keys: tuple[str, ...] = ("a.png",), rows: list[Row] = ROWS) -> RunFolder:
    folder = RunFolder(path)
    folder.bind(replace(CONFIGURATION, seed=seed))
    for key in keys:
        folder.save(key, {Row: [replace(row, key=key) for row in rows]}, COSTS)
    return folder


def test_numpy_reads_a_sealed_file_as_ever(tmp_path: Path) -> None:
    path = run(tmp_path).file(Row, "a.png")
    rows = np.load(path, allow_pickle=False)
    assert [tuple(row) for row in rows.tolist()] == [astuple(replace(row, key="a.png")) for row in ROWS]
    assert np.array_equal(np.load(path, mmap_mode="r"), rows)


def test_no_changed_bit_of_any_file_of_a_frame_is_believed(tmp_path: Path) -> None:
    """Every byte of the seal and header, and many of the rows; the file's length stays."""
    folder = run(tmp_path, rows=[replace(ROW, video="v" * 9)])
    assert folder.finished("a.png") is not None
    files = [file for file in tmp_path.glob("*/*") if file.suffix in (".npy", ".json")]
    assert len(files) == 5
    for file in files:
        whole = file.read_bytes()
        for at in sorted({*range(0, len(whole), 13), *range(max(0, len(whole) - 260), len(whole), 3)}):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            assert folder.finished("a.png") is None, (file.name, at)
        file.write_bytes(whole)
    assert folder.finished("a.png") is not None


def test_rows_that_are_gone_are_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path)
    path = folder.file(Row, "a.png")
    np.save(path, np.load(path)[::2])
    assert folder.finished("a.png") is None
    assert f"{path} has no checksum: it is damaged, or of an earlier version; the frame" in capsys.readouterr().err


def test_a_wrong_number_of_rows_is_refused_even_under_a_right_checksum(tmp_path: Path) -> None:
    seals, path = Seals(tmp_path / "config.json"), tmp_path / "x.npy"

    class Lying(Seals):
        def blank(self, path: Path, rows: int, beside: Mapping[str, str] | None = None) -> dict[str, object]:
            return super().blank(path, 9)

    npy_records.save_records(path, npy_records.to_array(Row, ROWS), Lying(tmp_path / "config.json"))
    with pytest.raises(InputError, match="damaged: it has 4 rows of 9"):
        npy_records.load_records(path, Row, seals)
    json_records.save_records(tmp_path / "x.json", [{}], Lying(tmp_path / "config.json"))
    with pytest.raises(InputError, match="damaged: it has 1 row of 9"):
        json_records.load_records(tmp_path / "x.json", seals)


def test_rows_of_another_configuration_are_scored_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other", seed=1)
    one.file(Row, "a.png").write_bytes(other.file(Row, "a.png").read_bytes())
    assert RunFolder(one.path).missing(["a.png"]) == ["a.png"]
    assert "was made with another configuration than the run's config.json holds" in capsys.readouterr().err
    same = run(tmp_path / "same")
    one.file(Row, "a.png").write_bytes(same.file(Row, "a.png").read_bytes())
    assert RunFolder(one.path).missing(["a.png"]) == []


def test_a_file_of_another_frame_is_refused_although_it_has_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path, keys=("a.png", "b.png"))
    verdicts = tmp_path / "verdicts"
    one, other = sorted(verdicts.iterdir())
    one.write_bytes(other.read_bytes())
    assert len(folder.missing(["a.png", "b.png"])) == 1
    assert f"{one} is a copy of {other.name}" in capsys.readouterr().err


def scored_once(path: Path, part: bool) -> RunFolder:
    """A frame of a run; in part, a method's rows and what the verdict says of them are missing."""
    folder = RunFolder(path)
    folder.bind(CONFIGURATION)
    rows = [replace(row, key="a.png") for row in (ROWS[:-1] if part else ROWS)]
    unscored = as_text([StageFailure("SHAP", "ValueError: no")]) if part else ""
    said = replace(verdict(rows[0]), unscored=unscored)
    measured = replace(MEASURED, key="a.png", video=rows[0].video, value=0.25 if part else 0.5)
    folder.save("a.png", {Row: rows, FrameVerdict: [said], MetricValue: [measured]}, COSTS)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["frames", "verdicts", "metrics"])
def test_files_of_two_scorings_of_a_frame_are_not_mixed(
    name: str, packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an older copy of a run leaves them: each is whole, of this frame and of this configuration."""
    part, whole = scored_once(tmp_path / "part", True), scored_once(tmp_path / "whole", False)
    if packed:
        part.pack(["a.png"])
        whole.pack(["a.png"])
    (old,), (new,) = (list((run.path / name).iterdir()) for run in (part, whole))
    new.write_bytes(old.read_bytes())
    assert RunFolder(whole.path).missing(["a.png"]) == ["a.png"]
    assert "is of another scoring than " in capsys.readouterr().err
    for kind in ("frames", "verdicts", "metrics", "grades"):
        (path,), (other,) = (list((run.path / kind).iterdir()) for run in (part, whole))
        other.write_bytes(path.read_bytes())
    assert RunFolder(whole.path).missing(["a.png"]) == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_frame_of_before_scorings_were_told_apart_is_read(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (frame_files, packed_frames):
        monkeypatch.setattr(module, "checksums", lambda _folders: {})
    folder = scored_once(tmp_path, False)
    if packed:
        folder.pack(["a.png"])
    assert RunFolder(tmp_path).missing(["a.png"]) == []


def test_the_layout_of_config_json_does_not_matter(tmp_path: Path) -> None:
    folder = run(tmp_path)
    folder.config.write_text(json.dumps(json.loads(folder.config.read_text())))
    assert RunFolder(tmp_path).missing(["a.png"]) == []


def test_a_folder_of_hidden_files_has_no_finished_work(tmp_path: Path) -> None:
    for folder in (*packed_frames.FOLDERS.values(), packed_frames.COSTS):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "._a.npy").write_bytes(b"of macOS")
    RunFolder(tmp_path).bind(CONFIGURATION)
    assert RunFolder(tmp_path).keys() == []


def test_a_folder_that_lost_its_configuration_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path)
    kept = folder.config.read_text()
    folder.config.unlink()
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match=r"has finished work \(.*\), but its config.json.*is gone") as told:
        RunFolder(tmp_path).bind(replace(CONFIGURATION, seed=1))
    assert "\n" not in str(told.value)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    folder.config.write_text(kept)
    again = RunFolder(tmp_path)
    again.bind(CONFIGURATION)
    assert again.missing(["a.png"]) == []


def test_a_folder_without_finished_work_is_begun(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("started")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / ".x.npy.abc.part").write_bytes(b"half")
    RunFolder(tmp_path).bind(CONFIGURATION)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == CONFIGURATION.seed


def test_a_run_that_is_older_than_seals_is_read_without(tmp_path: Path) -> None:
    folder = run(tmp_path)
    path = folder.file(Row, "a.png")
    np.save(path, np.load(path))
    assert folder.finished("a.png") is None
    stored = json.loads(folder.config.read_text())
    folder.config.write_text(json.dumps(stored | {"format": 4}))
    for file in tmp_path.glob("*/*.npy"):
        np.save(file, np.load(file))
    folder.costs_file("a.png").unlink()
    old = RunFolder(tmp_path)
    found = old.finished("a.png")
    assert found is not None
    assert found[Row]["key"].tolist() == ["a.png"] * len(ROWS)
    assert old.costs("a.png") == []
