"""The command with --landmarks and --align five-point, on discs whose landmarks are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

from data.landmarks import five_points, read_landmarks
from data.preprocess.align import aligned, template
from data.source import open_frames
from tests.data.preprocess.commands import FORGED, command, report
from tests.data.preprocess.videos import (
    data_set,
    fake_dlib,
    marks,
    moving,
    place,
    planted,
    tree,
    write_ldm,
)

REAL = "original_sequences/youtube/c23/videos/000.mp4"
BACKWARDS = "original_sequences/youtube/c23/videos/001.mp4"
SHIFTER = "manipulated_sequences/FaceShifter/c23/videos/002_000.mp4"
ALIGNED = ("--align", "five-point", "--landmarks")
FRAMES = 12
KNOWN = (1, 4, 6, 9, 10)


def angle(number: int) -> float:
    return 0.1 * (number - 6)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("ffpp"), frames=FRAMES)


@pytest.fixture(scope="module")
def ldm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Landmarks of five frames of all videos but FaceShifter's, every face turned by an angle of its own."""
    known = {number: marks(place(number), angle(number)) for number in KNOWN}
    backwards = {number: marks(place(FRAMES - 1 - number), angle(number)) for number in KNOWN}
    folders = {
        "manipulated_sequences/Deepfakes/raw/frames/000_001": known,
        "original_sequences/youtube/raw/frames/000": known,
        "original_sequences/youtube/raw/frames/001": backwards,
    }
    return write_ldm(tmp_path_factory.mktemp("landmarks") / "ldm.json", folders)


def test_faces_are_aligned_with_their_masks_sources_and_landmarks(
    root: Path, ldm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command(root, out, *ALIGNED, str(ldm), "--sources", "--methods", "Deepfakes") == 0
    assert "landmarks.csv: landmarks of 15 crops" in capsys.readouterr().out
    frames, known = open_frames(out / "index.csv"), read_landmarks(out / "landmarks.csv")
    assert list(known) == [entry.key for entry in frames.entries]
    assert {int(Path(entry.key).name[:5]) for entry in frames.entries} == set(KNOWN)
    upright = aligned(marks((0.0, 0.0))).place(marks((0.0, 0.0)))  # however a face is turned, it ends up so,
    np.testing.assert_allclose(five_points(upright), template(), atol=6)  # as near to the template as its shape goes
    truth = moving(FRAMES)
    for position, shown in enumerate(frames):
        assert shown.image.shape == (224, 224, 3)
        number = int(Path(shown.key).name[:5])
        moment = FRAMES - 1 - number if shown.video == BACKWARDS else number
        np.testing.assert_allclose(known[shown.key], upright, atol=0.01)
        area = aligned(marks(place(moment), angle(number)))
        if shown.video != FORGED:
            np.testing.assert_allclose(shown.image.astype(int), area.cut(truth[moment]), atol=40)
            assert np.abs(shown.image.astype(int) - area.cut(truth[moment])).mean() < 3
            continue
        source = frames.source_image(position)
        assert source is not None
        assert np.abs(source.astype(int) - area.cut(truth[moment])).mean() < 3
        assert shown.mask is not None
        wanted = area.cut(planted(place(number)).astype(np.float32)) > 0.5
        assert (wanted & shown.mask).sum() / (wanted | shown.mask).sum() > 0.6
    row = report(out)[FORGED]
    assert [row[name] for name in ("chosen", "crops", "masks", "sources", "landmarks")] == ["5"] * 5


def test_a_box_crop_has_its_landmarks_too(root: Path, ldm: Path, tmp_path: Path) -> None:
    options = ("--landmarks", str(ldm), "--methods", "Deepfakes", "--frames-per-video", "3")
    for size in (512, 32):
        out = tmp_path / str(size)
        assert command(root, out, *options, "--size", str(size)) == 0
        known = read_landmarks(out / "landmarks.csv")
        frames = open_frames(out / "index.csv")
        assert len(known) == len(frames) == 9
        for shown in frames:
            number = int(Path(shown.key).name[:5])
            assert number in (1, 6, 10)  # the first, middle and last of those that are known
            side = shown.image.shape[0]
            assert side == (32 if size == 32 else 53)
            red = shown.image[..., 0].astype(int) - shown.image[..., 1] > 60
            middle = np.argwhere(red).mean(axis=0)[::-1]
            unit = side / 53
            expected = middle + (marks((0.0, 0.0), angle(number))) * unit
            np.testing.assert_allclose(known[shown.key], expected, atol=1.0)


def test_videos_without_landmarks_are_cropped_by_their_boxes(root: Path, ldm: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert command(root, out, *ALIGNED, str(ldm), "--methods", "FaceShifter", "--frames-per-video", "2") == 0
    assert command(root, plain, "--methods", "FaceShifter", "--frames-per-video", "2") == 0
    crops = {name: digest for name, digest in tree(plain).items() if name.startswith(SHIFTER)}
    assert len(crops) == 2
    assert crops.items() <= tree(out).items()
    assert report(out)[SHIFTER]["remarks"] == f"{ldm} has no landmarks of it: box crops"
    assert len(read_landmarks(out / "landmarks.csv")) == 4


@pytest.mark.parametrize("how", [ALIGNED, ("--landmarks",)])
def test_landmarks_far_outside_of_a_frame_are_left_out(root: Path, tmp_path: Path, how: tuple[str, ...]) -> None:
    known = {number: marks(place(number)) for number in KNOWN}
    for number, landmark in ((4, 3), (9, 40)):  # of the jaw, which aligns nothing, and of an eye, which does
        known[number][landmark, 1] *= 1000
    folders = {"manipulated_sequences/Deepfakes/raw/frames/000_001": known}
    out = tmp_path / "out"
    assert command(root, out, *how, str(write_ldm(tmp_path / "ldm.json", folders)), "--methods", "Deepfakes") == 0
    row = report(out)[FORGED]
    assert "2 of the landmarks of 5 frames left out, as those of frame 4 have one at" in row["remarks"]
    assert "far outside its 160x120 pixels" in row["remarks"]
    assert {int(Path(key).name[:5]) for key in read_landmarks(out / "landmarks.csv")} == {1, 6, 10}
    assert row["crops"] == row["landmarks"] == "3"


def test_without_landmarks_it_warns_and_crops_boxes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert command(root, out, "--align", "five-point", "--frames-per-video", "2") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: no landmarks")]
    assert len(lines) == 1
    assert "published CADDM weights score lower" in lines[0]
    assert command(root, plain, "--frames-per-video", "2") == 0
    pictures = {name: digest for name, digest in tree(plain).items() if name.endswith((".png", ".csv"))}
    assert pictures == {name: digest for name, digest in tree(out).items() if name.endswith((".png", ".csv"))}
    assert not (out / "landmarks.csv").exists()


def test_workers_and_resuming_change_nothing(root: Path, ldm: Path, tmp_path: Path) -> None:
    options = (*ALIGNED, str(ldm), "--sources")
    one, three = tmp_path / "one", tmp_path / "three"
    assert command(root, one, *options) == 0
    assert command(root, three, *options, "--workers", "3") == 0
    first = tree(one)
    assert tree(three) == first
    assert "landmarks.csv" in first
    (one / FORGED / "00004_0.png").unlink()
    (one / "landmarks.csv").unlink()
    assert command(root, one, *options) == 0  # the landmarks of finished videos are in their records
    assert tree(one) == first


def test_other_landmarks_are_refused_in_the_same_folder(
    root: Path, ldm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "out", tmp_path / "other.json"
    options = ("--methods", "Real", "--frames-per-video", "1")
    assert command(root, out, *ALIGNED, str(ldm), *options) == 0
    moved = tmp_path / "moved.json"
    moved.write_bytes(ldm.read_bytes())
    assert command(root, out, *ALIGNED, str(moved), *options) == 0  # the same bytes elsewhere
    write_ldm(other, {"original_sequences/youtube/raw/frames/000": {1: marks((50, 50))}})
    for more, said in (
        ((*ALIGNED, str(other)), "was made with landmarks"),
        (("--landmarks", str(ldm)), "was made with align five-point, now asked for box"),
        (("--align", "five-point"), "was made with landmarks"),
    ):
        capsys.readouterr()
        assert command(root, out, *more, *options) == 1
        assert said in capsys.readouterr().err


def test_suspect_and_unusable_landmarks_are_said(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--methods", "Real", "--frames-per-video", "2")
    same = {number: marks(place(5)) for number in (2, 5)}
    repeated = write_ldm(tmp_path / "same.json", {"original_sequences/youtube/raw/frames/000": same})
    assert command(root, tmp_path / "same", *ALIGNED, str(repeated), *options) == 0
    assert (
        f"{REAL}: {repeated} has the same landmarks for all 2 frames; most cannot be right" in capsys.readouterr().err
    )
    later = {number: marks(place(5)) for number in (200, 500)}
    beyond = write_ldm(tmp_path / "later.json", {"original_sequences/youtube/raw/frames/000": later})
    assert command(root, tmp_path / "later", *ALIGNED, str(beyond), *options) == 1
    assert "has landmarks only for frames beyond its 12" in report(tmp_path / "later")[REAL]["problem"]
    new = tmp_path / "new"
    broken, crops, predictor = tmp_path / "broken.json", tmp_path / "landmarks.csv", tmp_path / "predictor.dat"
    broken.write_text("{")
    crops.write_bytes((tmp_path / "same" / "landmarks.csv").read_bytes())
    predictor.write_bytes(b"68")
    for file, said in (
        (tmp_path / "absent.json", "no such file of landmarks"),
        (broken, "not readable as JSON"),
        (crops, "names no frame of these videos"),
        (predictor, 'pip install "flipscope[dlib]"'),
    ):
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "dlib", None)
            assert command(root, new, *ALIGNED, str(file), *options) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.startswith(f"error: {file}: ")
        assert error.count("\n") == 1
        assert not new.exists()


def test_a_predictor_finds_landmarks_in_every_face(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The predictor here puts all points on the box's diagonal, so the aligned face is turned by what that says."""
    monkeypatch.setitem(sys.modules, "dlib", fake_dlib())
    predictor = tmp_path / "predictor.dat"
    predictor.write_bytes(b"81")
    for align in ("box", "five-point"):
        out = tmp_path / align
        options = ("--align", align, "--landmarks", str(predictor), "--frames-per-video", "3")
        assert command(root, out, *options, "--methods", "Real") == 0
        known, frames = read_landmarks(out / "landmarks.csv"), open_frames(out / "index.csv")
        assert len(known) == len(frames) == 6
        for shown in frames:
            points = known[shown.key]
            assert points.shape == (81, 2)
            assert shown.image.shape[0] == (224 if align == "five-point" else 53)
            if align == "box":  # the disc of 41 pixels is in the middle of the crop of 53
                np.testing.assert_allclose(points[[0, 80]], [[6, 6], [46, 46]], atol=1.5)
            else:
                mean = five_points(points).mean(axis=0)
                np.testing.assert_allclose(mean, template().mean(axis=0), atol=0.01)
