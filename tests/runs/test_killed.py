"""A run that is killed with SIGKILL, wherever, and started again ends in the same bytes as one that was not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.test_run import contents
from tests.scoring.stand_ins import picture, save, write_frames

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("segments.count=9", "LIME.samples=40", "adversarial.pairs=5", "adversarial.steps=4", "pgd.steps=3")
EVERYWHERE = {"before": 8, "wait": 1}  # moments, and the deaths that a run dies at least


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The results of a run that died in several ways, and how often it did in each."""
    folder = tmp_path_factory.mktemp("killed")
    index = write_frames(folder, videos=1)
    save(folder, 'Ünïcode, "quoted"/1 2.png', picture("x", "Deepfakes"))
    with index.open("a") as file:
        file.write('"Ünïcode, ""quoted""/1 2.png",1,3\n')
        file.write("manipulated_sequences/FaceSwap/c23/videos/gone.mp4/0.png,1,4\n")  # fails every time
    command = [
        *("--method", "LIME", "--method", "LIME_adv", "--attack", "pgd", "--attack", "fgsm", "--threads", "1"),
        *("--frames", str(index), "--detector", "tests.scoring.stand_ins:PlantedDetector", "--run", "killed"),
        *("--preset", "quick", "--seed", "3", "--device", "cpu"),
        *(word for setting in SETTINGS for word in ("--set", setting)),
    ]
    left = folder / "temporary"  # by those that die
    left.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(left)}
    program = [sys.executable, str(ROOT / "tests" / "runs" / "killing.py"), str(folder / "results"), *command]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "results", {name: int(n) for name, n in re.findall(r"deaths (\w+) (\d+)", done.stdout)}


def test_the_undisturbed_run_is_whole(killed: tuple[Path, dict[str, int]]) -> None:
    found = contents(killed[0] / "never" / "killed")
    assert killed[1]["never"] == 0
    assert len([name for name in found if name.startswith("frames/")]) == 5
    assert b"gone.mp4" in found["failures.csv"]
    assert "Ünïcode".encode() in found["rows_LIME+LIME_adv.csv"]
    assert {"scores_LIME+LIME_adv.csv", "scores_LIME+LIME_adv_fgsm.csv", "summary_LIME+LIME_adv.png"} <= found.keys()


@pytest.mark.parametrize("moment", EVERYWHERE)
def test_killed_and_resumed_is_byte_identical(killed: tuple[Path, dict[str, int]], moment: str) -> None:
    results, crashes = killed
    assert crashes[moment] >= EVERYWHERE[moment]
    untouched, found = (contents(results / name / "killed") for name in ("never", moment))
    assert found.keys() == untouched.keys()  # and no half-written file is left
    for name, content in untouched.items():
        assert found[name] == content, name
