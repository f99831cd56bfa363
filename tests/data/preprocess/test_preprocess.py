"""The whole command on small made-up videos: what it makes, and that nothing but its options decides it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.console import status
from data.images import decode, decode_mask
from data.index import read_index
from data.source import read_frames
from data.stores import FolderImages, LmdbImages, open_images
from tests.data.preprocess.commands import FORGED, app, command, report
from tests.data.preprocess.films import Film, write_film, write_of_two_sizes
from tests.data.preprocess.videos import (
    HEIGHT,
    SLOW_DISCS,
    WIDTH,
    data_set,
    frame,
    moving,
    painted,
    place,
    planted,
    tree,
    write,
)

RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without it
from common.console import application, run
from data.preprocess.command import preprocess
app = application("test")
app.command()(preprocess)
run(app)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("ffpp"))


def test_crops_masks_and_index(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command(root, out, "--frames-per-video", "4") == 0
    entries = read_index(out / "index.csv")
    assert [entry.key for entry in entries[:4]] == [f"{FORGED}/{number:05d}_0.png" for number in (0, 10, 19, 29)]
    assert [entry.key for entry in entries] == sorted(entry.key for entry in entries)
    kinds = {entry.video: (entry.fake, entry.label, entry.family, entry.mask is not None) for entry in entries}
    assert kinds == {
        FORGED: (True, 3, "Deepfakes", True),
        "manipulated_sequences/FaceShifter/c23/videos/002_000.mp4": (True, None, "FaceShifter", False),
        "original_sequences/youtube/c23/videos/000.mp4": (False, 0, "Real", False),
        "original_sequences/youtube/c23/videos/001.mp4": (False, 0, "Real", False),
    }
    truth = painted(moving(30), [place(index) for index in range(30)])
    for shown in read_frames(out / "index.csv", FolderImages(out)):
        if shown.video != FORGED:
            continue
        number = int(Path(shown.key).name[:5])
        side = shown.image.shape[0]
        assert abs(side - 1.3 * 41) <= 1  # a disc of 41 pixels across
        left, top = (round(value - side / 2) for value in place(number))
        assert shown.mask is not None
        best = min(
            (
                float(np.abs(truth[number][y : y + side, x : x + side].astype(int) - shown.image).mean()), x, y
            )
            for x in range(left - 2, left + 3) for y in range(top - 2, top + 3)
        )  # fmt: skip
        assert best[0] < 3  # the frame's own pixels, there
        wanted = planted(place(number))[best[2] : best[2] + side, best[1] : best[1] + side]
        assert (wanted & shown.mask).sum() / (wanted | shown.mask).sum() > 0.6
    row = report(out)[FORGED]
    assert (row["frames"], row["chosen"], row["crops"], row["masks"], row["mask_source"]) == (
        "30", "4", "4", "4", "difference",
    )  # fmt: skip
    shown_text = capsys.readouterr().out
    assert "Deepfakes" in shown_text
    assert "index.csv: 16 crops" in shown_text


def test_the_number_of_workers_and_the_order_of_work_change_nothing(root: Path, tmp_path: Path) -> None:
    assert command(root, tmp_path / "one", "--frames-per-video", "3") == 0
    assert command(root, tmp_path / "three", "--frames-per-video", "3", "--workers", "3") == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "three")


@pytest.mark.parametrize(("files", "how"), [(1, signal.SIGKILL), (7, signal.SIGKILL), (4, signal.SIGINT)])
def test_an_ended_run_goes_on_to_the_same_result(root: Path, tmp_path: Path, files: int, how: signal.Signals) -> None:
    options = ["--root", str(root), "--face-detector", SLOW_DISCS, "--frames-per-video", "6", "--workers", "2"]
    out = tmp_path / "ended"
    program = [sys.executable, "-c", RUN, *options, "--out", str(out)]
    process = subprocess.Popen(
        program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while len(list(out.glob("*_sequences/**/*.png"))) < files and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as Ctrl-C does: to the workers, too
    else:
        process.send_signal(how)
    errors = process.communicate(timeout=60)[1]  # ends when the workers, which share the pipe, have ended too
    assert not (out / "index.csv").exists(), "it was finished before it could be ended"
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "error: interrupted; what was finished is saved" in errors
        assert "Traceback" not in errors
    last = "original_sequences/youtube/c23/videos/001.mp4"
    assert not (out / ".finished" / f"{last}.json").exists()
    for name in (f"{last}/.00000_0.png.x.part", ".index.csv.x.part", ".finished/.000.mp4.json.x.part"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)  # as an end within a write leaves them
        (out / name).touch()
    assert status(app, [*options, "--out", str(out), "--workers", "1"]) == 0
    assert status(app, [*options, "--out", str(tmp_path / "whole"), "--workers", "1"]) == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_finished_videos_are_not_done_again_but_damaged_or_changed_ones_are(tmp_path: Path) -> None:
    root, out = data_set(tmp_path / "ffpp", frames=12), tmp_path / "out"
    options = ("--frames-per-video", "3")
    assert command(root, out, *options) == 0
    first = tree(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    lost = out / "original_sequences/youtube/c23/videos/001.mp4/00000_0.png"
    lost.unlink()
    write(root / "original_sequences/youtube/c23/videos/002.mp4", moving(12))
    assert command(root, out, *options) == 0
    again = tree(out)
    assert {name: again[name] for name in first if name.endswith(".png")} == {
        name: digest for name, digest in first.items() if name.endswith(".png")
    }
    kept = {path for path, stamp in times.items() if path.exists() and path.stat().st_mtime_ns == stamp}
    assert {path.parent.name for path in times.keys() - kept} == {"001.mp4", "002_000.mp4"}  # it has an original now
    assert report(out)["original_sequences/youtube/c23/videos/002.mp4"]["crops"] == "3"
    first_crop = f"{FORGED}/00000_0.png"
    (root / FORGED).write_bytes((root / "original_sequences/youtube/c23/videos/001.mp4").read_bytes())
    assert command(root, out, *options) == 0
    assert tree(out)[first_crop] == tree(out)["original_sequences/youtube/c23/videos/001.mp4/00000_0.png"]
    assert tree(out)[first_crop] != again[first_crop]


def test_other_options_are_refused_by_name(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command(root, out, "--frames-per-video", "2", "--methods", "Deepfakes") == 0
    before = tree(out)
    for options, said in (
        (("--frames-per-video", "3"), "frames-per-video 2, now asked for 3"),
        (("--frames-per-video", "2", "--margin", "1.5"), "margin 1.3, now asked for 1.5"),
        (("--frames-per-video", "2", "--size", "64"), "size 512, now asked for 64"),
        (("--frames-per-video", "2", "--format", "jpg:90"), "format png, now asked for jpg:90"),
        (("--frames-per-video", "2", "--split-by-time"), "split-by-time False, now asked for True"),
    ):
        capsys.readouterr()
        assert command(root, out, *options) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert tree(out) == before
    assert command(root, out, "--frames-per-video", "2") == 0  # more families are no contradiction
    assert len(read_index(out / "index.csv")) == 8


def test_a_folder_of_another_version_is_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command(root, out, "--frames-per-video", "1", "--methods", "Deepfakes") == 0
    settings = json.loads((out / "preprocess.json").read_text())
    (out / "preprocess.json").write_text(json.dumps(settings | {"version": 1}))
    capsys.readouterr()
    assert command(root, out, "--frames-per-video", "1", "--methods", "Deepfakes") == 1
    assert "was made by another version of flipscope" in capsys.readouterr().err


def test_a_mask_video_is_preferred_to_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = data_set(tmp_path / "ffpp", frames=10)
    masks = root / "manipulated_sequences/Deepfakes/masks/videos/000_001.mp4"
    pictures = [np.zeros((120, 160, 3), np.uint8) for _ in range(10)]
    for index, picture in enumerate(pictures):
        x, y = place(index)
        cv2.circle(picture, (round(x), round(y)), 9, (255, 255, 255), -1)
    write(masks, pictures)
    assert command(root, tmp_path / "whole", "--frames-per-video", "2") == 0
    row = report(tmp_path / "whole")[FORGED]
    assert (row["mask_source"], row["masks"]) == ("video", "2")
    mask = decode_mask((tmp_path / "whole" / "masks" / FORGED / "00000_0.png").read_bytes(), "mask")
    assert mask.sum() == pytest.approx(np.pi * 9.5**2, rel=0.15)  # the disc, not the rectangle
    write(masks, pictures[:4])
    assert command(root, tmp_path / "short", "--frames-per-video", "2") == 0
    row = report(tmp_path / "short")[FORGED]
    assert (row["mask_source"], row["masks"]) == ("difference", "2")
    assert "it has 4 frames, the clip 10" in row["remarks"]
    assert "it has 4 frames, the clip 10" in capsys.readouterr().err


def test_an_original_of_another_size_or_moment_gives_no_masks(tmp_path: Path) -> None:
    root = data_set(tmp_path / "ffpp", frames=6)
    original = root / "original_sequences/youtube/c23/videos/000.mp4"
    write(original, [cv2.resize(image, (200, 120)) for image in moving(6)])
    assert command(root, tmp_path / "size", "--frames-per-video", "2") == 0
    row = report(tmp_path / "size")[FORGED]
    assert row["masks"] == "0"
    assert "it is 200x120, the clip 160x120" in row["remarks"]
    write(original, [255 - image for image in moving(6)])
    assert command(root, tmp_path / "moment", "--frames-per-video", "2") == 1  # no red disc in the original now
    row = report(tmp_path / "moment")[FORGED]
    assert row["masks"] == "0"
    assert "no mask for 2 frames" in row["remarks"]
    assert "shows other moments" in row["remarks"]


def two_faces(count: int) -> list[np.ndarray]:
    images = []
    for index in range(count):
        image = frame([(45, 60)], radius=22)
        cv2.circle(image, (115 + index % 3, 60), 15, (220, 30, 30), -1)
        images.append(image)
    return images


def test_several_faces(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    write(root / "original_sequences/youtube/c23/videos/000.mp4", two_faces(8))
    key = "original_sequences/youtube/c23/videos/000.mp4"
    sides = {}
    for several, count in (("main", 3), ("track", 6), ("skip", 0)):
        out = tmp_path / several
        command(root, out, "--frames-per-video", "3", "--several", several)
        row = report(out)[key]
        assert (row["faces"], row["several_faces"], row["crops"]) == ("2", "3", str(count))
        found = sorted(out.glob(f"{key}/*.png"))
        assert len(found) == count
        sides[several] = {path.name[6]: decode(path.read_bytes(), "crop").shape[0] for path in found}
    assert set(sides["main"]) == {"0"}
    assert sides["track"]["0"] == sides["main"]["0"] > sides["track"]["1"]
    assert "skipped: it shows 2 faces" in report(tmp_path / "skip")[key]["remarks"]


def test_frames_without_a_face_are_counted_and_short_gaps_filled(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    images = moving(60)
    for index in (5, 6, *range(20, 60)):
        images[index] = frame([])
    write(root / "original_sequences/youtube/c23/videos/000.mp4", images)
    assert command(root, tmp_path / "out", "--frames-per-video", "0") == 0
    row = report(tmp_path / "out")["original_sequences/youtube/c23/videos/000.mp4"]
    assert [row[name] for name in ("chosen", "crops", "without_face", "box_filled")] == ["60", "20", "40", "2"]


def test_bad_videos_are_reported_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = data_set(tmp_path / "ffpp", frames=40), tmp_path / "out"
    videos = root / "original_sequences/youtube/c23/videos"
    whole = write(tmp_path / "whole.mp4", moving(40), faststart=True).read_bytes()
    (videos / "010.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "011.mp4").write_bytes(b"not a video")
    write(videos / "012.mp4", [frame([])] * 5)
    assert command(root, out, "--frames-per-video", "10") == 1
    captured = capsys.readouterr()
    rows = {Path(name).stem: row for name, row in report(out).items()}
    assert 10 < int(rows["010"]["frames"]) < 40
    assert rows["010"]["crops"] == "10"  # spread over the frames before the cut
    assert "damaged after frame" in rows["010"]["problem"]
    assert rows["000"]["crops"] == rows["001"]["crops"] == rows["000_001"]["crops"] == "10"
    assert "cannot be opened as a video" in rows["011"]["problem"]
    assert "no face found in any of the 5 frames" in rows["012"]["problem"]
    lines = captured.err.strip().splitlines()
    for name in ("010.mp4: ", "011.mp4: cannot be opened", "012.mp4: no face found"):
        assert sum(name in line and line.startswith("warning: ") for line in lines) == 1, lines
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert "3 of 7 videos failed" in errors[0]
    assert "replace damaged videos and run the same command again; for those without a face try" in errors[0]
    assert "--face-detector yunet:MODEL.onnx with another --out" in errors[0]
    kept = [entry for entry in read_index(out / "index.csv") if "010.mp4" in entry.key]
    assert len(kept) == int(rows["010"]["crops"])
    before = tree(out)
    assert command(root, out, "--frames-per-video", "10") == 1  # still so
    assert tree(out) == before
    write(videos / "010.mp4", moving(40))
    write(videos / "011.mp4", moving(40))
    (videos / "012.mp4").unlink()
    assert command(root, out, "--frames-per-video", "10") == 0  # mended
    assert len(read_index(out / "index.csv")) == 60


def test_a_film_that_cannot_be_converted_or_changes_its_size_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = data_set(tmp_path / "ffpp"), tmp_path / "out"
    videos = root / "original_sequences/youtube/c23/videos"
    write_film(videos / "010.mp4", Film(moving(5), options={"preset": "ultrafast", "colorspace": "ycgco"}))
    smaller = [cv2.resize(image, (WIDTH // 2, HEIGHT // 2)) for image in moving(10)]
    write_of_two_sizes(videos / "011.mkv", moving(10), smaller)
    assert command(root, out, "--frames-per-video", "10") == 1
    told = capsys.readouterr().err
    rows = {Path(name).stem: row for name, row in report(out).items()}
    assert [rows[name]["crops"] for name in ("000", "001", "000_001", "010", "011")] == ["10", "10", "10", "0", "10"]
    assert rows["010"]["problem"].startswith("FFmpeg cannot convert its colours to RGB (matrix 8 of ITU-T H.273")
    assert rows["011"]["problem"].startswith("its frames change from 160x120 to 80x60 pixels at frame 10; the frames")
    assert "error: 2 of 6 videos failed" in told


def test_splits_fill_the_column(root: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits"
    splits.mkdir()
    for name, pairs in (("train", '[["000", "005"]]'), ("val", "[]"), ("test", '[["001", "006"]]')):
        (splits / f"{name}.json").write_text(pairs)
    assert command(root, tmp_path / "out", "--frames-per-video", "2", "--splits", str(splits)) == 0
    found = {Path(entry.video).stem: entry.split for entry in read_index(tmp_path / "out/index.csv")}
    assert found == {"000": "train", "001": "test", "000_001": "train", "002_000": None}


def test_videos_that_no_split_knows_are_counted_before_the_work(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, pairs in (("train", "[[1, 0]]"), ("val", "[]"), ("test", "[]")):
        (tmp_path / f"{name}.json").write_text(pairs)
    assert command(root, tmp_path / "out", "--frames-per-video", "1", "--splits", str(tmp_path)) == 0
    found = {Path(entry.video).stem: entry.split for entry in read_index(tmp_path / "out/index.csv")}
    assert found == {"000": "train", "001": "train", "000_001": "train", "002_000": None}
    said = capsys.readouterr().err
    assert "1 of 4 videos are in no split of" in said
    assert "FaceShifter/c23/videos/002_000.mp4 (id 002)" in said
    (tmp_path / "train.json").write_text('[["id0", "id1"]]')
    assert command(root, tmp_path / "new", "--splits", str(tmp_path)) == 1
    assert "no split knows any of the 4 videos" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_split_by_time_leaves_a_gap(root: Path, tmp_path: Path) -> None:
    shares = ("--split-by-time", "--train-share", "0.5", "--test-share", "0.3")
    assert command(root, tmp_path / "out", "--frames-per-video", "0", *shares) == 0
    for name in ("000.mp4", "001.mp4", "000_001.mp4"):
        entries = [entry for entry in read_index(tmp_path / "out/index.csv") if Path(entry.video).name == name]
        numbers = {entry.split: [] for entry in entries}  # type: dict[str | None, list[int]]
        for entry in entries:
            numbers[entry.split].append(int(Path(entry.key).name[:5]))
        assert numbers == {"train": list(range(15)), "test": list(range(21, 30))}
    assert report(tmp_path / "out")[FORGED]["in_gap"] == "6"


def test_formats_sizes_and_the_store(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, store = tmp_path / "out", tmp_path / "faces.lmdb"
    options = ("--frames-per-video", "2", "--format", "jpg:90", "--size", "32", "--lmdb", str(store))
    assert command(root, out, *options) == 0
    images = open_images(store)
    frames = read_frames(out / "index.csv", images)
    assert len(frames) == 8
    for shown in frames:
        assert shown.key.endswith(".jpg")
        assert shown.image.shape == (32, 32, 3)
        assert shown.mask is None or shown.mask.shape == (32, 32)
    assert sum(shown.mask is not None for shown in frames) == 2
    assert isinstance(images, LmdbImages)
    images.close()
    assert "10 crops and masks added" in capsys.readouterr().out
    assert command(root, out, *options) == 0
    assert "0 crops and masks added, 0 replaced, 10 were there already" in capsys.readouterr().out


def test_a_folder_with_hidden_files_alone_is_empty(root: Path, tmp_path: Path) -> None:
    for name in (".DS_Store", "._out"):
        (tmp_path / name).write_bytes(b"of macOS")
    assert command(root, tmp_path, "--frames-per-video", "1", "--methods", "Real") == 0
    assert (tmp_path / ".DS_Store").is_file()


def test_bad_input_is_one_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.txt").write_text("irreplaceable")
    broken = tmp_path / "broken"
    assert command(root, broken, "--frames-per-video", "1", "--methods", "Real") == 0
    (broken / "preprocess.json").write_text("{")
    capsys.readouterr()
    new = tmp_path / "new"
    splits = ("--splits", str(tmp_path))
    for expected, said, place_, out, options in (
        (1, "no such folder", tmp_path / "absent", new, ()),
        (1, "neither original_sequences nor manipulated_sequences", tmp_path, new, ()),
        (1, "no videos at compression c40", root, new, ("--compression", "c40")),
        (1, "unknown family 'Deepfakse' (did you mean Deepfakes?)", root, new, ("--methods", "Deepfakse")),
        (1, "unknown face detector 'harr'", root, new, ("--face-detector", "harr")),
        (1, "no such YuNet model", root, new, ("--face-detector", "yunet:absent.onnx")),
        (1, "unknown crop format 'gif'", root, new, ("--format", "gif")),
        (1, "train.json: no such split file", root, new, splits),
        (1, "two positive shares", root, new, ("--split-by-time", "--test-share", "0.5")),
        (2, "exclude each other", root, new, (*splits, "--split-by-time")),
        (2, "--train-share needs --split-by-time", root, new, ("--train-share", "0.5")),
        (2, "--compression", root, new, ("--compression", "c99")),
        (2, "--several", root, new, ("--several", "all")),
        (2, "--margin", root, new, ("--margin", "0")),
        (2, "--frames-per-video", root, new, ("--frames-per-video", "-1")),
        (1, "there is something else here", root, occupied, ()),
        (1, "crops would lie among the videos", root, root, ()),
        (1, "crops would lie among the videos", root, root / "original_sequences" / "crops", ()),
        (1, "preprocess.json: damaged", root, broken, ("--frames-per-video", "1")),
    ):
        assert command(place_, out, *options) == expected, said
        error = capsys.readouterr().err
        assert said in error
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert not new.exists()
    assert [path.name for path in occupied.iterdir()] == ["thesis.txt"]
