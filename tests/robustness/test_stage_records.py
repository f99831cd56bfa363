"""The files of finished parts: their fields keep the names that runs of earlier versions have."""

import json
from pathlib import Path

import pytest

from robustness.gradient_norms import GradientCheck
from robustness.stage_records import Attacked, CleanVerdict, DipResult, Part, Parts, Record
from runs.seals import Seals

RECORDS = [
    (
        CleanVerdict("a", 1.5, False, False, True),
        {"kind": "Verdict", "key": "a", "score": 1.5, "real": False, "relayed_real": False, "source_real": True},
    ),
    (
        Attacked("a", -0.5, True, True, 0.25, 3, 9),
        {"kind": "Attacked", "key": "a", "score": -0.5, "real": True, "source_real": True, "linf": 0.25, "steps": 3,
         "forwards": 9},
    ),
    (
        GradientCheck("a", 0.5, 0.75, 1e-5),
        {"kind": "Slope", "key": "a", "promised": 0.5, "measured": 0.75, "resolution": 1e-5, "misleads": False},
    ),
    (
        DipResult("a", True, 2.0, False, 0.5),
        {"kind": "Redrawn", "key": "a", "real_before": True, "score": 2.0, "real": False, "seconds": 0.5},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("record", "stored"), RECORDS)
def test_a_part_is_stored_under_stable_names_and_read_back(
    tmp_path: Path, record: Record, stored: dict[str, object]
) -> None:
    parts, part = Parts(tmp_path, Seals(tmp_path / "config.json")), Part((record,), 1.25)
    parts.save("a stage", "a", part)
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    assert kept.pop("seal")["rows"] == 1
    assert kept == {"seconds": 1.25, "records": [stored]}
    assert parts.finished("a stage", "a", ["a"]) == part


def test_a_part_of_which_one_digit_changed_is_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts, (record, _) = Parts(tmp_path, Seals(tmp_path / "config.json")), RECORDS[1]
    parts.save("a stage", "a", Part((record,), 1.25))
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace('"steps": 3', '"steps": 2'))
    assert parts.finished("a stage", "a", ["a"]) is None
    assert "checksum does not fit; its frames are done again" in capsys.readouterr().err


def test_a_part_of_another_configuration_is_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"name": name}))
    one, other = (Parts(tmp_path / name / "parts", Seals(tmp_path / name / "config.json")) for name in ("one", "other"))
    one.save("a stage", "a", Part((RECORDS[0][0],), 1.25))
    (tmp_path / "one" / "parts").rename(tmp_path / "other" / "parts")
    assert other.finished("a stage", "a", ["a"]) is None
    assert "made with another configuration" in capsys.readouterr().err
