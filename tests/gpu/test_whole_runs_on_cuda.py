"""Explanations and whole runs on CUDA give what they give on the CPU, up to rounding."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import evaluate
import xai
from benchmarks.peers import PEERS, PeerScene, contest
from common import console
from tests.scoring.stand_ins import TINY, write_frames
from tests.xai.helpers import SmallNetwork, photo

pytestmark = pytest.mark.gpu

METHODS = ("LIME", "LIME_adv", "SHAP", "SOBOL", "RISE", "captum:IntegratedGradients", "cam:GradCAM")
SETTINGS = [
    word for setting in TINY if setting.startswith(("segments", "RISE", "adv", "nes")) for word in ("--set", setting)
]


@pytest.mark.parametrize("method", METHODS)
def test_explanations_equal_the_cpus(cuda: torch.device, method: str) -> None:
    image = (photo(64).permute(1, 2, 0) * 255).byte().numpy()
    here, there = (
        xai.explain(detector, image, method, target=2, preset="quick")
        for detector in (SmallNetwork(64), SmallNetwork(64).to(cuda))
    )
    assert there.saliency.dtype == np.float32
    assert there.forwards == here.forwards
    assert np.allclose(here.saliency, there.saliency, atol=0.02 * np.abs(here.saliency).max())


@pytest.mark.parametrize("name", PEERS)
def test_the_peers_run(cuda: torch.device, name: str) -> None:
    network, image = SmallNetwork(64).to(cuda), photo(64).to(cuda)
    frame = xai.FrameExplanations(network, image, 2, xai.build_settings("quick"))
    ours, theirs = contest(frame, PeerScene(network, image, frame.segments, 2, 132), name, rounds=1)
    assert ours.saliency.shape == theirs.saliency.shape == (64, 64)


def test_a_run_equals_the_cpus(cuda: torch.device, tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", videos=1, families=("Deepfakes", "FaceSwap"))
    rows = []
    for device in ("cpu", cuda.type):
        words = ["--method", "RISE_adv", "--preset", "quick", "--frames", str(index), "--images", str(index.parent)]
        words += ["--baseline", "random", "--baseline", "random-model"]
        words += ["--detector", "tests.scoring.stand_ins:PlantedDetector", "--results", str(tmp_path / device)]
        assert console.status(evaluate.app, ["--device", device, "--batch-size", "16", *words, *SETTINGS]) == 0
        (table,) = (tmp_path / device).rglob("rows_RISE_adv.csv")
        rows.append(pd.read_csv(table))
    here, there = rows
    assert len(here) == len(there) > 0
    assert (here["flipped_to_real"] == there["flipped_to_real"]).mean() > 0.97
    assert (here["before"] - there["before"]).abs().max() < 1e-4
    assert (here["drop"] - there["drop"]).abs().mean() < 0.01
