"""The geometry and the files of crops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from data.images import decode
from data.preprocess.crops import CropFormat, Square, crop_format, shrink, square
from data.preprocess.face_detection import Box


def test_a_crop_is_the_margin_times_the_face_about_its_centre() -> None:
    assert square(Box(100, 80, 40, 40), 1.3, 320, 240) == Square(left=94, top=74, side=52)
    assert square(Box(100, 80, 30, 50), 2.0, 320, 240) == Square(left=65, top=55, side=100)  # the longer side decides


def test_at_the_border_it_is_shifted_and_never_leaves_the_frame() -> None:
    assert square(Box(-10, 5, 40, 40), 1.5, 320, 240) == Square(left=0, top=0, side=60)
    assert square(Box(290, 220, 40, 40), 1.5, 320, 240) == Square(left=260, top=180, side=60)
    assert square(Box(0, 0, 300, 300), 1.3, 320, 240) == Square(left=30, top=0, side=240)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-50, 350), st.floats(-50, 250), st.floats(1, 300), st.floats(1, 300), st.floats(0.5, 5),
    st.integers(16, 320), st.integers(16, 240),
)  # fmt: skip
def test_it_is_the_best_square_inside_the_frame(
    left: float, top: float, wide: float, tall: float, margin: float, width: int, height: int
) -> None:
    box = Box(left, top, wide, tall)
    area = square(box, margin, width, height)
    assert 0 <= area.left <= width - area.side
    assert 0 <= area.top <= height - area.side
    assert 16 <= area.side <= min(width, height)
    if 16 <= margin * max(wide, tall) <= min(width, height):
        assert abs(area.side - margin * max(wide, tall)) <= 0.5
    # Of all places inside the frame, none has its centre nearer to the face's (by more than rounding).
    places = np.arange(width - area.side + 1) + area.side / 2
    nearest = np.abs(places - box.centre[0]).min()
    assert abs(area.left + area.side / 2 - box.centre[0]) <= nearest + 1e-9


def test_pixels_are_the_videos_own() -> None:
    image = np.arange(40 * 50 * 3, dtype=np.int64).reshape(40, 50, 3) % 251
    cut = Square(7, 3, 20).cut(image.astype(np.uint8))
    assert cut.shape == (20, 20, 3)
    assert (cut == image[3:23, 7:27]).all()


def test_large_crops_are_reduced_and_small_ones_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(shrink(image, 64), image)
    np.testing.assert_array_equal(shrink(image, 100), image)
    np.testing.assert_array_equal(shrink(image, 0), image)
    means = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))  # what averaging areas means at half the size
    assert np.abs(shrink(image, 32) - means).max() <= 0.51


def test_formats() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode(crop_format("png").encode(image), "crop"), image)
    smooth = np.repeat(np.repeat(image[:4, :4], 8, 0), 8, 1)
    jpeg = crop_format("jpg:95")
    assert (jpeg.suffix, str(jpeg)) == (".jpg", "jpg:95")
    assert jpeg.encode(smooth)[:2] == b"\xff\xd8"
    assert np.abs(decode(jpeg.encode(smooth), "crop").astype(int) - smooth).max() < 20
    assert len(CropFormat(30).encode(image)) < len(jpeg.encode(image))
    for text in ("gif", "jpg", "jpg:0", "jpg:101", "jpg:x", "png:3"):
        with pytest.raises(InputError, match="use png, or jpg:Q"):
            crop_format(text)
