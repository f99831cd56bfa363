"""Every example runs as a user runs it, and says what its page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {
    "explain_one_picture.py": "best segments: [",
    "judge_one_explanation.py": "random segments: falls by",
    "own_detector.py": "explained class:",
    "own_explainer.py": "examples.own_explainer:occlusion: segments [",
    "own_attack.py": "largest change outside: 0.0",
    "read_a_run.py": "rows of 2 frames from 2 videos",
}


def run(name: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    for file in ("evaluate.py",):  # what an example calls lies in the project's folder
        (folder / file).symlink_to(ROOT / file)
    program = [sys.executable, str(ROOT / "examples" / name)]
    found = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(name: str, tmp_path: Path) -> None:
    assert EXAMPLES[name] in run(name, tmp_path)


def test_the_judged_explanation_beats_random_regions(tmp_path: Path) -> None:
    printed = run("judge_one_explanation.py", tmp_path)
    best, random = (float(fall) for fall in re.findall(r"falls by (-?[\d.]+)", printed))
    assert best > random


def test_the_page_names_every_example() -> None:
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert scripts == set(EXAMPLES)
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}" in page for name in scripts)
