"""Masks that mark the border, the whole picture or nothing clearly: what is said of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data.entry import Entry
from data.images import decode_mask, encode_png
from data.index import write_index
from data.picture_doubts import look, of_fewer_bits, warn_of_pictures
from data.source import open_frames
from runs.selection import select_frames

SIDE = 40
FACE = np.zeros((SIDE, SIDE), bool)
FACE[8:, 8:32] = True


def told(folder: Path, masks: list[np.ndarray], capsys: pytest.CaptureFixture[str]) -> str:
    rng = np.random.default_rng(0)
    entries = [Entry(f"{number}.png", True, 4, mask=f"m{number}.png") for number in range(len(masks))]
    for entry, mask in zip(entries, masks, strict=True):
        (folder / entry.key).write_bytes(encode_png(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)))
        (folder / str(entry.mask)).write_bytes(encode_png(mask))
    write_index(folder / "index.csv", entries)
    select_frames(open_frames(folder / "index.csv"))
    return capsys.readouterr().err


def test_inverted_masks_and_those_of_the_whole_picture_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, lower = np.ones_like(FACE), np.zeros_like(FACE)
    lower[SIDE // 2 :] = True
    assert told(tmp_path, [FACE, lower, np.zeros_like(FACE)], capsys) == ""
    large = np.zeros_like(FACE)
    large[2:, 1:39] = True
    assert told(tmp_path, [large], capsys) == ""
    said = told(tmp_path, [FACE, ~FACE, ~np.roll(FACE, -4, axis=0), whole], capsys)
    assert "warning: 2 of 4 masks are white at the border more than in the middle, such as m1.png: white is" in said
    assert "warning: 1 of 4 masks is white everywhere, such as m3.png: every region is truly manipulated then" in said


def test_pictures_of_one_colour_and_masks_among_the_frames_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(0, 256, (SIDE, SIDE, 1), np.uint8), 3, axis=2)
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    cut, barred = grey.copy(), grey.copy()
    cut[SIDE // 2 :], barred[SIDE // 2 :] = 128, 0
    pictures = [grey, white, white // 2, np.repeat(FACE[..., None] * np.uint8(255), 3, axis=2), cut, barred]
    entries = [Entry(f"{number}.png", True, 4) for number in range(len(pictures))]
    for entry, picture in zip(entries, pictures, strict=True):
        (tmp_path / entry.key).write_bytes(encode_png(picture))
    write_index(tmp_path / "index.csv", entries)
    warn_of_pictures(open_frames(tmp_path / "index.csv"))
    assert capsys.readouterr().err.splitlines() == [
        "warning: 2 of 6 pictures are of one colour everywhere, such as 1.png: what wrote it may have failed; it "
        "counts as any other",
        "warning: 1 of 6 pictures is black and white as masks are, such as 3.png: where these are masks, take them "
        "out of the frames",
        "warning: 1 of 6 pictures is one row again and again in the lower part, such as 4.png: decoders leave that of "
        "damaged data; it counts as any other",
    ]


def test_pictures_that_use_half_of_sixteen_bits_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint32)
    values[0] = 255
    entries = [Entry(f"{bits}.png", True, 4) for bits in (16, 14, 13, 15)]
    for entry in entries:
        bits = int(entry.key[:2])
        written = cv2.imencode(".png", (values * (2**bits - 1) // 255).astype(np.uint16))[1].tobytes()
        (tmp_path / entry.key).write_bytes(written)
        assert (of_fewer_bits(written, "x") is None) == (bits == 16)
    write_index(tmp_path / "index.csv", entries)
    warn_of_pictures(open_frames(tmp_path / "index.csv"))
    assert capsys.readouterr().err == (
        "warning: 3 of 4 pictures are of 16 bits with values in the lower half alone, such as 14.png (its largest is "
        "63 of 255): what has 13 to 15 bits is read darker than it was, and is to be saved with 8\n"
    )


def test_many_masks_are_looked_at_in_part_and_damaged_ones_left_to_their_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(tmp_path, [np.ones_like(FACE)] * 70, capsys)
    assert said == said[: said.index("\n") + 1]
    assert said.startswith("warning: 64 of 64 masks looked at are white everywhere, such as m0.png")
    for number in range(70):
        (tmp_path / f"m{number}.png").write_bytes(b"no picture")
    look(open_frames(tmp_path / "index.csv"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("value", [17, 76, 127])
def test_a_mask_that_is_nowhere_brighter_than_half_and_not_black_is_refused(value: int) -> None:
    with pytest.raises(InputError, match=f"no brighter than half .the brightest is {value} of 255"):
        decode_mask(encode_png(FACE.astype(np.uint8) * np.uint8(value)), "m.png")


def test_a_map_of_differences_is_no_mask_and_a_softened_one_is() -> None:
    differences = np.random.default_rng(0).integers(20, 91, FACE.shape).astype(np.uint8) * FACE
    differences[20, 20:24] = 210
    with pytest.raises(InputError, match=r"no brighter than half .the brightest is 210 of 255"):
        decode_mask(encode_png(differences), "m.png")
    soft = cv2.GaussianBlur(FACE.astype(np.uint8) * np.uint8(255), (0, 0), 3)
    assert 0.3 < decode_mask(encode_png(soft), "m.png").mean() < 0.7


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (128, 0, 0), (0, 200, 40)])
def test_a_mask_in_colour_is_read_by_its_brightest_channel(colour: tuple[int, int, int]) -> None:
    picture = FACE[..., None] * np.array(colour, np.uint8)
    np.testing.assert_array_equal(decode_mask(encode_png(picture), "m.png"), FACE)


@pytest.mark.parametrize("noisy", [0, 16])
def test_a_black_mask_with_noise_is_black(noisy: int) -> None:
    assert not decode_mask(encode_png(FACE.astype(np.uint8) * np.uint8(noisy)), "m.png").any()
