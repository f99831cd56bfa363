"""Films that are stored otherwise than they are shown, from the command to their crops, masks and landmarks."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.images import decode, decode_mask
from data.index import read_index
from data.landmarks import read_landmarks
from tests.data.preprocess.commands import FORGED, command, report
from tests.data.preprocess.films import Film, write_film
from tests.data.preprocess.videos import frame, marks, painted, place, planted, write, write_ldm

ORIGINAL = "original_sequences/youtube/c23/videos/000.mp4"
MASKS = "manipulated_sequences/Deepfakes/masks/videos/000_001.mp4"
COUNT = 6
CENTRES = [place(number) for number in range(COUNT)]
OPTIONS = ("--frames-per-video", "3")


def pictures() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """An original, a manipulated film and the masks, as they are shown."""
    images = [frame([centre]) for centre in CENTRES]
    masks = [np.repeat(255 * planted(centre).astype(np.uint8)[..., None], 3, axis=2) for centre in CENTRES]
    return images, painted(images, CENTRES), masks


def laid(images: Sequence[np.ndarray], quarters: int) -> list[np.ndarray]:
    """The pictures on their side, by NumPy's quarter turns counter-clockwise."""
    return [np.ascontiguousarray(np.rot90(image, quarters)) for image in images]


def crops(out: Path, key: str) -> dict[str, np.ndarray]:
    return {path.name: decode(path.read_bytes(), path.name) for path in sorted((out / key).glob("*.png"))}


def assert_same_crops(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Both have the same parts of the same pictures, but for noise of compression."""
    assert one.keys() == other.keys()
    assert len(one) == 3
    for name, image in one.items():
        assert image.shape == other[name].shape
        assert np.abs(image.astype(int) - other[name]).mean() < 4


@pytest.mark.parametrize("masks_from", ["video", "difference"])
def test_turned_films_give_the_crops_and_masks_of_upright_ones(tmp_path: Path, masks_from: str) -> None:
    """The original is stored on its left side, the fake on its head, the mask video upright."""
    original, fake, masks = pictures()
    for root in (tmp_path / "upright", tmp_path / "turned"):
        turned = root.name == "turned"
        write_film(root / ORIGINAL, Film(laid(original, 1), turn=-90) if turned else Film(original))
        write_film(root / FORGED, Film(laid(fake, 2), turn=180) if turned else Film(fake))
        if masks_from == "video":
            write_film(root / MASKS, Film(masks))
        assert command(root, tmp_path / f"{root.name}_out", *OPTIONS, "--sources") == 0
    upright, turned_out = tmp_path / "upright_out", tmp_path / "turned_out"
    for key in (ORIGINAL, FORGED, f"sources/{FORGED}"):
        assert_same_crops(crops(upright, key), crops(turned_out, key))
    assert report(turned_out)[FORGED]["mask_source"] == masks_from
    for entry in read_index(turned_out / "index.csv"):
        if entry.mask:
            ours, theirs = (decode_mask((out / entry.mask).read_bytes(), "mask") for out in (turned_out, upright))
            assert (ours & theirs).sum() / (ours | theirs).sum() > 0.8


def test_long_pixels_are_squared_in_crops_and_masks(tmp_path: Path) -> None:
    """Half as wide in the file, shown as wide as they were; the fake's program forgot to say so, as many do."""
    root, (original, _, masks) = tmp_path / "ffpp", pictures()
    narrow = [cv2.resize(image, (80, 120), interpolation=cv2.INTER_AREA) for image in original]
    narrow_masks = [cv2.resize(image, (80, 120), interpolation=cv2.INTER_AREA) for image in masks]
    write_film(root / ORIGINAL, Film(narrow, aspect=Fraction(2)))
    write_film(root / FORGED, Film(narrow, aspect=Fraction(2)))
    write_film(root / MASKS, Film(narrow_masks))
    assert command(root, tmp_path / "out", *OPTIONS) == 0
    assert report(tmp_path / "out")[FORGED]["mask_source"] == "video"
    for name, image in crops(tmp_path / "out", FORGED).items():
        red = (image[..., 0] > 150) & (image[..., 1] < 100)
        rows, columns = (np.flatnonzero(red.any(axis=axis)) for axis in (1, 0))
        assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=2)  # a disc, not an ellipse
        mask = decode_mask((tmp_path / "out/masks" / FORGED / name).read_bytes(), "mask")
        assert mask.sum() == pytest.approx(14 * 24, rel=0.1)


@pytest.mark.parametrize("stored", [False, True])
def test_landmarks_are_those_of_the_frames_shown(tmp_path: Path, stored: bool) -> None:
    """Whether their file has them upright or as the frames are stored: a face stands only in one of the two."""
    images = [frame([centre]) for centre in CENTRES]
    write_film(tmp_path / "upright" / ORIGINAL, Film(images))
    write_film(tmp_path / "turned" / ORIGINAL, Film(laid(images, 1), turn=-90))
    given = {number: marks(centre) for number, centre in enumerate(CENTRES)}
    found = {}
    for name in ("upright", "turned"):
        if name == "turned" and stored:  # a quarter turn counter-clockwise takes (x, y) to (y, 159 - x)
            given = {number: np.stack([points[:, 1], 159 - points[:, 0]], axis=1) for number, points in given.items()}
        ldm = write_ldm(tmp_path / f"{name}.json", {"original_sequences/youtube/c23/frames/000": given})
        out = tmp_path / f"{name}_out"
        assert command(tmp_path / name, out, *OPTIONS, "--landmarks", str(ldm)) == 0
        found[name] = read_landmarks(out / "landmarks.csv")
    assert len(found["turned"]) == 3
    for key, points in found["turned"].items():
        np.testing.assert_allclose(points, found["upright"][key], atol=1)
    assert ("as stored" in report(tmp_path / "turned_out")[ORIGINAL]["remarks"]) is stored


def test_landmarks_are_squared_with_their_pixels(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    narrow = [cv2.resize(frame([centre]), (80, 120), interpolation=cv2.INTER_AREA) for centre in CENTRES]
    write_film(root / ORIGINAL, Film(narrow, aspect=Fraction(2)))
    given = {number: (marks(centre) + 0.5) * [0.5, 1] - 0.5 for number, centre in enumerate(CENTRES)}
    ldm = write_ldm(tmp_path / "ldm.json", {"original_sequences/youtube/c23/frames/000": given})
    assert command(root, tmp_path / "out", *OPTIONS, "--landmarks", str(ldm)) == 0
    found = read_landmarks(tmp_path / "out/landmarks.csv")
    assert len(found) == 3
    for points in found.values():
        np.testing.assert_allclose(np.ptp(points, axis=0), np.ptp(marks((0, 0)), axis=0), atol=0.1)


def test_time_is_split_over_the_frames_that_are_shown(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    images = [frame([place(number)]) for number in range(30)]
    film = Film(images, codec="mpeg4", pixels="yuv420p", options={"b": "4M"}, dropped=range(1, 21, 2))
    write_film(root / "original_sequences/youtube/c23/videos/000.avi", film)
    assert command(root, tmp_path / "out", "--frames-per-video", "8", "--split-by-time") == 0
    splits = [entry.split for entry in read_index(tmp_path / "out/index.csv")]
    assert splits == ["train"] * 5 + ["test"] * 2  # of 20: up to 14, from 15 on; of eight one is in the gap
    assert report(tmp_path / "out")["original_sequences/youtube/c23/videos/000.avi"]["frames"] == "20"


def test_remarks_about_a_film_are_reported(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    films = [Film([frame([place(number)]) for number in range(COUNT)]), Film([np.zeros((64, 64, 3), np.uint8)] * 3)]
    write_film(root / "original_sequences/youtube/c23/videos/000.mkv", *films)
    write(root / ORIGINAL.replace("000", "001"), [frame([place(0)])] * 2)
    assert command(root, tmp_path / "out", *OPTIONS) == 0
    rows = report(tmp_path / "out")
    assert "it holds 2 films" in rows["original_sequences/youtube/c23/videos/000.mkv"]["remarks"]
    assert rows[ORIGINAL.replace("000", "001")]["remarks"] == ""


def test_an_original_that_is_cut_off_gives_the_masks_before_the_cut(tmp_path: Path) -> None:
    root = tmp_path / "ffpp"
    centres = [place(number) for number in range(30)]
    images = [frame([centre]) for centre in centres]
    write(root / FORGED, painted(images, centres))
    whole = write(tmp_path / "whole.mp4", images, faststart=True).read_bytes()
    (root / ORIGINAL).parent.mkdir(parents=True)
    (root / ORIGINAL).write_bytes(whole[: int(0.6 * len(whole))])
    assert (
        command(root, tmp_path / "out", "--frames-per-video", "6", "--methods", "Deepfakes") == 1
    )  # it is a clip, too
    rows = report(tmp_path / "out")
    before = [position for position in (0, 6, 12, 17, 23, 29) if position < int(rows[ORIGINAL]["frames"])]
    assert 1 < len(before) < 6
    assert (rows[FORGED]["crops"], rows[FORGED]["masks"]) == ("6", str(len(before)))
    assert "masks only before the damage" in rows[FORGED]["remarks"]
    assert "damaged after frame" in rows[FORGED]["remarks"]
