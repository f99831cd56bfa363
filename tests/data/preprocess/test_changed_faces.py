"""The label belongs to the face that was changed: two people in view, one of them forged."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.entry import Entry
from data.index import read_index
from data.preprocess.changed_faces import ChangedFaces, Fate
from data.source import open_frames
from tests.data.preprocess.commands import FORGED, command, report
from tests.data.preprocess.videos import HEIGHT, RED, WIDTH, frame, tree, write

FRAMES = 10
LARGE, SMALL, SMALL_LATER, UNFOUND = (42, 60), (120, 60), (120, 100), (124, 60)
RADII = {LARGE: 24, SMALL: 14, SMALL_LATER: 14, UNFOUND: 26}
MASKS = "manipulated_sequences/Deepfakes/masks/videos/000_001.mp4"
ORIGINAL = "original_sequences/youtube/c23/videos/000.mp4"
OPTIONS = ("--frames-per-video", "4", "--methods", "Deepfakes")

Places = Sequence[Sequence[tuple[int, int]]]


def still(*places: tuple[int, int]) -> Places:
    return [places] * FRAMES


BOTH = still(LARGE, SMALL)


def people(found: Places = BOTH) -> list[np.ndarray]:
    """Frames with a disc at each place, as large as `RADII` says."""
    images = []
    for places in found:
        image = frame([])
        for place in places:
            cv2.circle(image, place, RADII.get(place, 20), RED, -1)
        images.append(image)
    return images


def forged(images: Sequence[np.ndarray], changed: Places, colour: tuple[int, ...] = (200, 80, 60)) -> list[np.ndarray]:
    """The images with the lower half of the discs at `changed` in another colour."""
    results = [image.copy() for image in images]
    for image, places in zip(results, changed, strict=True):
        for x, y in places:
            half = RADII.get((x, y), 20) // 2
            image[y : y + half, x - half : x + half] = colour
    return results


def masks(changed: Places) -> list[np.ndarray]:
    images = [np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in changed]
    for image, places in zip(images, changed, strict=True):
        for x, y in places:
            half = RADII.get((x, y), 20) // 2
            image[y : y + half, x - half : x + half] = 255
    return images


def clip(
    root: Path,
    changed: Places,
    by: str,
    images: Sequence[np.ndarray] | None = None,
    colour: tuple[int, ...] = (200, 80, 60),
) -> Path:
    """A data set of one forged clip, with its original ("difference"), its mask video ("video"), or neither ("")."""
    images = people() if images is None else list(images)
    write(root / FORGED, forged(images, changed, colour))
    (root / "original_sequences").mkdir()
    if by == "difference":
        write(root / ORIGINAL, images)
    if by == "video":
        write(root / MASKS, masks(changed))
    return root


def mine(out: Path) -> list[Entry]:
    return [entry for entry in read_index(out / "index.csv") if FORGED in entry.key]


def sides(out: Path) -> dict[str, int]:
    """The side of every crop: the large face's is 1.3 x 49 pixels, the small one's 1.3 x 29."""
    frames = open_frames(out / "index.csv")
    return {shown.key: shown.image.shape[0] for shown in frames if FORGED in shown.key}


@pytest.mark.parametrize("by", ["difference", "video"])
def test_the_smaller_face_is_cropped_where_that_is_the_forged_one(tmp_path: Path, by: str) -> None:
    root = clip(tmp_path / "ffpp", still(SMALL), by)
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    entries = mine(out)
    assert [entry.key for entry in entries] == [f"{FORGED}/{number:05d}_1.png" for number in (0, 3, 6, 9)]
    assert {(entry.fake, entry.label, entry.faces) for entry in entries} == {(True, 3, None)}
    assert all(abs(side - 1.3 * 29) <= 1 for side in sides(out).values())
    for shown in open_frames(out / "index.csv"):
        if FORGED in shown.key:
            assert shown.mask is not None
            assert 0.5 * 98 < shown.mask.sum() < 2.5 * 98  # a rectangle of 14 x 7
    row = report(out)[FORGED]
    assert [row[name] for name in ("faces", "label_from", "changed_faces", "mask_source", "masks")] == [
        "2", "change", "1", by, "4",
    ]  # fmt: skip
    assert "faces" not in (out / "index.csv").read_text().splitlines()[0].split(",")


@pytest.mark.parametrize("by", ["difference", "video"])
def test_bystanders_are_real_only_on_request(tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = clip(tmp_path / "ffpp", still(SMALL), by)
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS, "--bystanders", "real") == 0
    real = [entry for entry in mine(out) if not entry.fake]
    assert [entry.key for entry in real] == [f"bystanders/{FORGED}/{number:05d}_0.png" for number in (0, 3, 6, 9)]
    assert {(entry.label, entry.family, entry.video, entry.mask) for entry in real} == {
        (0, "Real", f"bystanders/{FORGED}", None)
    }
    assert all(abs(side - 1.3 * 49) <= 1 for key, side in sides(out).items() if key.startswith("bystanders"))
    assert sum(bool(entry.fake) for entry in mine(out)) == 4
    assert report(out)[FORGED]["bystanders"] == "4"
    before = tree(out)
    (out / real[0].key).unlink()  # a lost one is made again
    assert command(root, out, *OPTIONS, "--bystanders", "real") == 0
    assert tree(out) == before
    capsys.readouterr()
    assert command(root, out, *OPTIONS) == 1
    assert "was made with bystanders real, now asked for leave-out" in capsys.readouterr().err
    assert command(root, tmp_path / "new", *OPTIONS, "--bystanders", "real", "--several", "skip") == 2


def test_a_bystander_whose_crop_holds_a_part_of_the_change_is_left_out(tmp_path: Path) -> None:
    near = (42 + 46, 60)
    images = people(still(LARGE, near))
    root = clip(tmp_path / "ffpp", still(near), "video", images)
    out = tmp_path / "out"
    # at twice its size the large face's crop reaches over the other one
    assert command(root, out, *OPTIONS, "--bystanders", "real", "--margin", "2") == 0
    assert all(entry.fake for entry in mine(out))
    assert "4 crops of bystanders are left out: a part of the change" in report(out)[FORGED]["remarks"]


@pytest.mark.parametrize("by", ["difference", "video"])
def test_where_both_are_forged_both_are_fake(tmp_path: Path, by: str) -> None:
    root = clip(tmp_path / "ffpp", still(LARGE, SMALL), by)
    assert command(root, tmp_path / "main", *OPTIONS, "--bystanders", "real") == 0
    assert {(entry.fake, entry.key[-5]) for entry in mine(tmp_path / "main")} == {(True, "0")}
    assert command(root, tmp_path / "all", *OPTIONS, "--several", "track", "--bystanders", "real") == 0
    assert len(mine(tmp_path / "all")) == 8
    assert all(entry.fake and entry.mask for entry in mine(tmp_path / "all"))
    assert report(tmp_path / "all")[FORGED]["changed_faces"] == "2"


def test_without_mask_or_original_the_crops_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = clip(tmp_path / "ffpp", still(SMALL), "")
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    assert {(entry.fake, entry.faces, entry.key[-5]) for entry in mine(out)} == {(True, 2, "0")}
    said = capsys.readouterr().err
    assert f"warning: {FORGED}: it shows 2 faces, and no mask video or original shows which" in said
    assert f"4 of 4 frames (of 1 video, such as {FORGED}) may have the wrong label" in said
    assert report(out)[FORGED]["label_from"] == "clip"
    assert command(root, tmp_path / "skip", *OPTIONS, "--several", "skip") == 0
    assert not (tmp_path / "skip" / "index.csv").exists()


def test_an_original_without_a_change_leaves_the_label_in_doubt(tmp_path: Path) -> None:
    root = clip(tmp_path / "ffpp", still(), "difference")
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    assert {(entry.fake, entry.faces, entry.mask) for entry in mine(out)} == {(True, 2, None)}
    assert "no change stands out on any of them" in report(out)[FORGED]["remarks"]


@pytest.mark.parametrize("by", ["difference", "video"])
def test_a_change_on_none_of_the_faces_found_labels_none_of_them(
    tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = people(still(LARGE))
    for image in images:
        cv2.circle(image, UNFOUND, RADII[UNFOUND], (150, 120, 100), -1)  # a face that the detector does not find
    root = clip(tmp_path / "ffpp", still(UNFOUND), by, images, (100, 150, 140))
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 1
    assert not list(out.rglob(f"{FORGED}/*.png"))
    assert "the change lies on none of the faces found" in report(out)[FORGED]["problem"]
    assert capsys.readouterr().err.count("the change lies on none of the faces found") == 1


@pytest.mark.parametrize("by", ["difference", "video"])
def test_tracks_that_cross_keep_the_label_on_the_forged_face(tmp_path: Path, by: str) -> None:
    # two faces of one size change places between two frames, as fast as tracks follow the nearest face
    left, right = (40, 60), (120, 60)
    found = still(left, right)
    changed = [[left] if index < 5 else [right] for index in range(FRAMES)]
    root = clip(tmp_path / "ffpp", changed, by, people(found))
    out = tmp_path / "out"
    options = ("--frames-per-video", "0", "--methods", "Deepfakes", "--bystanders", "real")
    assert command(root, out, *options) == 0
    keys = [entry.key for entry in mine(out)]
    assert len(keys) == FRAMES
    assert {key[-5] for key in keys[:5]} != {key[-5] for key in keys[5:]}
    for shown in open_frames(out / "index.csv"):
        if ORIGINAL in shown.key:
            continue
        assert shown.label == 3
        assert shown.mask is not None
        assert shown.mask.any()
    assert "10 crops are left out: it is not clear" in report(out)[FORGED]["remarks"]


def test_the_forged_face_is_followed_through_a_broken_track(tmp_path: Path) -> None:
    found = [(LARGE, SMALL)] * 4 + [(LARGE,)] * 2 + [(LARGE, SMALL_LATER)] * 4  # it is away, and comes back elsewhere
    changed = [[place for place in places if place != LARGE] for places in found]
    root = clip(tmp_path / "ffpp", changed, "video", people(found))
    out = tmp_path / "out"
    assert command(root, out, "--frames-per-video", "0", "--methods", "Deepfakes") == 0
    assert [int(Path(entry.key).name[:5]) for entry in mine(out)] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert all(abs(side - 1.3 * 29) <= 1 for side in sides(out).values())


def test_a_black_mask_is_unknown_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [[LARGE] if index < 5 else [] for index in range(FRAMES)]
    root = clip(tmp_path / "ffpp", changed, "video", people(still(LARGE)))
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    assert [(entry.fake, entry.mask is None) for entry in mine(out)] == [
        (True, False), (True, False), (True, True), (True, True),
    ]  # fmt: skip
    assert f"no mask for 2 crops: {root / MASKS} marks nothing there" in capsys.readouterr().err
    assert (report(out)[FORGED]["masks"], report(out)[FORGED]["label_from"]) == ("2", "")


@pytest.mark.parametrize("by", ["difference", "video"])
def test_a_companion_that_is_shorter_serves_for_the_common_frames(tmp_path: Path, by: str) -> None:
    root = clip(tmp_path / "ffpp", still(LARGE), by, people(still(LARGE)))
    short = ORIGINAL if by == "difference" else MASKS
    write(root / short, (people(still(LARGE)) if by == "difference" else masks(still(LARGE)))[:-1])
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    assert [entry.mask is not None for entry in mine(out)] == [True, True, True, False]
    remarks = report(out)[FORGED]["remarks"]
    assert f"no masks for 1 frame, beyond the 9 of {root / short}" in remarks
    assert command(root, tmp_path / "few", "--frames-per-video", "1", "--methods", "Deepfakes") == 0
    assert report(tmp_path / "few")[FORGED]["remarks"] == ""


def test_records_of_earlier_versions_are_made_again_where_the_label_was_the_main_faces(tmp_path: Path) -> None:
    root = clip(tmp_path / "ffpp", still(SMALL), "video")
    out = tmp_path / "out"
    assert command(root, out, *OPTIONS) == 0
    first = tree(out)
    record = out / ".finished" / f"{FORGED}.json"
    values = json.loads(record.read_text())
    assert (values.pop("label_from"), values.pop("changed_faces")) == ("change", 1)
    for owner in (values, *values["crops"]):  # which had no checksums either
        for name in ("recipe", "sha256", "mask_sha256"):
            owner.pop(name, None)
    record.write_text(json.dumps(values))
    assert command(root, out, *OPTIONS) == 0
    assert tree(out) == first


def test_the_fate_of_a_face_takes_its_frame_and_its_track() -> None:
    def seen(*votes: Sequence[bool]) -> ChangedFaces:
        return ChangedFaces({index: dict(enumerate(faces)) for index, faces in enumerate(votes)})

    clear = seen(*[(False, True)] * 9)
    assert (clear.fate(3, 0), clear.fate(3, 1), clear.count) == (Fate.UNTOUCHED, Fate.CHANGED, 1)
    assert (clear.fate(99, 0), clear.fate(99, 1)) == (Fate.UNCLEAR, Fate.CHANGED)  # a frame that shows no change
    noisy = seen(*[(False, True)] * 9, (True, False))  # once it is the other way
    assert [noisy.fate(0, face) for face in (0, 1)] == [Fate.UNTOUCHED, Fate.CHANGED]
    assert [noisy.fate(9, face) for face in (0, 1)] == [Fate.UNCLEAR, Fate.UNCLEAR]
    crossed = seen(*[(False, True)] * 5, *[(True, False)] * 5)
    assert [crossed.fate(0, face) for face in (0, 1)] == [Fate.UNCLEAR, Fate.CHANGED]
    assert [crossed.fate(9, face) for face in (0, 1)] == [Fate.CHANGED, Fate.UNCLEAR]
    assert crossed.fate(99, 0) is Fate.UNCLEAR
    assert clear.fate(3, 7) is Fate.UNCLEAR
