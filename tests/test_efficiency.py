"""The efficiency command as a user runs it."""

from pathlib import Path

import pandas as pd
import pytest

import efficiency
from analysis.method_costs import mean_costs
from common import console
from scoring.costs import Cost
from tests.scoring.stand_ins import TINY, write_frames
from xai.methods import METHODS

PLANTED = ("--detector", "tests.scoring.stand_ins:PlantedDetector")


def run(*words: object) -> int:
    settings = [word for each in TINY if not each.startswith(("nes", "SHAP", "SOBOL", "RISE", "blur")) for word in
                ("--set", each)]  # fmt: skip
    options = ["--device", "cpu", "--threads", "1", "--preset", "quick", "--method", "LIME", "--method", "LIME_adv"]
    return console.status(efficiency.app, [*options, *settings, *(str(word) for word in words)])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=2)


def test_summary_is_the_mean_over_frames() -> None:
    costs = {
        "a": [Cost("adversarial", 40, 2, 4.0), Cost("LIME", 10, 1, 1.0), Cost("LIME_adv", 50, 3, 5.0)],
        "b": [Cost("adversarial", 20, 1, 2.0), Cost("LIME", 10, 1, 3.0), Cost("LIME_adv", 30, 2, 4.0)],
        "called real": [Cost("verdict", 1, 1, 0.1)],
    }
    plain, adversarial = mean_costs(costs, [METHODS["LIME"], METHODS["LIME_adv"], METHODS["RISE"]][:2])
    assert (plain.frames, plain.forwards, plain.calls, plain.seconds) == (2, 10, 1, 2)
    assert plain.seconds_sd == pytest.approx(2**0.5)
    assert (plain.adversarial_forwards, plain.adversarial_seconds) == (0, 0)
    assert (adversarial.forwards, adversarial.calls, adversarial.seconds) == (40, 2.5, 4.5)
    assert (adversarial.adversarial_forwards, adversarial.adversarial_seconds) == (30, 3)
    assert mean_costs(costs, [METHODS["RISE"]]) == []


def test_table_files_and_continuation(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--frames", index, *PLANTED, "--limit", 2, "--results", tmp_path)
    assert run(*words) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "efficiency"
    found = pd.read_csv(folder / "efficiency_LIME+LIME_adv.csv").set_index("method")
    costs = pd.read_csv(folder / "costs.csv")
    own = costs[costs["stage"] == "LIME"]
    assert found.loc["LIME", "forwards"] == own["forwards"].mean() == 100
    assert found.loc["LIME", "calls"] == own["calls"].mean() == 7  # 100 images, 16 at a time
    made = costs.loc[costs["stage"] == "adversarial", "forwards"].mean()
    assert found.loc["LIME_adv", "forwards"] == pytest.approx(100 + made)
    assert found.loc["LIME_adv", "adversarial_forwards"] == pytest.approx(made)
    assert (folder / "efficiency_LIME+LIME_adv.png").read_bytes()[:4] == b"\x89PNG"
    assert "LIME_adv" in printed
    assert "Files in" in printed
    before = (folder / "costs.csv").read_bytes()
    assert run(*words) == 0
    assert (folder / "costs.csv").read_bytes() == before  # nothing was measured again
    assert run(*words, "--seed", 1) == 1
    assert "seed was 0 and is now 1" in capsys.readouterr().err


def test_nothing_to_measure_is_one_line(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--frames", index, "--detector", "tests.scoring.stand_ins:Bare", "--results", tmp_path) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: nothing could be measured: the detector calls every frame Real")
