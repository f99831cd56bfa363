"""Landmarks of videos: files matched to their frames, and dlib's predictors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from data.landmarks import mean_face
from data.preprocess.face_detection import Box
from data.preprocess.landmarking import (
    DlibLandmarks,
    GivenLandmarks,
    all_the_same,
    landmarker_of,
    landmarks_identity,
    with_landmarks,
)
from data.preprocess.layout import Clip
from tests.data.preprocess.videos import fake_dlib

DEEPFAKE = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
SWAP = "manipulated_sequences/FaceSwap/c23/videos/000_003.mp4"
REAL = "original_sequences/youtube/c23/videos/000.mp4"
OTHER = "original_sequences/youtube/c23/videos/001.mp4"
CELEB = "Celeb-synthesis/id0_id1_0000.mp4"


def clip(key: str) -> Clip:
    return Clip(key, Path(key), "Real", "000")


def ldm(path: Path, marks: dict[str, object]) -> Path:
    path.write_text(
        json.dumps({key: {"landmark": value, "label": 1, "source_path": "x"} for key, value in marks.items()})
    )
    return path


def shifted(by: float) -> list[list[float]]:
    return (mean_face(100) + by).tolist()


def test_every_frame_of_the_file_finds_its_video(tmp_path: Path) -> None:
    file = ldm(
        tmp_path / "ldm.json",
        {
            "./train_images/manipulated_sequences/Deepfakes/raw/frames/000_003/frame_7": shifted(7),
            "./train_images/manipulated_sequences/Deepfakes/raw/frames/000_003/frame_12": shifted(12),
            "./train_images/manipulated_sequences/FaceSwap/c40/frames/000_003/frame_0": shifted(40),
            "./train_images/manipulated_sequences/FaceSwap/c23/frames/000_003/frame_0": shifted(23),
            "./train_images/manipulated_sequences/FaceSwap/raw/frames/000_003/frame_0": shifted(1),
            "./train_images/original_sequences/youtube/raw/frames/000/frame_3.png": shifted(3),
            "./train_images/original_sequences/youtube/raw/frames/000/thumbnail": shifted(0),
            "./train_images/original_sequences/actors/raw/frames/000/frame_4": shifted(4),
            "Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000/frame_5": shifted(5),
        },
    )
    clips = with_landmarks([clip(key) for key in (DEEPFAKE, SWAP, REAL, CELEB, OTHER)], file)
    found = [
        {position: marks[0, 0] - mean_face(100)[0, 0] for position, marks in (clip.landmarks or {}).items()}
        for clip in clips
    ]
    assert found == [pytest.approx(wanted) for wanted in ({7: 7, 12: 12}, {0: 23}, {3: 3}, {5: 5}, {})]
    assert clips[4].landmarks is None
    assert clips[0] == clip(DEEPFAKE)  # landmarks are no part of what a clip is


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    frame = "a/original_sequences/youtube/raw/frames/000/frame_"
    for marks, says in (
        ({"other/frame_1": shifted(0)}, "names no frame of these videos; expected paths such as manipulated_sequences"),
        ({f"{REAL}/00001_0.png": shifted(0)}, "names no frame of these videos"),  # the landmarks of crops
        ({f"{frame}1": shifted(0), f"{frame}2": [[1, 2]] * 81}, "frame_2' lie at one place"),
        ({f"{frame}1": shifted(0), f"{frame}2": [[n, 2] for n in range(81)]}, "have 68 landmarks and some 81"),
    ):
        with pytest.raises(InputError) as refused:
            with_landmarks([clip(REAL)], ldm(tmp_path / "ldm.json", marks))
        assert says in str(refused.value)
        assert str(refused.value).startswith(str(tmp_path / "ldm.json"))
    with pytest.raises(InputError, match=r"absent\.json: no such file of landmarks"):
        landmarks_identity(tmp_path / "absent.json")
    with pytest.raises(InputError, match="a folder of landmarks is of pictures that are cropped already"):
        landmarks_identity(tmp_path)


def test_the_same_landmarks_in_every_frame_are_noticed() -> None:
    one, other = mean_face(100), mean_face(101)
    assert all_the_same({1: one, 2: one.copy()})
    assert not all_the_same({1: one})
    assert not all_the_same({1: one, 2: other, 3: one})


def test_given_landmarks_belong_to_the_face_they_lie_in() -> None:
    marks = mean_face(100, 1.0) + np.array([50, 20])
    given = GivenLandmarks({4: marks})
    image = np.zeros((200, 300, 3), np.uint8)
    assert given.find(4, image, Box(50, 20, 100, 100)) is marks
    assert given.find(4, image, Box(170, 20, 100, 100)) is None
    assert given.find(5, image, Box(50, 20, 100, 100)) is None


def test_a_predictor_sees_the_frame_and_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.dat"
    file.write_bytes(b"81")
    monkeypatch.setitem(sys.modules, "dlib", fake_dlib())
    image = np.zeros((200, 300, 3), np.uint8)
    marks = DlibLandmarks(file).find(0, image, Box(50.4, 20, 100, 80))
    assert marks is not None
    assert marks.shape == (81, 2)
    np.testing.assert_array_equal(marks[0], [50, 20])  # the fake predicts points from the box's corner
    np.testing.assert_array_equal(marks[80], [149, 99])  # to the other; both belong to the box
    made = landmarker_of(clip(REAL), file)
    assert isinstance(made, DlibLandmarks)
    assert landmarker_of(clip(REAL), None) is None
    assert landmarker_of(clip(REAL), tmp_path / "ldm.json") is None


def test_a_predictor_that_cannot_be_used_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.dat"
    file.write_bytes(b"5")
    monkeypatch.setitem(sys.modules, "dlib", fake_dlib())
    with pytest.raises(InputError, match=r"p\.dat: predicts 5 landmarks in an order of its own; use one for 68 or 81"):
        DlibLandmarks(file)
    file.write_bytes(b"not a predictor")
    with pytest.raises(InputError, match=r"p\.dat: not a landmark predictor of dlib \(unexpected version\)"):
        DlibLandmarks(file)
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(InputError, match=r'needs the package dlib; install it with pip install "flipscope\[dlib\]"'):
        DlibLandmarks(file)


def test_dlib_itself(tmp_path: Path) -> None:
    """A predictor trained here on marked discs finds the marks of another disc; skips where dlib is absent."""
    dlib = pytest.importorskip("dlib")
    rng = np.random.default_rng(0)
    images, truths = [], []
    for _ in range(40):
        image = rng.integers(0, 40, (120, 160, 3)).astype(np.uint8)
        x, y, size = rng.integers(30, 60), rng.integers(20, 30), rng.integers(50, 60)
        marks = mean_face(float(size), 1.0) + np.array([x, y])
        for point in marks[17:]:
            column, row = np.clip(np.rint(point).astype(int), 0, [159, 119])
            image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 255
        box = dlib.rectangle(int(x), int(y), int(x + size - 1), int(y + size - 1))
        parts = [dlib.point(int(u), int(v)) for u, v in np.rint(marks)]
        images.append(image)
        truths.append(
            ([dlib.full_object_detection(box, parts)], Box(float(x), float(y), float(size), float(size)), marks)
        )
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.cascade_depth, options.num_trees_per_cascade_level = 5, 4, 30
    options.tree_depth, options.be_verbose = 2, False
    predictor = dlib.train_shape_predictor(images[:30], [truth[0] for truth in truths[:30]], options)
    file = tmp_path / "trained.dat"
    predictor.save(str(file))
    for image, (_, box, marks) in zip(images[30:], truths[30:], strict=True):
        found = DlibLandmarks(file).find(0, image, box)
        assert found is not None
        assert np.abs(found - marks).mean() < 3
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match="not a landmark predictor of dlib"):
        DlibLandmarks(file)
