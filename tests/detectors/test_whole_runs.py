"""Detectors that people have, from their files to the table in one command."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import detectors
import evaluate
from common import console
from detectors import Conventions, Detector
from detectors.queries import answer
from tests.detectors.test_onnx_network import linear
from tests.scoring.stand_ins import TINY, write_frames
from xai.methods import ALL

FEW = ("LIME.samples=40", "SHAP.evaluations=40", "RISE.samples=40", "adversarial.pairs=4", "adversarial.steps=3")
SETTINGS = [word for setting in (*TINY[:2], *FEW, "SOBOL.grid=3", "SOBOL.designs=2") for word in ("--set", setting)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=1)


def status(index: Path, results: Path, *words: object) -> int:
    shared = ("--frames", index, "--images", index.parent, "--results", results, "--run", "run", "--device", "cpu",
              "--threads", 1, "--method", "All", "--baseline", "random", *SETTINGS)  # fmt: skip
    return console.status(evaluate.app, [str(word) for word in (*shared, *words)])


def require_verdicts(detector: Detector, index: Path, run: Path) -> None:
    """The run's verdicts and probabilities are those of asking about each picture alone, and some are fake."""
    frames = pd.read_csv(run / "frames.csv").set_index("key")
    rows = pd.read_csv(run / "rows_All.csv")
    assert len(frames) == 4
    for key, frame in frames.iterrows():
        image = detector.prepare(np.asarray(Image.open(index.parent / str(key))))
        chances = answer(detector, image[None])[0].softmax(0)
        assert detector.class_names[int(chances.argmax())] == frame["predicted"]
        before = rows[(rows["key"] == key) & rows["method"].isin(ALL)]["before"]
        explained = max(float(chance) for place, chance in enumerate(chances) if place != detector.real)
        assert before.to_numpy() == pytest.approx(explained, rel=1e-4)
    assert (frames["predicted"] != detector.class_names[detector.real]).any()
    table = pd.read_csv(run / "scores_All.csv", index_col=0)
    assert {"Original", *ALL} <= set(table.index)


def test_a_hugging_face_folder_gives_a_table(index: Path, tmp_path: Path) -> None:
    networks = pytest.importorskip("tests.detectors.transformers_networks")
    folder = networks.saved("vit", tmp_path / "vit")
    assert status(index, tmp_path, "--detector", f"hf:{folder}", "--set", "nes.steps=2", "--set", "pgd.steps=2") == 0
    require_verdicts(detectors.load(f"hf:{folder}"), index, tmp_path / "run")
    rows = pd.read_csv(tmp_path / "run" / "rows_All.csv")
    assert set(rows["attack"]) == {"nes", "pgd"}


def test_an_onnx_file_gives_a_table_without_gradients(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = linear(tmp_path / "net.onnx")
    words = ("--detector", f"onnx:{file}", "--classes", "Real,Fake", "--normalise", "half")
    assert status(index, tmp_path, *words, "--attack", "pgd") != 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
    assert "gradient" in said[-1]
    assert not (tmp_path / "run" / "frames").exists()
    assert status(index, tmp_path, *words, "--set", "nes.steps=2", "--set", "nes.pairs=4") == 0
    detector = detectors.load(f"onnx:{file}", conventions=Conventions(classes="Real,Fake", normalise="half"))
    require_verdicts(detector, index, tmp_path / "run")
    rows = pd.read_csv(tmp_path / "run" / "rows_All.csv")
    assert set(rows["attack"]) == {"nes"}
    attacked = rows[rows["predicted"] != "Real"]
    assert (attacked["forwards"] >= 2 * 4).all()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["attacks"]["nes"]["derivatives"] == "finite"
