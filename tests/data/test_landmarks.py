"""Landmarks: files of both kinds, the five points, and a mean face that fits real faces."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.landmarks import Landmarks, five_points, landmarks_for, mean_face, read_landmarks, write_landmarks
from data.preprocess.face_detection import HaarFaces
from data.preprocess.landmarking import landmarks_identity
from data.preprocess.video import read

RNG = np.random.default_rng(0)
CADDM = "./test_images/manipulated_sequences/Deepfakes/raw/frames/000_003/frame_12"


def points(count: int) -> np.ndarray:
    return RNG.uniform(0, 200, (count, 2)).round(3)


@pytest.mark.parametrize("count", [5, 68, 81])
def test_what_is_written_is_read_again(tmp_path: Path, count: int) -> None:
    path = tmp_path / "landmarks.csv"
    written = {f"video, one/{number}.png": points(count) for number in range(3)}
    write_landmarks(path, written.items())
    found = read_landmarks(path)
    assert list(found) == list(written)
    assert len(found) == 3
    for key, truth in written.items():
        np.testing.assert_array_equal(found[key], truth)
        assert found[key].dtype == np.float64
    assert "other.png" not in found
    assert path.read_text().splitlines()[0].startswith("relative_path,x0,y0,x1,y1,")


def test_caddms_json_is_read_and_found_by_the_ends_of_its_paths(tmp_path: Path) -> None:
    path = tmp_path / "ldm.json"
    marks = RNG.integers(0, 300, (81, 2))
    other = RNG.integers(0, 300, (81, 2))
    source = "./test_images/original_sequences/youtube/raw/frames/000/frame_12"
    values = {
        CADDM: {"landmark": marks.tolist(), "source_path": source, "label": 1},
        source: {"landmark": other.tolist(), "source_path": source, "label": 0},
    }
    path.write_text(json.dumps(values))
    found = read_landmarks(path)
    for key in (
        CADDM,
        f"{CADDM}.png",
        "manipulated_sequences/Deepfakes/raw/frames/000_003/frame_12.png",
        "raw/frames/000_003/frame_12",
        f"/home/someone/{CADDM.removeprefix('./')}.jpg",
    ):
        np.testing.assert_array_equal(found[key], marks)
    np.testing.assert_array_equal(found["000/frame_12.png"], other)
    for absent in ("frame_12", "1000/frame_12", "c23/frames/000_003/frame_12.png", "frames/000_003/frame_1.png"):
        assert found.get(absent) is None


def test_a_path_that_could_mean_two_is_refused() -> None:
    found = Landmarks(Path("ldm.json"), {"a/v/1": points(5), "b/v/1": points(5), "v/2": points(5)})
    assert found["a/v/1.png"] is not None
    assert found["c/v/2.png"] is not None
    with pytest.raises(InputError, match=r"ldm\.json: 'v/1\.png' could be 'a/v/1' or 'b/v/1'"):
        found["v/1.png"]


HEADER = "relative_path," + ",".join(f"{axis}{number}" for number in range(5) for axis in "xy") + "\n"
TEN = ",1,2,3,4,5,6,7,8,9,10\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: not the header"),
        (b"relative_path,x0,y0\na,1,2\n", "line 1: not the header"),
        (HEADER.encode(), "no landmarks in this file"),
        ((HEADER + "a,1,2\n").encode(), "line 2: 3 cells where the header has 11"),
        ((HEADER + "a" + TEN + "b" + TEN.replace("7", "x")).encode(), "line 3: not 5 points of two numbers"),
        ((HEADER + "a" + TEN.replace("7", "nan")).encode(), "line 2: not 5 points of finite numbers"),
        ((HEADER + "a" + TEN + "a" + TEN).encode(), "line 3: 'a' occurs twice"),
        ((HEADER + '"a').encode(), "line 2: not readable as CSV"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b'{"a": ', "not readable as JSON"),
        (b"{}", "no landmarks in this file"),
        (b'{"a": [1, 2]}', "the landmarks of 'a' are not there"),
        (b'{"a": {"label": 1}}', "the landmarks of 'a' are not there"),
        (b'{"a": {"landmark": [[1, 2], [3, 4]]}}', "the landmarks of 'a' are not there"),
        (b'{"a": {"landmark": [[1, 2], [3, 4], [5, 6], [7, 8], [9]]}}', "not 5 points of two numbers"),
        (b'{"a": {"landmark": [[1, 2], [3, 4], [5, 6], [7, 8], 9]}}', "not 5 points of two numbers"),
        (b'{"a": {"landmark": [[1, 2], [3, 4], [5, 6], [7, 8], [9, Infinity]]}}', "not 5 points of finite numbers"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "landmarks"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_landmarks(path)
    assert str(refused.value).startswith(str(path))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_read_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the landmarks"):
        read_landmarks(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="a has 5 landmarks, b has 68"):
        write_landmarks(tmp_path / "mixed.csv", [("a", points(5)), ("b", points(68))])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no landmarks"):
        write_landmarks(tmp_path / "none.csv", [])


def test_the_five_points_by_hand() -> None:
    marks = np.full((68, 2), -1000.0)
    marks[36:42] = [[10, 20], [12, 18], [14, 18], [16, 20], [14, 22], [12, 22]]
    marks[42:48] = [[30, 21], [32, 19], [34, 19], [36, 21], [34, 23], [32, 23]]
    marks[30], marks[48], marks[54] = [23, 30], [15, 40], [31, 41]
    truth = [[13, 20], [33, 21], [23, 30], [15, 40], [31, 41]]
    np.testing.assert_allclose(five_points(marks), truth)
    np.testing.assert_allclose(five_points(np.vstack([marks, np.full((13, 2), 7.0)])), truth)
    np.testing.assert_allclose(five_points(np.array(truth, float)), truth)
    for shape in ((6, 2), (68, 3), (2,)):
        with pytest.raises(ValueError, match="expected"):
            five_points(np.zeros(shape))


@given(st.floats(30, 600), st.floats(1, 3))
def test_the_mean_face_is_symmetric_and_grows_with_the_box(side: float, margin: float) -> None:
    shape = mean_face(side, margin)
    eye, other, nose, left, right = five_points(shape)
    assert nose[0] == pytest.approx((side - 1) / 2)
    np.testing.assert_allclose([eye[0] + other[0], left[0] + right[0]], side - 1, atol=0.003 * side)
    assert eye[1] == pytest.approx(other[1], abs=0.003 * side)
    np.testing.assert_allclose(np.ptp(shape, axis=0) * margin / side, np.ptp(mean_face(1, 1), axis=0))


def test_the_mean_face_meets_the_eyes_of_real_faces(ffpp: Path) -> None:
    """Against OpenCV's cascade for eyes, which knows nothing of our landmarks."""
    eyes = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_eye.xml"))
    middle = five_points(mean_face(200, 1.0))[:2]
    misses = []
    for path in sorted(ffpp.glob("*/*/c23/videos/*.mp4")):
        [(_, image)] = read(path, [0])
        [face] = HaarFaces().detect(image)
        rows = slice(round(face.top), round(face.top + 0.6 * face.height))
        columns = slice(round(face.left), round(face.left + face.width))
        upper = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[rows, columns], (200, 120))
        found = sorted(eyes.detectMultiScale(upper, 1.05, 6, minSize=(30, 30)).tolist())
        assert len(found) == 2, path
        centres = [(left + width / 2, top + height / 2) for left, top, width, height in found]
        misses += list(np.array(centres) - middle)
    assert len(misses) == 14
    assert np.abs(np.mean(misses, axis=0)).max() < 5  # of 200 pixels across the face: no bias,
    assert np.abs(misses).max() < 20  # and near in every clip, though heads turn and tilt


def test_the_mean_face_is_near_that_of_demo_faces(frames: DemoFrames) -> None:
    for position in (0, 5):
        truth = frames.landmarks(position)
        fitted = landmarks_for("face", (256, 256), {"face": five_points(truth)})
        assert np.abs(fitted - truth)[17:].mean() < 0.05 * np.ptp(truth[:, 0])


def test_a_picture_has_its_own_landmarks_or_the_mean_face() -> None:
    own = mean_face(100)
    np.testing.assert_array_equal(landmarks_for("a", (100, 100, 3), {"a": own}), own)
    for given_ in (None, {"b": own}):
        np.testing.assert_allclose(landmarks_for("a", (100, 140, 3), given_), own + np.array([20, 0]))
        np.testing.assert_allclose(landmarks_for("a", (100, 100, 3), given_, margin=2.0), mean_face(100, 2.0))
    with pytest.raises(InputError, match=r"the landmarks of a lie about \(400, 407\), outside its 100x100 pixels"):
        landmarks_for("a", (100, 100, 3), {"a": own + 350})
    with pytest.raises(InputError, match="are at one place"):
        landmarks_for("a", (100, 100, 3), {"a": np.full((5, 2), 7.0)})


@settings(deadline=None)
@given(st.floats(0.3, 3), st.floats(-3, 3), st.floats(-20, 20), st.floats(-20, 20))
def test_five_points_place_the_mean_face(scale: float, angle: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (mean_face(100) - 49.5) @ turn.T + [x + 200, y + 200]
    np.testing.assert_allclose(landmarks_for("a", (400, 400), {"a": five_points(moved)}), moved, atol=1e-6)


def deepfakebench(root: Path, count: int = 81) -> dict[str, np.ndarray]:
    """DeepfakeBench's landmarks of three pictures, by the picture's key."""
    written = {}
    for key in (
        "Deepfakes/c23/frames/000_003/000",
        "FaceSwap/c23/frames/000_003/000",
        "Deepfakes/c23/frames/000_003/012",
    ):
        written[f"manipulated_sequences/{key}.png"] = RNG.integers(0, 200, (count, 2))
        file = root / "manipulated_sequences" / f"{key.replace('frames', 'landmarks')}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, written[f"manipulated_sequences/{key}.png"])
    return written


@pytest.mark.parametrize("count", [68, 81])
@pytest.mark.parametrize("below", ["", "manipulated_sequences/Deepfakes/c23/landmarks"])
def test_deepfakebenchs_files_belong_to_the_pictures_beside(tmp_path: Path, count: int, below: str) -> None:
    written = deepfakebench(tmp_path, count)
    for name in ("._000.npy", ".old/000.npy"):  # of macOS, and of a user
        hidden = tmp_path / "manipulated_sequences/Deepfakes/c23/landmarks/000_003" / name
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_bytes(b"\0\5\x16\7")
    found = read_landmarks(tmp_path / below)
    assert len(found) == (2 if below else 3)
    for key, truth in written.items():
        if below and "FaceSwap" in key:
            assert key not in found  # though a video of the same name is there
        else:
            np.testing.assert_array_equal(found[key], truth)
            assert found[key].dtype == np.float64
    assert "manipulated_sequences/Deepfakes/c23/frames/000_003/001.png" not in found


def test_what_are_no_npy_landmarks_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "landmarks" / "v" / "0.npy"
    file.parent.mkdir(parents=True)
    with pytest.raises(InputError, match=r"no NPY files in this folder; expected such as landmarks/000_003/012\.npy"):
        read_landmarks(tmp_path)
    for content, says in (
        (np.zeros((5, 3)), r"float64 of shape \(5, 3\), expected landmarks \(68, 2\) or \(81, 2\)"),
        (np.full((68, 2), np.nan), "not finite"),
        (np.zeros((68, 2), complex), "complex128 of shape"),
        (np.array([None]), "not readable as landmarks"),
    ):
        np.save(file, content, allow_pickle=True)
        with pytest.raises(InputError, match=rf"0\.npy: .*{says}"):
            read_landmarks(tmp_path)
    np.save(file, np.zeros((68, 2)))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"0\.npy: not readable as landmarks"):
        read_landmarks(tmp_path)
    with pytest.raises(InputError, match="the landmarks of one picture; name the folder landmarks that they are in"):
        read_landmarks(file)


@pytest.mark.parametrize(
    ("pack", "name", "command"),
    [
        (bz2.compress, "p.dat.bz2", "bunzip2"),
        (bz2.compress, "p.dat", "bunzip2"),
        (gzip.compress, "l.csv.gz", "gunzip"),
        (lzma.compress, "ldm.json.xz", "unxz"),
    ],
)
def test_a_packed_file_says_how_to_unpack_it(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str, command: str
) -> None:
    file = tmp_path / name
    file.write_bytes(pack(b"{}" * 500))
    for read_it in (read_landmarks, landmarks_identity):
        with pytest.raises(InputError) as refused:
            read_it(file)
        assert str(refused.value) == f"{file}: is packed; unpack it first ({command} {file}) and name the file inside"
