"""The efficiency command as a user runs it."""

from pathlib import Path

import pandas as pd
import pytest

import efficiency
from analysis.method_costs import mean_costs
from common import console
from scoring.costs import Cost
from tests.scoring.stand_ins import TINY, picture, save, write_frames
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


def test_a_method_that_fails_on_a_frame_leaves_the_others_measured(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "tests.own_parts:fails_on_swaps"
    words = ("--frames", index, *PLANTED, "--limit", 4, "--results", tmp_path, "--method", own)
    assert run(*words) == 0
    folder, told = tmp_path / "efficiency", capsys.readouterr()
    assert "Measured in part: 1 frame; failures.csv says why" in told.out
    assert "means of 3 to 4 frames" in told.out
    failures = pd.read_csv(folder / "failures.csv")
    assert failures["stage"].tolist() == [own]
    assert failures["key"].str.contains("FaceSwap").tolist() == [True]
    costs = pd.read_csv(folder / "costs.csv")
    assert costs["stage"].value_counts()[["LIME", "LIME_adv", "adversarial", own]].tolist() == [4, 4, 4, 3]
    first = costs[~costs["key"].str.contains("FaceSwap")]
    monkeypatch.setattr("tests.own_parts.BROKEN", [])
    assert run(*words) == 0
    assert "Measured in part" not in capsys.readouterr().out
    again = pd.read_csv(folder / "costs.csv")
    assert again["stage"].value_counts()[["LIME", own]].tolist() == [4, 4]
    pd.testing.assert_frame_equal(again[~again["key"].str.contains("FaceSwap")], first)


def test_what_a_method_does_once_is_no_cost_where_the_first_frame_is_called_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "tests.own_parts:slow_at_first"
    index = write_frames(tmp_path / "frames", videos=1)
    key = pd.read_csv(index)["relative_path"][0]
    save(index.parent, key, picture(key, "NeuralTextures", planted=False))
    monkeypatch.setattr("tests.own_parts.SLOW", [1.0])
    assert run("--frames", index, *PLANTED, "--limit", 4, "--results", tmp_path, "--method", own) == 0
    costs = pd.read_csv(tmp_path / "efficiency" / "costs.csv")
    assert costs[costs["key"] == key]["stage"].tolist() == ["verdict"]
    assert costs[costs["stage"] == own]["seconds"].size == 3
    assert costs[costs["stage"] == own]["seconds"].max() < 1


def test_the_adversarial_part_is_of_the_frames_that_a_method_explained() -> None:
    costs = {
        "a": [Cost("adversarial", 40, 2, 4.0), Cost("LIME_adv", 50, 3, 5.0)],
        "b": [Cost("adversarial", 20, 1, 2.0)],
    }
    (only,) = mean_costs(costs, [METHODS["LIME_adv"]])
    assert (only.frames, only.forwards, only.adversarial_forwards) == (1, 50, 40)
