"""The real FaceForensics++ clips: a face in every chosen frame, and masks where the manipulations are."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from common.console import application, status
from data.preprocess.command import preprocess
from data.preprocess.video import read
from data.source import read_frames
from data.stores import FolderImages
from tests.data.preprocess.videos import write

FAMILY_SHARES = {"Deepfakes": (0.1, 0.4), "FaceSwap": (0.25, 0.6), "NeuralTextures": (0.005, 0.25)}


def opening(ffpp: Path, root: Path, frames: int) -> Path:
    """The first frames of every clip, encoded again nearly without loss: whole clips take a minute."""
    for path in sorted(ffpp.glob("*/*/c23/videos/*.mp4")):
        write(root / path.relative_to(ffpp), (image for _, image in read(path, range(frames))))
    return root


def test_faces_and_masks(ffpp: Path, tmp_path: Path) -> None:
    app = application("test")
    app.command()(preprocess)
    root, out = opening(ffpp, tmp_path / "ffpp", frames=14), tmp_path / "out"
    options = ["--root", str(root), "--out", str(out), "--splits", str(ffpp / "splits"), "--workers", "2"]
    assert status(app, [*options, "--frames-per-video", "3", "--size", "160"]) == 0
    frames = read_frames(out / "index.csv", FolderImages(out))
    assert len(frames) == 21
    splits = {Path(entry.video).stem: entry.split for entry in frames.entries}
    assert splits == {
        "004": "val",
        "004_982": "val",
        "519": "train",
        "519_515": "train",
        "634": "test",
        "634_660": "test",
        "750_743": "train",
    }
    heights = defaultdict(list)
    for frame in frames:
        assert frame.image.shape[0] == frame.image.shape[1] <= 160
        if frame.mask is not None:
            least, most = FAMILY_SHARES[str(frame.family)]
            assert least < frame.mask.mean() < most, frame.key
            heights[frame.family].append(np.nonzero(frame.mask)[0].mean() / frame.mask.shape[0])
    assert set(heights) == set(FAMILY_SHARES)
    assert np.mean(heights["NeuralTextures"]) > 0.65 > np.mean(heights["FaceSwap"])  # the mouth; the whole face
