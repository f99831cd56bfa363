"""Landmarks that are not those of the frames they are given for: counted and named, left out or refused."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import detectors
from common.console import status
from common.errors import InputError
from data.entry import Entry
from data.index import write_index
from data.landmarks import Landmarks, five_points, landmarks_for, mean_face, misplaced, read_landmarks, write_landmarks
from data.npy_landmarks import npy_of
from data.source import open_frames
from detectors.__main__ import app
from detectors.training.models import MODELS, Wanted, new_detector
from detectors.training.sbi_recipe import SelfBlending
from detectors.training.training_frames import Labelled, labelled
from tests.detectors.training.small_frames import write_small_frames

PEOPLE, SIDE = 8, 40
FRAMES = "original_sequences/youtube/c23/frames"
SMALL = ["--backbone", "test_efficientnet", "--size", "32", "--batch-size", "4", "--epochs", "1", "--device", "cpu"]
ONE_STEP = [*SMALL, "--threads", "1", "--precision", "float32", "--val-fraction", "0"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures, eight of them real, seven of these to train on."""
    return write_small_frames(tmp_path_factory.mktemp("small"), people=PEOPLE, side=SIDE)


def real_keys(index: Path) -> list[str]:
    return [entry.key for entry in open_frames(index, split="train").entries if not entry.fake]


def points(count: int = 68) -> np.ndarray:
    """The landmarks of an upright face in the middle of a crop, with a forehead where there are 81."""
    face = mean_face(SIDE)
    forehead = face[17:30] * [1, 0] + [0, 4]
    return {5: five_points(face), 68: face, 81: np.vstack([face, forehead])}[count]


def written(folder: Path, index: Path, change: Callable[[int, np.ndarray], np.ndarray | None], count: int = 68) -> Path:
    """landmarks.csv of the real frames, the number and landmarks of each changed; None leaves one out."""
    rows = [(key, change(number, points(count))) for number, key in enumerate(real_keys(index))]
    write_landmarks(folder / "landmarks.csv", [(key, marks) for key, marks in rows if marks is not None])
    return folder / "landmarks.csv"


def chosen(index: Path, landmarks: Path, asked_for: bool = True) -> Labelled:
    """What the recipe trains on."""
    detector = new_detector(MODELS["sbi"], Wanted("test_efficientnet", 32), None)
    frames = labelled(open_frames(index, split="train"), detector)[0]
    return SelfBlending(read_landmarks(landmarks), asked_for).chosen(frames, detector)


def warned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


def far(number: int, marks: np.ndarray) -> np.ndarray:
    """A decimal point that is gone in one number of the first two frames."""
    changed = marks.copy()
    changed[3, number % 2] *= 1000 if number < 2 else 1
    return changed


@pytest.mark.parametrize("count", [5, 68, 81])
def test_landmarks_that_fit_are_taken_without_a_word(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    assert len(chosen(index, written(tmp_path, index, lambda _, marks: marks, count))) == PEOPLE - 1
    assert warned(capsys) == []


@pytest.mark.parametrize("asked_for", [True, False])
def test_frames_without_landmarks_are_counted(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked_for: bool
) -> None:
    file = written(tmp_path, index, lambda number, marks: marks if number % 2 else None)
    assert len(chosen(index, file, asked_for)) == PEOPLE - 1
    (line,) = warned(capsys)
    assert f"{file}: has no landmarks of 4 of 7 frames, such as {real_keys(index)[0]}: a mean face stands in" in line


def test_landmarks_of_other_frames_alone_are_refused_where_they_were_asked_for(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "landmarks.csv"
    write_landmarks(file, [(f"other/place/{number:05d}.png", points()) for number in range(9)])
    with pytest.raises(InputError, match=r"has landmarks of none of the 7 frames .* its own as other/place/00000\.png"):
        chosen(index, file)
    assert warned(capsys) == []
    assert len(chosen(index, file, asked_for=False)) == PEOPLE - 1
    (line,) = warned(capsys)
    assert "has no landmarks of 7 of 7 frames" in line


@pytest.mark.parametrize("count", [5, 68, 81])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (far, r"have one at \(\d+, \d+\), far outside its 40x40 pixels"),
        (lambda number, marks: -marks if number < 2 else marks, r"lie about \(-\d+, -\d+\), outside its 40x40 pixels"),
        (lambda number, marks: marks + 60 if number < 2 else marks, r"lie about .*not of the frame it was cut from"),
        (lambda number, marks: marks * 1.65 if number < 2 else marks, r"are of another picture|have one at|lie about"),
        (lambda number, marks: marks / SIDE if number < 2 else marks, r"eyes and mouth 0\.\d+ pixels apart, of its"),
    ],
)  # fmt: skip
def test_landmarks_outside_of_the_picture_leave_their_frames_out(
    index: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[int, np.ndarray], np.ndarray],
    said: str,
    count: int,
) -> None:
    kept = chosen(index, written(tmp_path, index, change, count))
    assert [entry.key for entry in kept.frames.entries] == real_keys(index)[2:]
    (line,) = warned(capsys)
    assert (
        f"2 of 7 frames left out for their landmarks, the first because the landmarks of {real_keys(index)[0]}" in line
    )
    assert re.search(said, line), line


def test_landmarks_of_which_none_fits_are_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of its landmarks fits its frame \(7 of them\)"):
        chosen(index, written(tmp_path, index, lambda _, marks: marks * 3), asked_for=False)
    with pytest.raises(InputError, match=r"none of its landmarks fits its frame \(3 of them\)"):
        chosen(index, written(tmp_path, index, lambda number, marks: marks * 3 if number < 3 else None))


def test_a_name_that_two_rows_could_mean_leaves_its_frame_out(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = real_keys(index)
    end = "/".join(keys[0].split("/")[-2:])
    file = tmp_path / "landmarks.csv"
    write_landmarks(
        file, [(f"a/{keys[0]}", points()), (f"b/{keys[0]}", points()), *((key, points()) for key in keys[1:])]
    )
    assert len(chosen(index, file)) == PEOPLE - 2
    (line,) = warned(capsys)
    assert "1 of 7 frames left out" in line
    assert end in line


@pytest.mark.parametrize("count", [5, 68, 81])
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("x and y exchanged", lambda marks: marks[:, ::-1]),
        ("turned to the left", lambda marks: np.stack([marks[:, 1], SIDE - 1 - marks[:, 0]], 1)),
        ("on its head", lambda marks: SIDE - 1 - marks),
    ],
)
def test_faces_that_lie_are_said_where_they_are_most(
    index: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    change: Callable[[np.ndarray], np.ndarray],
    count: int,
) -> None:
    lying = written(tmp_path, index, lambda number, marks: change(marks) if number < 4 else marks, count)
    assert len(chosen(index, lying)) == PEOPLE - 1
    (line,) = warned(capsys)
    assert f"4 of 7 faces lie on their side or head, such as that of {real_keys(index)[0]}" in line, what
    few = written(tmp_path, index, lambda number, marks: change(marks) if number < 3 else marks, count)
    assert len(chosen(index, few)) == PEOPLE - 1
    assert warned(capsys) == []


@pytest.mark.parametrize("scale", [0.5, 0.6, 1.3, 1.4])
def test_landmarks_of_pictures_of_another_size_are_said(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: float
) -> None:
    assert len(chosen(index, written(tmp_path, index, lambda _, marks: marks * scale))) == PEOPLE - 1
    (line,) = warned(capsys)
    assert "the landmarks may be of pictures of another size" in line


@pytest.mark.parametrize("margin", [1.0, 1.15, 1.3, 2.0])
@pytest.mark.parametrize("count", [5, 68, 81])
def test_landmarks_of_true_crops_may_reach_beyond_them(margin: float, count: int) -> None:
    """Boxes a tenth off, a fifth too small, faces tilted by up to 30 degrees."""
    face = mean_face(1000, 1.0) - 499.5
    angles = np.linspace(0.95 * np.pi, 0.05 * np.pi, 13)
    forehead = np.stack([400 * np.cos(angles), -200 - 420 * np.sin(angles)], 1)
    marks = {5: five_points(face), 68: face, 81: np.vstack([face, forehead])}[count]
    draws = np.random.default_rng(0)
    for _ in range(300):
        angle, scale, shift = draws.uniform(-np.pi / 6, np.pi / 6), draws.uniform(0.9, 1.2), draws.uniform(-100, 100, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shown = (scale * marks @ turn.T + shift) / margin + 499.5
        assert misplaced(shown, (1000, 1000)) is None
        if count > 5:
            assert np.array_equal(landmarks_for("a", (1000, 1000, 3), {"a": shown}), shown)


@pytest.mark.parametrize("count", [68, 81])
@pytest.mark.parametrize(
    ("lost", "sound"),
    [(slice(None), False), (slice(17), False), (slice(34), False), (slice(6), True), (slice(0), True)],
)
def test_points_that_stand_for_nothing_are_no_face(count: int, lost: slice, sound: bool) -> None:
    """Zeros, as trackers write where they found nothing; a few points may fall together on a small face."""
    marks = np.random.default_rng(0).uniform(100, 900, (count, 2)).round()
    marks[lost] = 0
    assert (misplaced(marks, (1000, 1000)) is None) == sound
    small = np.vstack([mean_face(40, 1.3), mean_face(40, 1.3)[:13] + 0.7])[:count].round()
    assert misplaced(small, (40, 40)) is None


@pytest.mark.parametrize("count", [5, 68, 81])
@pytest.mark.parametrize("side", [16, 40, 256, 1920])
def test_landmarks_in_parts_of_the_picture_are_no_face_and_small_faces_are(count: int, side: int) -> None:
    marks, shape = points(count) / SIDE, (side * 9 // 16, side)
    said = (
        rf"landmarks of a have eyes and mouth 0\.\d+ pixels apart, of its {side}x{side * 9 // 16}; give them in pixels"
    )
    with pytest.raises(InputError, match=said):
        landmarks_for("a", shape, {"a": marks})
    for box in (max(8, side / 60), 0.4 * side):  # of a face in a crowd, and of one that nearly fills the picture
        assert misplaced(box * marks, shape) is None


def test_far_landmarks_are_refused_where_a_single_picture_is_asked_for() -> None:
    marks = points()
    marks[40, 1] = 43734
    with pytest.raises(
        InputError, match=r"the landmarks of a have one at \(\d+, 43734\), far outside its 40x40 pixels"
    ):
        landmarks_for("a", (SIDE, SIDE, 3), {"a": marks})


@pytest.fixture(scope="module")
def bench(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real frames once more, in folders as DeepfakeBench has them."""
    root = tmp_path_factory.mktemp("bench")
    entries = []
    for key in real_keys(index):
        name = f"{FRAMES}/{Path(key).parent.stem}/000.png"
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes((index.parent / key).read_bytes())
        entries.append(Entry(name, False, 0, "train"))
    write_index(root / "index.csv", entries)
    return root / "index.csv"


def npy_folder(root: Path, bench: Path, moved: float = 0.0) -> Path:
    """DeepfakeBench's folder of the landmarks."""
    for key in real_keys(bench):
        file = root / str(npy_of(key))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, points() + moved)
    return root / FRAMES.replace("frames", "landmarks")


def test_a_folder_of_landmarks_trains(bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, other, out = npy_folder(tmp_path / "a", bench), npy_folder(tmp_path / "b", bench, 0.25), tmp_path / "out"
    train = ["train", "--model", "sbi", "--frames", str(bench), "--split", "train", "--out", str(out), *ONE_STEP]
    assert status(app, [*train, "--landmarks", str(folder)]) == 0
    assert warned(capsys) == []
    assert detectors.load(str(out / "model.safetensors")).class_names == ("Real", "Fake")
    moved = (tmp_path / "a").rename(tmp_path / "moved")
    assert status(app, [*train, "--landmarks", str(moved), "--resume"]) == 0  # the same, wherever it lies
    capsys.readouterr()
    assert status(app, [*train, "--landmarks", str(other), "--resume"]) == 1
    assert "was made with landmarks=" in capsys.readouterr().err


def test_a_folder_of_landmarks_makes_the_pairs_that_a_file_of_them_makes(bench: Path, tmp_path: Path) -> None:
    folder, other = npy_folder(tmp_path / "a", bench), npy_folder(tmp_path / "b", bench, 5.0)
    file = written(tmp_path, bench, lambda _, marks: marks)
    real = chosen(bench, file)
    blends = [
        SelfBlending(read_landmarks(path)).samples(real, 0, np.random.default_rng(5))[1].image.astype(int)
        for path in (folder, file, other)
    ]
    assert np.abs(blends[0] - blends[1]).mean() < 0.5  # the file has three decimals
    assert (blends[0] != blends[2]).mean() > 0.1


def test_the_fingerprint_is_of_what_was_read(bench: Path, tmp_path: Path) -> None:
    folder = npy_folder(tmp_path / "a", bench)
    first = read_landmarks(folder).fingerprint
    assert read_landmarks(folder).fingerprint == first
    assert read_landmarks(npy_folder(tmp_path / "b" / "c", bench)).fingerprint == first
    files = sorted(folder.rglob("*.npy"))
    kept = files[0].read_bytes()
    np.save(files[0], points() + 1e-9)
    assert read_landmarks(folder).fingerprint != first
    files[0].write_bytes(kept)
    files[1].rename(files[1].with_name("001.npy"))
    assert read_landmarks(folder).fingerprint != first
    single = [Landmarks(Path("x"), {f"a/{name}": points()}).fingerprint for name in ("v/1", "v/2", "w/1")]
    assert len(set(single)) == 3
    one = Landmarks(Path("x"), {"v/1": points(), "w/1": points() + 1})
    exchanged = Landmarks(Path("x"), {"v/1": points() + 1, "w/1": points()})
    assert one.fingerprint != exchanged.fingerprint
    file = tmp_path / "ldm.json"
    file.write_text(json.dumps({"v/1": {"landmark": points().tolist()}}))
    read = read_landmarks(file)
    before = read.fingerprint
    os.truncate(file, 5)
    assert read.fingerprint == before  # not of what lies there by now


def test_the_command_says_which_landmarks_are_missing(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--model", "sbi", "--frames", str(index), "--split", "train", *ONE_STEP]
    half = written(tmp_path, index, lambda number, marks: marks if number < 4 else None)
    assert status(app, [*train, "--out", str(tmp_path / "half"), "--landmarks", str(half)]) == 0
    assert sum("has no landmarks of 3 of 7 frames" in line for line in warned(capsys)) == 1
    write_landmarks(half, [("x/y/1.png", points())])
    assert status(app, [*train, "--out", str(tmp_path / "none"), "--landmarks", str(half)]) == 1
    assert "has landmarks of none of the 7 frames" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    beside = index.parent / "landmarks.csv"
    beside.write_bytes(half.read_bytes())
    try:
        assert status(app, [*train, "--out", str(tmp_path / "beside")]) == 0
    finally:
        beside.unlink()
    assert sum("has no landmarks of 7 of 7 frames" in line for line in warned(capsys)) == 1
