"""Frames are read as a player shows them: turned, mirrored, with square pixels."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data.preprocess.display import Display
from data.preprocess.video import probe, read
from tests.data.preprocess.films import Film, write_film
from tests.data.preprocess.videos import RED, frame, moving, write

ORIENTATIONS = [(turn, mirrored) for turn in (0, 90, 180, -90) for mirrored in (False, True)]
ONE = 1 << 16  # of a matrix


def stored(shown: np.ndarray, turn: int, mirrored: bool) -> np.ndarray:
    """The picture that is shown as `shown` once it is turned counter-clockwise and then mirrored, undone by NumPy."""
    unmirrored = shown[:, ::-1] if mirrored else shown
    return np.ascontiguousarray(np.rot90(unmirrored, -turn // 90))


def red_centre(image: np.ndarray) -> tuple[float, float]:
    """(x, y) of the middle of what is red."""
    y, x = np.nonzero((image[..., 0] > 150) & (image[..., 1] < 100))
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize(("turn", "mirrored"), ORIENTATIONS)
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_every_orientation_is_shown_upright(tmp_path: Path, ending: str, turn: int, mirrored: bool) -> None:
    shown = frame([(40, 90)])
    film = Film([stored(shown, turn, mirrored)] * 3, turn=turn, mirrored=mirrored)
    path = write_film(tmp_path / f"v{ending}", film)
    assert probe(path).size == (160, 120)
    for _, image in read(path, [0, 2]):
        assert image.flags.c_contiguous
        assert np.abs(image.astype(int) - shown).mean() < 3  # any other orientation: 25 and more
        assert red_centre(image) == pytest.approx((40, 90), abs=1)


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_turns_are_those_of_opencv(tmp_path: Path, turn: int) -> None:
    path = write_film(tmp_path / "v.mp4", Film([frame([(40, 90)])] * 2, turn=turn))
    capture = cv2.VideoCapture(str(path))
    read_well, image = capture.read()
    capture.release()
    assert read_well
    [(_, ours)] = read(path, [0])
    assert ours.shape == image.shape
    assert np.abs(ours.astype(int) - image[..., ::-1]).mean() < 3


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (320, 120)), ((4, 3), (213, 120)), ((1, 2), (160, 240))])
def test_pixels_are_squared(tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    path = write_film(tmp_path / "v.mp4", Film([frame([(40, 90)])] * 2, aspect=Fraction(*aspect)))
    assert probe(path).size == size
    [(_, image)] = read(path, [0])
    assert image.shape == (size[1], size[0], 3)
    x, y = red_centre(image)
    assert (x + 0.5) / size[0] == pytest.approx(40.5 / 160, abs=0.005)
    assert (y + 0.5) / size[1] == pytest.approx(90.5 / 120, abs=0.005)


def test_long_pixels_are_turned_with_their_frame(tmp_path: Path) -> None:
    path = write_film(tmp_path / "v.mp4", Film([frame([(40, 90)])] * 2, aspect=Fraction(2), turn=-90))
    assert probe(path).size == (120, 320)  # clockwise: a frame of 320x120 on its end
    [(_, image)] = read(path, [0])
    x, y = red_centre(image)
    assert (x, y) == pytest.approx((119 - 90, 2 * 40.5 - 0.5), abs=1)


def test_points_are_placed_where_their_pixels_are_shown() -> None:
    point = np.array([[31.0, 13.0]])
    for turned in (False, True):
        for x_mirrored in (False, True):
            for y_mirrored in (False, True):
                display = Display((60, 40), turned, x_mirrored, y_mirrored)
                image = np.zeros((40, 60, 3), np.uint8)
                image[13, 31] = RED
                [(y, x)] = np.argwhere(display.show(image)[..., 0])
                np.testing.assert_array_equal(display.place(point), [[x, y]])
    np.testing.assert_allclose(Display((60, 40), aspect=Fraction(2)).place(point), [[62.5, 13]])
    np.testing.assert_allclose(Display((60, 40), True, aspect=Fraction(2)).place(point), [[13, 62.5]])


def test_a_matrix_that_players_ignore_or_that_tilts(tmp_path: Path) -> None:
    images = [frame([(40, 90)])] * 2
    empty = write_film(tmp_path / "empty.mp4", Film(images, matrix=(0, 0, 0, 0, 0, 0, 0, 0, 1 << 30)))
    assert probe(empty).size == (160, 120)
    scaled = write_film(tmp_path / "scaled.mp4", Film(images, matrix=(0, 2 * ONE, 0, -2 * ONE, 0, 0, 0, 0, 1 << 30)))
    assert probe(scaled).size == (120, 160)
    tilted = write_film(tmp_path / "tilted.mp4", Film(images, turn=30))
    with pytest.raises(InputError, match=r"tilted\.mp4: its display matrix turns it by 30 degrees; only quarter turns"):
        probe(tilted)


def test_pixels_so_long_that_the_frame_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "v.mp4", Film([frame([])] * 2, aspect=Fraction(100)))
    monkeypatch.setattr("data.preprocess.video.MAX_PIXELS", 1_000_000)
    with pytest.raises(InputError, match=r"16000x120 pixels is too large; .* 100 times as wide as high"):
        probe(path)


def test_a_film_that_says_nothing_is_read_as_it_is_stored(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "v.mp4", moving(2)))
    assert info.display == Display((160, 120))
    image = moving(1)[0]
    np.testing.assert_array_equal(info.display.show(image), image)
