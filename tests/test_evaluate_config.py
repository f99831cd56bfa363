"""A run from a configuration file is the run that wrote it."""

from pathlib import Path

import pytest

import evaluate
import examine
from common import console
from tests.examination.test_command import CENTRE_OF, crop
from tests.scoring.stand_ins import write_frames

TINY = (
    "--method", "LIME", "--method", "SOBOL", "--attack", "fgsm", "--baseline", "random", "--preset", "quick",
    "--set", "LIME.samples=20", "--set", "SOBOL.designs=2", "--set", "protocol.draws=1", "--limit", "1",
    "--seed", "010", "--device", "cpu", "--threads", "1",
)  # fmt: skip


def test_the_same_run_comes_from_the_file_with_relative_paths_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(tmp_path / "frames", videos=1)
    monkeypatch.chdir(tmp_path)
    words = [
        *TINY,
        "--frames",
        "frames/../frames/index.csv",
        "--detector",
        "demo",
        "--results",
        "out",
        "--run",
        "first",
    ]
    assert console.status(evaluate.app, [*words, "--save-config", "made/run.yaml"]) == 0
    text = (tmp_path / "made" / "run.yaml").read_text()
    assert "frames: frames/../frames/index.csv\n" in text
    assert "results: out\n" in text
    assert "seed: 10\n" in text
    assert list((tmp_path / "made").iterdir()) == [tmp_path / "made" / "run.yaml"]
    assert console.status(evaluate.app, ["--config", "made/run.yaml", "--run", "second"]) == 0
    first, second = ((tmp_path / "out" / name / "config.json").read_bytes() for name in ("first", "second"))
    assert first == second
    rows = [(tmp_path / "out" / name / "rows_LIME+SOBOL.csv").read_bytes() for name in ("first", "second")]
    assert rows[0] == rows[1]
    assert console.status(evaluate.app, ["--config", "made/run.yaml", "--run", "third", "--seed", "2"]) == 0
    assert (tmp_path / "out" / "third" / "config.json").read_bytes() != first


def test_a_bad_file_is_one_line_before_any_work(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("limit: 2\nmethodd: LIME\n")
    assert console.status(evaluate.app, ["--config", str(path), "--results", str(tmp_path)]) == 1
    told = capfd.readouterr().err
    assert told.startswith(f"error: {path}: unknown key 'methodd' (did you mean method?)")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_examination_comes_from_its_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Up to its first refusal, which is told from the values of the file."""
    picture, path = crop(tmp_path / "a.png"), tmp_path / "run.yaml"
    words = [str(picture), "--whole", "--regions", "20", "--detector", CENTRE_OF, "--out", str(tmp_path / "out")]
    assert console.status(examine.app, [*words, "--save-config", str(path)]) == 1
    refused = capfd.readouterr().err
    assert "--regions 20: give at least 99" in refused
    assert console.status(examine.app, [str(picture), "--config", str(path), "--detector", CENTRE_OF]) == 1
    assert capfd.readouterr().err == refused
    assert console.status(examine.app, [str(picture), "--config", str(path)]) == 1
    assert f"error: {path}: detector names code to run ({CENTRE_OF})" in capfd.readouterr().err
