"""What happens to pictures on their way: against OpenCV's JPEG, and pictures whose half is known."""

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data.picture_transforms import Half, Jpeg, Png, parse_transforms

NOISE = np.random.default_rng(0).integers(0, 256, (33, 48, 3), dtype=np.uint8)


def opencv_jpeg(picture: np.ndarray, quality: int, sampling: int) -> np.ndarray:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, coded = cv2.imencode(".jpg", picture[..., ::-1], settings)
    assert done
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("quality", [10, 75, 95])
def test_jpeg_is_that_of_another_library_at_half_the_colour(quality: int) -> None:
    arrived = Jpeg(quality)(NOISE).astype(int)
    expected = opencv_jpeg(NOISE, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420).astype(int)
    full_colour = opencv_jpeg(NOISE, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444).astype(int)
    assert arrived.shape == NOISE.shape
    assert np.abs(arrived - expected).mean() < 0.5 < np.abs(arrived - full_colour).mean()


def test_a_lower_quality_changes_more() -> None:
    changes = [np.abs(Jpeg(quality)(NOISE).astype(int) - NOISE).mean() for quality in (100, 95, 75, 30, 1)]
    assert changes == sorted(changes)
    assert changes[0] < changes[-1]


def test_half_is_smoothed_and_rounded_up() -> None:
    chessboard = (np.indices((32, 32)).sum(0) % 2 * 200).astype(np.uint8)
    halved = Half()(np.repeat(chessboard[..., None], 3, axis=2))
    assert halved.shape == (16, 16, 3)
    assert np.abs(halved[2:-2, 2:-2].astype(int) - 100).max() <= 1  # without smoothing it would be 0 or 200
    flat = np.full((33, 47, 3), 77, np.uint8)
    assert Half()(flat).shape == (17, 24, 3)
    assert (Half()(flat) == 77).all()


def test_without_loss_nothing_changes() -> None:
    assert np.array_equal(Png()(NOISE), NOISE)


def test_names_are_read_with_and_without_commas() -> None:
    asked = parse_transforms(["jpeg75, half", "png", "jpeg75,jpeg100,jpeg1"])
    assert asked == (Jpeg(75), Half(), Png(), Jpeg(100), Jpeg(1))
    assert [transform.name for transform in asked] == ["jpeg75", "half", "png", "jpeg100", "jpeg1"]
    assert parse_transforms([]) == ()


@pytest.mark.parametrize(
    "text", ["jpeg", "jpeg0", "jpeg101", "jpeg075", "JPEG75", "jpeg75.5", "webp", "", "half,", "jpeg٧"]
)
def test_an_unknown_name_is_told_with_the_known_ones(text: str) -> None:
    with pytest.raises(InputError, match=r"unknown transform .*; known: jpegQ with Q from 1 to 100 .*half, png"):
        parse_transforms([text])
