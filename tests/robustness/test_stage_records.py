"""The files of finished parts: their fields keep the names that runs of earlier versions have."""

import json
from pathlib import Path

import pytest

from robustness.gradient_norms import GradientCheck
from robustness.stage_records import Attacked, CleanVerdict, DipResult, Part, Parts, Record

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
        {"kind": "Slope", "key": "a", "promised": 0.5, "measured": 0.75, "resolution": 1e-5},
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
    parts, part = Parts(tmp_path), Part((record,), 1.25)
    parts.save("a stage", "a", part)
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text()) == {"seconds": 1.25, "records": [stored]}
    assert parts.finished("a stage", "a", ["a"]) == part
