"""Demo frames: seeded, independent of order, laid out as FaceForensics++; the command that writes them."""

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest

from common.console import application, status
from common.errors import InputError
from data.demo.command import demo, write_frames
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, family_of
from data.images import decode, decode_mask
from data.index import read_index
from data.landmarks import read_landmarks
from data.source import open_frames


def test_frames_do_not_depend_on_order_or_on_the_other_frames(frames: DemoFrames) -> None:
    one = DemoFrames(40, seed=3, families=("FaceSwap",), frames_per_video=1)[1]
    same = frames[9]
    assert one.key == same.key
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.mask, same.mask)
    copy = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(copy[7].image, frames[7].image)


def test_another_seed_shows_another_person(frames: DemoFrames) -> None:
    other = DemoFrames(10, seed=4, frames_per_video=1)
    assert other.key(0) == frames.key(0)
    assert (other[0].image != frames[0].image).mean() > 0.5


def test_classes_rotate_and_keys_follow_the_layout(frames: DemoFrames) -> None:
    assert [frame.family for frame in frames[:5]] == list(CLASS_NAMES)
    for frame in frames[:5]:
        assert frame.label == CLASS_NAMES.index(str(frame.family))
        assert family_of(frame.key, frame.label != 0, None) == frame.family
        assert frame.video == frame.key.rsplit("/", 1)[0]
        assert frame.image.shape == (256, 256, 3)
    assert frames.key(0) == "original_sequences/demo/demo/videos/001.mp4/00000_0.png"
    donor = frames.take(4).donor
    assert frames.key(4) == f"manipulated_sequences/FaceSwap/demo/videos/001_{donor:03d}.mp4/00000_0.png"
    assert len({frames.key(position) for position in range(len(frames))}) == len(frames)


def test_a_forged_frame_is_its_real_frame_outside_the_mask(frames: DemoFrames) -> None:
    real = frames[0]
    assert real.mask is not None
    assert not real.mask.any()
    for frame in frames[1:5]:
        assert frame.mask is not None
        np.testing.assert_array_equal((frame.image != real.image).any(-1), frame.mask)


def test_a_video_keeps_its_person_and_place_while_pose_and_expression_change() -> None:
    film = DemoFrames(50)
    first, second = film.shot(1, 0), film.shot(1, 1)
    assert (first.identity, first.background) == (second.identity, second.background)
    assert first.pose != second.pose
    assert first.expression != second.expression
    assert abs(first.pose.yaw - second.pose.yaw) < 0.25
    videos = [film.take(position) for position in range(50)]
    assert len({take.number for take in videos[:25]}) == 1
    assert videos[25].number != videos[24].number


def test_splits_share_no_person() -> None:
    people = {}
    for split in ("train", "test"):
        source = DemoFrames(400, split=split)
        takes = [source.take(position) for position in range(400)]
        people[split] = {take.number for take in takes} | {take.donor for take in takes}
        assert all(take.donor != take.number for take in takes)
    assert not people["train"] & people["test"]
    source = DemoFrames(5)
    everyone = {source.identity(number) for number in sorted(people["train"] | people["test"])}
    assert len(everyone) == len(people["train"] | people["test"])


def test_the_fingerprint_names_what_decides_the_frames() -> None:
    prints = {
        DemoFrames(10).fingerprint(),
        DemoFrames(11).fingerprint(),
        DemoFrames(10, seed=1).fingerprint(),
        DemoFrames(10, split="train").fingerprint(),
        DemoFrames(10, families=("Deepfakes",)).fingerprint(),
        DemoFrames(10, size=128).fingerprint(),
    }
    assert len(prints) == 6
    assert DemoFrames(10).fingerprint() in prints


def test_positions_work_as_in_any_sequence(frames: DemoFrames) -> None:
    assert len(frames) == 10
    assert frames.key(-1) == frames.key(9)
    for position in (10, -11):
        with pytest.raises(IndexError):
            frames[position]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "1 or more"),
        ({"count": 5, "split": "dev"}, "split"),
        ({"count": 5, "families": ("FaceShifter",)}, "FaceShifter"),
        ({"count": 5, "families": ()}, "families"),
        ({"count": 5, "size": 100}, "multiple of 16"),
    ],
)
def test_impossible_frames_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DemoFrames(**options)


def _run(*arguments: str) -> int:
    app = application("test")
    app.command()(demo)
    return status(app, arguments)


def test_the_command_writes_what_the_frames_are(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert _run("--out", str(out), "--frames", "6", "--seed", "3", "--size", "128", "--workers", "1") == 0
    source = DemoFrames(6, seed=3, size=128)
    entries = read_index(out / "index.csv")
    assert [entry.key for entry in entries] == [source.key(position) for position in range(6)]
    assert (out / "index.csv").read_text().startswith("relative_path,bin_label,mc_label,split,mask_path,source_path\n")
    with open(out / "landmarks.csv", newline="") as file:
        marks = list(csv.DictReader(file))
    written = open_frames(out / "index.csv")
    for position, entry in enumerate(entries):
        frame = source[position]
        assert (entry.label, entry.fake, entry.split) == (frame.label, bool(frame.label), "test")
        np.testing.assert_array_equal(decode((out / entry.key).read_bytes(), entry.key), frame.image)
        if entry.mask:
            np.testing.assert_array_equal(decode_mask((out / entry.mask).read_bytes(), entry.mask), frame.mask)
        points = [[float(marks[position][f"{axis}{number}"]) for axis in "xy"] for number in range(68)]
        np.testing.assert_allclose(points, source.landmarks(position), atol=1e-3)
        np.testing.assert_array_equal(read_landmarks(out / "landmarks.csv")[entry.key], points)
        if entry.fake:
            assert entry.source == source.key(position - position % 5)
            np.testing.assert_array_equal(written.source_image(position), source[position - position % 5].image)
            np.testing.assert_array_equal(source.source_image(position), written.source_image(position))
        else:
            assert entry.source is None
            assert source.source_image(position) is None
    assert [entry.mask is None for entry in entries] == [True, False, False, False, False, True]


def test_a_forgery_whose_real_frame_is_not_written_has_no_source(tmp_path: Path) -> None:
    only = DemoFrames(1, seed=3, families=("Face2Face",), size=128)
    [entry] = write_frames([only], tmp_path, workers=1)
    assert entry.source is None
    assert only.take(0).source is not None


def test_the_command_says_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run() == 1
    assert "give --out DIR" in capsys.readouterr().err
    assert _run("--out", str(tmp_path), "--split", "dev") == 1
    assert "dev" in capsys.readouterr().err
    assert _run("--sheet", str(tmp_path / "sheet.jpg")) == 1
    assert ".png" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
