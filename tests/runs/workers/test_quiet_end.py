"""A run by workers ends without a word from the system about what they left."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from tests.scoring.stand_ins import write_frames
from xai.base import Fill, Score

ROOT = Path(__file__).parents[3]


def with_bar(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """A map that says nothing, made under one of tqdm's bars, as shap makes its own where it takes long."""
    for _ in tqdm(range(2), file=io.StringIO()):
        pass
    return generator.random(segments.shape).astype(np.float32)


def test_a_library_s_bar_leaves_no_semaphore(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", videos=1)
    words = (
        "--frames", index, "--images", index.parent, "--results", tmp_path, "--run", "run", "--device", "cpu",
        "--detector", "tests.scoring.stand_ins:PlantedDetector", "--method", f"{__name__}:with_bar",
        "--attack", "fgsm", "--baseline", "random", "--set", "protocol.flip_thresholds=none",
        "--set", "segments.count=9", "--workers", 2, "--threads", 1,
    )  # fmt: skip
    command = [sys.executable, "evaluate.py", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Scored 4 of 4 frames" in done.stdout
    assert "leaked" not in done.stderr
