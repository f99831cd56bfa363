"""`evaluate.py --attack malafide`: a filter trained for the run, and filters beside other attacks."""

import json
from pathlib import Path

import numpy as np
import pytest

import evaluate
from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_files import load, save
from attacks.malafide.in_run import RunSettings, demo_training, index_training, run_settings
from common.console import status
from common.errors import InputError
from data.entry import Entry
from data.images import encode_png
from data.index import write_index
from tests.attacks.malafide.toys import Frames, entries, some_weight

DETECTOR = "tests.attacks.malafide.small_detectors:Pooled"
QUICK = ("--preset", "quick", "--limit", "2", "--method", "RISE", "--set", "RISE.samples=64", "--arm", "none")


def write_frames(folder: Path, known: list[Entry]) -> Path:
    """Pictures of four by four grey fields on top of their colour, so that there are segments to find."""
    frames = Frames(known, 32)
    fields = np.kron(np.random.default_rng(0).integers(-60, 60, (4, 4)), np.ones((8, 8), int))[..., None]
    for place, entry in enumerate(known):
        path = folder / entry.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png((frames[place].image + fields).clip(0, 255).astype(np.uint8)))
    write_index(folder / "index.csv", known)
    return folder / "index.csv"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of six people, three to train on, three to test on."""
    known = [
        Entry(e.key, e.fake, e.label, "train" if int(e.video.split("/")[-1][:3]) < 3 else "test")
        for e in entries(frames=3)
    ]
    return write_frames(tmp_path_factory.mktemp("frames"), known)


def run(index: Path, results: Path, *more: str) -> int:
    arguments = ["--frames", str(index), "--detector", DETECTOR, "--device", "cpu", "--results", str(results)]
    return status(evaluate.app, [*arguments, *QUICK, *more])


def test_a_filter_is_trained_for_the_run_and_used_beside_another_attack(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = ("--split", "test", "--attack", "fgsm", "--attack", "malafide", "--run")
    sets = ("--set", "malafide.size=5", "--set", "malafide.epochs=2", "--set", "malafide.epsilon=32/255")
    assert run(index, tmp_path, *more, "one", *sets) == 0
    shown = capfd.readouterr().out
    assert "one filter for Deepfakes and FaceSwap together, 5 x 5, trained on the split 'train' first" in shown
    (path,) = (tmp_path / "one" / "malafide").rglob("filter.safetensors")
    stored = load(path)
    assert stored.facts is not None
    assert stored.facts.manipulations == ("Deepfakes", "FaceSwap")
    assert str(stored.filter.spec.fidelity) == "linf:32/255"
    assert stored.facts.fakes == 18
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["attacks"]["malafide"] == {
        "attack": "malafide", "epsilon": 32 / 255, "filter_sha256": stored.sha256
    }  # fmt: skip
    rows = np.concatenate([np.load(f, allow_pickle=False) for f in (tmp_path / "one" / "frames").glob("*.npy")])
    assert set(rows["attack"].tolist()) == {"fgsm", "malafide"}
    of_filter = rows[rows["attack"] == "malafide"]
    assert 0 < of_filter["linf"].max() <= 32 / 255 + 1e-6
    written = path.stat().st_mtime_ns
    assert run(index, tmp_path, *more, "one", *sets) == 0
    assert path.stat().st_mtime_ns == written
    assert (
        run(index, tmp_path, "--split", "test", "--run", "two", "--attack", "fgsm", "--attack", f"malafide:{path}") == 0
    )
    rows = np.concatenate([np.load(f, allow_pickle=False) for f in (tmp_path / "two" / "frames").glob("*.npy")])
    assert set(rows["attack"].tolist()) == {"fgsm", f"malafide:{path}"}
    assert run(index, tmp_path, *more, "three", *sets, "--workers", "2") == 0
    tables = [(tmp_path / name / "rows_RISE.csv").read_bytes() for name in ("one", "three")]
    assert tables[0] == tables[1], "workers take the filter that was trained for the run"


def test_a_run_with_another_filter_at_the_same_path_is_refused(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "filter.safetensors"
    more = ("--split", "test", "--run", "bound", "--attack", f"malafide:{path}")
    save(path, Filter(FilterSpec(3), some_weight(3)))
    assert run(index, tmp_path, *more) == 0
    save(path, Filter(FilterSpec(3), some_weight(3, seed=5)))
    assert run(index, tmp_path, *more) == 1
    assert "filter_sha256 was" in capfd.readouterr().err


def test_frames_that_are_scored_and_trained_on_are_told(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(index, tmp_path, "--attack", "malafide", "--set", "malafide.epochs=1", "--limit", "12") == 0
    assert "--split test leaves them out" in capfd.readouterr().err


def test_without_frames_to_train_on_it_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known = entries(people=2, frames=2)
    cases = {
        "none": (known, "no frame of the split 'train'"),
        "fakes": ([Entry(e.key, e.fake, e.label, "train" if e.fake else "test") for e in known], "no frames of Real"),
    }
    for name, (some, words) in cases.items():
        index = write_frames(tmp_path / name, some)
        assert run(index, tmp_path / "results", "--attack", "malafide") == 1
        error = capfd.readouterr().err.strip()
        assert words in error
        assert "or name a trained filter as malafide:FILTER" in error
    assert run(index, tmp_path / "results", "--attack", "malafide", "--set", "malafide.speed=3") == 1
    assert "malafide has no setting 'speed'; it has: epsilon, size, epochs" in capfd.readouterr().err


def test_settings_and_demo_frames() -> None:
    assert run_settings("published", {}) == RunSettings()
    assert run_settings("quick", {"size": "27", "max_minutes": "2"}) == RunSettings(
        size=27, epochs=10, limit=12, max_minutes=2.0
    )
    found = demo_training(["FaceSwap", "Deepfakes"], 4)
    assert [sum(e.family == family for e in found.entries) for family in ("Real", "Deepfakes", "FaceSwap")] == [4, 4, 4]
    assert {e.split for e in found.entries} == {"train"}
    with pytest.raises(InputError, match="trains its filter on frames of the split 'train' first"):
        index_training(Path("nowhere.csv"), None)
