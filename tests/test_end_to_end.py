"""The README's walk on the real clips: videos to crops, store, classifier, and the table of all methods."""

from pathlib import Path

import numpy as np
import pandas as pd

import attribution_model.__main__ as classifier
import data.__main__ as frames
import evaluate
from common import console
from runs.run_options import DEFAULT_ATTACKS
from xai.methods import ALL

QUICKEST = (
    "LIME.samples=20", "SHAP.evaluations=20", "SOBOL.grid=3", "SOBOL.designs=2", "RISE.samples=20",
    "adversarial.pairs=2", "adversarial.steps=2", "nes.pairs=2", "nes.steps=2",
)  # fmt: skip


def test_from_videos_to_the_table(ffpp: Path, tmp_path: Path) -> None:
    def done(app: object, *words: object) -> None:
        assert console.status(app, [str(word) for word in words]) == 0  # type: ignore[arg-type]

    crops, store, weights = tmp_path / "crops", tmp_path / "crops.lmdb", tmp_path / "net" / "model.safetensors"
    index = crops / "index.csv"
    done(frames.app, "preprocess", "--root", ffpp, "--out", crops, "--frames-per-video", 8, "--split-by-time",
         "--size", 128, "--lmdb", store, "--workers", 2)  # fmt: skip
    done(frames.app, "lmdb", "verify", store, "--index", index, "--images", crops)
    selected = tmp_path / "test.csv"
    done(frames.app, "sample", "--index", index, "--out", selected, "--per-video", 2, "--split", "test")
    done(classifier.app, "train", "--frames", index, "--images", store, "--out", weights.parent, "--epochs", 1,
         "--backbone", "test_efficientnet", "--size", 64, "--batch-size", 8, "--device", "cpu")  # fmt: skip
    done(classifier.app, "test", "--frames", index, "--images", store, "--detector", weights, "--out", tmp_path / "t",
         "--device", "cpu")  # fmt: skip
    settings = [word for each in QUICKEST for word in ("--set", each)]
    done(evaluate.app, "--method", "All", "--preset", "quick", "--frames", selected, "--images", store, "--detector",
         weights, "--results", tmp_path, "--run", "real", "--device", "cpu", *settings)  # fmt: skip

    scored = pd.read_csv(tmp_path / "real" / "rows_All.csv")
    wanted = pd.read_csv(selected)
    assert set(scored["key"]) == set(wanted["relative_path"])
    assert set(scored["family"]) == {"Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"}
    attacked = scored[scored["method"].isin(ALL)]
    assert len(attacked) == len(wanted) * len(ALL) * 3 * len(DEFAULT_ATTACKS)
    assert {"random", "random-area", "face-centre", "edges", "whole", "oracle"} <= set(scored["method"])
    assert np.allclose(scored["drop"], scored["before"] - scored["after"])
    assert (scored["linf"] <= 16 / 255 + 1e-6).all()
    table = pd.read_csv(tmp_path / "real" / "scores_All.csv", index_col=0)
    assert table.shape == (10, 25)
    assert table.loc["Original", "Accuracy"] == round((scored.drop_duplicates("key")["correct"]).mean(), 3)
