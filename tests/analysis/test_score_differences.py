"""Two runs side by side, where what moved is known."""

from dataclasses import replace
from pathlib import Path

import pytest

import evaluate
from analysis.score_differences import score_differences
from common import console
from common.errors import InputError
from reporting.run_comparison import show_run_comparison
from runs.configuration import bind
from runs.run_folder import RunFolder
from runs.stored_run import StoredRun, read_stored_run
from scoring.records import FlipThreshold, Row
from tests.analysis.made_up import at_random, make
from tests.reporting.test_tables import GRADE
from tests.runs.test_configuration import CONFIGURATION

CHANCE = {"LIME": 0.5, "RISE": 0.3, "random": 0.1}


def stored(path: Path, made: list[Row], **changes: object) -> StoredRun:
    folder = RunFolder(path)
    bind(folder.config, replace(CONFIGURATION, **changes))  # type: ignore[arg-type]
    for key in dict.fromkeys(row.key for row in made):
        folder.save(key, {Row: [row for row in made if row.key == key], FlipThreshold: [replace(GRADE, key=key)]}, [])
    return read_stored_run(path)


def better(row: Row) -> Row:
    """LIME flips everything in the second run; nothing else changes."""
    return replace(row, drop=0.8, flipped_to_real=True) if row.method == "LIME" else row


@pytest.fixture
def runs(tmp_path: Path) -> tuple[StoredRun, StoredRun]:
    made = make(at_random(0, CHANCE), tuple(CHANCE), videos=14, frames=2)
    return stored(tmp_path / "a", made), stored(tmp_path / "b", [better(row) for row in made], seed=7)


def test_what_was_stored_is_read_back(runs: tuple[StoredRun, StoredRun]) -> None:
    assert (len(runs[0].rows), len(runs[0].rows.columns)) == (14 * 2, 3 * 3)
    assert runs[0].rows.overall("drop")[1] == runs[0].flip_thresholds.overall("value")[1] == 28
    assert runs[1].configuration["seed"] == 7


def test_what_rounds_otherwise_has_not_moved(tmp_path: Path) -> None:
    """As everything does in another batch or on another machine, and perhaps always in the same direction."""
    made = make(at_random(0, CHANCE), tuple(CHANCE), videos=14, frames=2)
    first = stored(tmp_path / "a", made)
    second = stored(tmp_path / "b", [replace(row, drop=row.drop + 2e-7) for row in made])
    found = score_differences(first.rows, second.rows)
    assert {each.p for each in found} == {1.0}
    assert not any(each.is_significant for each in found)


def test_only_the_score_that_moved_is_called_so(runs: tuple[StoredRun, StoredRun]) -> None:
    found = {(each.method, each.measure): each for each in score_differences(runs[0].rows, runs[1].rows)}
    assert {key for key, each in found.items() if each.is_significant} == {
        ("LIME", "drop"),
        ("LIME", "flipped_to_real"),
    }
    lime = found["LIME", "flipped_to_real"]
    before = runs[0].rows.by("method")["LIME"].overall("flipped_to_real")[0]
    assert (lime.first, lime.second) == (pytest.approx(before), 1.0)
    assert lime.difference.value == pytest.approx(1 - before)
    assert lime.difference.low < lime.difference.value < lime.difference.high
    assert (lime.difference.frames, lime.difference.videos) == (28, 14)
    assert found["RISE", "drop"].difference.value == 0


def test_runs_of_other_frames_share_no_score(tmp_path: Path, runs: tuple[StoredRun, StoredRun]) -> None:
    made = [replace(row, key="x" + row.key) for row in make(at_random(0, CHANCE), tuple(CHANCE), videos=2)]
    assert score_differences(runs[0].rows, stored(tmp_path / "c", made).rows) == []


def test_the_command_says_what_changed_and_what_moved(
    runs: tuple[StoredRun, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.status(evaluate.app, ["compare", str(runs[0].path), str(runs[1].path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "seed: 0 -> 7" in told
    assert "Moved beyond chance: LIME's drop under nes, LIME's flip rate under nes." in told


def test_a_run_at_work_is_said_to_be(runs: tuple[StoredRun, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    """Its configuration is that of the finished run, and its frames may be any part of them."""
    at_work, finished = (
        replace(run, configuration={**run.configuration, "frames": {"count": count}})
        for run, count in zip(runs, (40, 28), strict=True)
    )
    show_run_comparison(at_work, finished)
    told = " ".join(capsys.readouterr().out.split())
    assert f"{at_work.name}: 28 of its 40 frames are finished" in told
    assert f"{finished.name}: 28" not in told


@pytest.mark.parametrize("damage", ["nothing", "empty", "garbage", "foreign"])
def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "run"
    if damage != "nothing":
        path.mkdir()
        (path / "config.json").write_text("{}" if damage != "garbage" else "{")
    if damage == "foreign":
        (path / "frames").mkdir()
        (path / "frames" / "x.npy").write_bytes(b"not rows")
    with pytest.raises(InputError, match=r"run|config|x\.npy"):
        read_stored_run(path)
