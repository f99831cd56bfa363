"""The command with --sources: the original's part of every crop, where it shows the same moment."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.index import read_index
from data.source import open_frames
from tests.data.preprocess.commands import FORGED, command, report
from tests.data.preprocess.videos import HEIGHT, WIDTH, data_set, moving, place, tree, write

SHIFTED = "manipulated_sequences/FaceShifter/c23/videos/002_000.mp4"
OPTIONS = ("--frames-per-video", "3")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("ffpp"), frames=12)


def mask_videos(root: Path, frames: int = 12) -> None:
    pictures = [np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in range(frames)]
    for index, picture in enumerate(pictures):
        x, y = place(index)
        cv2.circle(picture, (round(x), round(y)), 9, (255, 255, 255), -1)
    write(root / "manipulated_sequences/Deepfakes/masks/videos/000_001.mp4", pictures)


def located(picture: np.ndarray, frame: np.ndarray) -> tuple[tuple[int, int], float]:
    """Where in a frame a picture fits best (left, top), and its mean absolute difference there."""
    misfit = cv2.matchTemplate(frame, picture, cv2.TM_SQDIFF)
    left, top = cv2.minMaxLoc(misfit)[2]
    side = picture.shape[0]
    there = frame[top : top + side, left : left + side].astype(int)
    return (left, top), float(np.abs(there - picture).mean())


def test_a_source_is_the_same_square_of_the_original(root: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert command(root, out, *OPTIONS, "--sources") == 0
    frames = open_frames(out / "index.csv")
    truth = moving(12)
    sourced = 0
    for position, entry in enumerate(frames.entries):
        source = frames.source_image(position)
        if entry.video != FORGED:
            assert (entry.source, source) == (None, None)
            continue
        sourced += 1
        assert entry.source == f"sources/{entry.key}"
        assert source is not None
        original = truth[int(Path(entry.key).name[:5])]
        (left, top), misfit = located(source, original)
        assert misfit < 3
        crop = frames[position]
        assert crop.mask is not None
        differs = np.abs(crop.image.astype(int) - source).max(axis=2) > 25
        assert (differs & crop.mask).sum() > 0.95 * differs.sum()  # they differ where the mask says, and nowhere else
        assert differs.any()
        outside = ~cv2.dilate(crop.mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
        there = original[top : top + len(source), left : left + len(source)]
        assert np.abs(crop.image.astype(int) - there)[outside].mean() < 3  # the crop is the same square
    assert sourced == 3
    row = report(out)[FORGED]
    assert (row["masks"], row["mask_source"], row["sources"]) == ("3", "difference", "3")
    assert "no source pictures: its original is not there" in report(out)[SHIFTED]["remarks"]
    assert command(root, plain, *OPTIONS) == 0
    assert "sources" not in report(plain)[FORGED]
    with_sources, without = tree(out), tree(plain)
    for name, digest in without.items():  # nothing else depends on them
        if name.endswith(".png"):
            assert with_sources[name] == digest
    assert "sources" not in json.loads((plain / "preprocess.json").read_text())
    assert "source_path" not in (plain / "index.csv").read_text()


def test_the_original_is_read_beside_a_mask_video(tmp_path: Path) -> None:
    root, plain, out = data_set(tmp_path / "ffpp", frames=12), tmp_path / "plain", tmp_path / "out"
    mask_videos(root)
    assert command(root, plain, *OPTIONS) == 0
    assert command(root, out, *OPTIONS, "--sources") == 0
    row = report(out)[FORGED]
    assert (row["masks"], row["mask_source"], row["sources"]) == ("3", "video", "3")
    masks = {name: digest for name, digest in tree(plain).items() if name.startswith("masks")}
    assert masks
    assert {name: tree(out)[name] for name in masks} == masks
    frames = open_frames(out / "index.csv")
    assert sum(frames.source_image(position) is not None for position in range(len(frames))) == 3


@pytest.mark.parametrize("masks", [False, True])
def test_another_moment_is_no_source(tmp_path: Path, masks: bool) -> None:
    root, out = data_set(tmp_path / "ffpp", frames=12), tmp_path / "out"
    if masks:
        mask_videos(root)
    original = root / "original_sequences/youtube/c23/videos/000.mp4"
    images = moving(12)
    write(original, [*images[:6], *(np.roll(image, 60, axis=1) for image in images[6:])])
    assert command(root, out, *OPTIONS, "--sources") == 0
    row = report(out)[FORGED]
    assert (row["crops"], row["masks"], row["sources"]) == ("3", "3" if masks else "1", "1")
    wanted = "source picture" if masks else "mask and source picture"
    assert f"no {wanted} for 2 frames: {original} shows other moments" in row["remarks"]
    write(original, [cv2.resize(image, (200, 120)) for image in images])
    assert command(root, out, *OPTIONS, "--sources") == 0
    row = report(out)[FORGED]
    assert (row["masks"], row["sources"]) == ("3" if masks else "0", "0")
    wanted = "source pictures" if masks else "masks or source pictures"
    assert f"no {wanted} from {original}: it is 200x120, the clip 160x120" in row["remarks"]


def test_a_lost_source_is_made_again_and_other_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = data_set(tmp_path / "ffpp", frames=8), tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    assert command(root, out, *OPTIONS, "--sources") == 1
    assert "was made with sources False, now asked for True" in capsys.readouterr().err
    full = tmp_path / "full"
    assert command(root, full, *OPTIONS, "--sources", "--workers", "2") == 0
    first = tree(full)
    for lost in (full / "sources" / FORGED / "00000_0.png", full / FORGED / "00004_0.png"):
        lost.unlink()
        (lost.parent / "99999_0.png").write_bytes(b"left by a run that was ended")
        assert command(root, full, *OPTIONS, "--sources") == 0
        assert tree(full) == first
    capsys.readouterr()
    assert command(root, full, *OPTIONS) == 1
    assert "was made with sources True, now asked for False" in capsys.readouterr().err


def test_sources_go_to_the_store_and_have_the_crops_format(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, store = tmp_path / "out", tmp_path / "faces.lmdb"
    more = ("--sources", "--format", "jpg:95", "--size", "32", "--lmdb", str(store))
    assert command(root, out, *OPTIONS, *more) == 0
    assert "18 crops, masks and source pictures added" in capsys.readouterr().out
    for images in (None, store):
        frames = open_frames(out / "index.csv", images)
        assert frames.missing() == []
        named = [position for position, entry in enumerate(frames.entries) if entry.source]
        assert len(named) == 3
        for position in named:
            assert str(frames.entries[position].source).endswith(".jpg")
            source = frames.source_image(position)
            assert source is not None
            assert source.shape == (32, 32, 3)


def test_faceshifter_is_a_family_like_the_others(tmp_path: Path) -> None:
    root, out = data_set(tmp_path / "ffpp", frames=12), tmp_path / "out"
    key = "manipulated_sequences/FaceShifter/c23/videos/000_001.mp4"
    forged = root / FORGED
    (root / key).write_bytes(forged.read_bytes())
    assert command(root, out, *OPTIONS, "--methods", "FaceShifter", "--sources") == 0
    entries = read_index(out / "index.csv")
    assert {entry.family for entry in entries} == {"FaceShifter", "Real"}
    mine = [entry for entry in entries if entry.video == key]
    assert len(mine) == 3
    for entry in mine:
        assert (entry.fake, entry.label, entry.family) == (True, None, "FaceShifter")
        assert entry.mask == f"masks/{entry.key}"
        assert entry.source == f"sources/{entry.key}"
