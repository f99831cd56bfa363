"""Planted manipulations are recovered, and nothing else is."""

import cv2
import numpy as np
import pytest

from data.preprocess.crops import Square, square
from data.preprocess.face_detection import Box
from data.preprocess.manipulation_masks import (
    NotTheSameMomentError,
    change_of,
    difference,
    distances,
    from_difference,
    from_mask_video,
)
from tests.data.preprocess.videos import background

FACE = Box(180, 90, 100, 100)
WIDTH, HEIGHT = 480, 300


def compressed(image: np.ndarray, seed: int, strength: float = 4) -> np.ndarray:
    """The image with noise as a compression leaves it: coarse, and of its own in every copy."""
    noise = np.random.default_rng(seed).normal(0, 1, (*image.shape[:2], 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.0)
    return np.clip(image + strength * noise / noise.std(), 0, 255).astype(np.uint8)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("scale", [1, 3])  # faces of 100 pixels, and of 300: both are reduced
@pytest.mark.parametrize("noise", [0, 2, 8])
def test_a_planted_rectangle_is_recovered(scale: int, noise: float) -> None:
    face = Box(*(scale * value for value in (FACE.left, FACE.top, FACE.width, FACE.height)))
    original = background(WIDTH * scale, HEIGHT * scale)
    rectangle = np.zeros(original.shape[:2], dtype=bool)
    rectangle[130 * scale : 175 * scale, 205 * scale : 260 * scale] = True
    manipulated = np.clip(original.astype(int) + 40 * rectangle[..., None], 0, 255).astype(np.uint8)
    area = square(face, 1.3, WIDTH * scale, HEIGHT * scale)
    mask = from_difference(compressed(manipulated, 1, noise), compressed(original, 2, noise), face, area)
    assert mask is not None
    assert mask.shape == (area.side, area.side)
    truth = area.cut(rectangle)
    assert overlap(mask, truth) > 0.7
    assert (mask & truth).sum() > 0.95 * truth.sum()
    reach = cv2.dilate(truth.astype(np.uint8), np.ones((15 * scale, 15 * scale), np.uint8)).astype(bool)
    assert not (mask & ~reach).any()  # it ends within 7 % of the face's size


def test_a_change_of_texture_alone_is_seen() -> None:
    original = background(WIDTH, HEIGHT)
    manipulated = original.astype(int)
    checks = 30 * ((np.add.outer(range(40), range(40)) // 2) % 2 * 2 - 1)  # its mean is zero
    manipulated[120:160, 210:250] += checks[..., None]
    area = square(FACE, 1.3, WIDTH, HEIGHT)
    mask = from_difference(compressed(manipulated.clip(0, 255), 1), compressed(original, 2), FACE, area)
    truth = np.zeros((HEIGHT, WIDTH), dtype=bool)
    truth[120:160, 210:250] = True
    assert mask is not None
    assert overlap(mask, area.cut(truth)) > 0.7


def test_the_inside_of_a_changed_ring_is_manipulated_too() -> None:
    original = background(WIDTH, HEIGHT)
    manipulated = original.copy()
    cv2.circle(manipulated, (230, 140), 30, (200, 120, 100), 6)
    area = square(FACE, 1.3, WIDTH, HEIGHT)
    mask = from_difference(compressed(manipulated, 1), compressed(original, 2), FACE, area)
    assert mask is not None
    assert mask[140 - area.top, 230 - area.left]


def test_noise_alone_gives_no_mask() -> None:
    original = background(WIDTH, HEIGHT)
    area = square(FACE, 1.3, WIDTH, HEIGHT)
    for seed in range(10):
        assert from_difference(compressed(original, seed), compressed(original, 100 + seed), FACE, area) is None
    assert from_difference(original, original, FACE, area) is None


def test_a_change_away_from_the_face_gives_no_mask() -> None:
    original = background(WIDTH, HEIGHT)
    manipulated = original.copy()
    manipulated[20:50, 20:50] += 60  # little enough of the frame to leave the noise as it is
    assert from_difference(manipulated, original, FACE, square(FACE, 1.3, WIDTH, HEIGHT)) is None


def test_another_moment_is_no_mask() -> None:
    original = background(WIDTH, HEIGHT)
    with pytest.raises(NotTheSameMomentError):
        from_difference(255 - original, original, FACE, square(FACE, 1.3, WIDTH, HEIGHT))


def test_a_change_on_another_face_is_neither_noise_nor_this_faces_change() -> None:
    other = Box(300, 90, 80, 80)  # next to FACE
    original = background(WIDTH, HEIGHT)
    changed = np.zeros((HEIGHT, WIDTH), dtype=bool)
    changed[120:160, 310:370] = True
    manipulated = np.clip(original.astype(int) + 90 * changed[..., None], 0, 255).astype(np.uint8)
    frames = compressed(manipulated, 1), compressed(original, 2)
    strength = difference(*frames, FACE, [other])
    assert strength is not None
    assert change_of(strength, original.shape, FACE, [other]) is None
    strength = difference(*frames, other, [FACE])
    assert strength is not None
    cover = change_of(strength, original.shape, other, [FACE])
    assert cover is not None
    assert overlap(cover > 0.5, changed) > 0.7


def test_pixels_belong_to_the_nearest_face_in_its_own_size() -> None:
    large, small = Box(0, 0, 40, 40), Box(50, 10, 20, 20)
    for face, other in ((large, small), (small, large)):
        away = distances((50, 90), (50, 90), face, [other])
        for y, x in np.ndindex(50, 90):
            mine, theirs = (
                np.hypot(x + 0.5 - box.centre[0], y + 0.5 - box.centre[1]) / box.size for box in (face, other)
            )
            assert away[y, x] == pytest.approx(mine) if mine <= theirs else away[y, x] == np.inf


def test_a_face_that_fills_the_frame_leaves_no_noise_to_measure() -> None:
    image = background(100, 100)
    assert from_difference(255 - image, image, Box(0, 0, 100, 100), Square(0, 0, 100)) is None


def test_mask_videos_may_be_white_or_coloured_and_are_black_only_nearly() -> None:
    frame = np.full((60, 80, 3), 12, np.uint8)  # ringing of the compression
    frame[10:30, 10:30] = 240
    frame[30:40, 10:30] = (0, 90, 10)  # a rendering
    mask = from_mask_video(frame, Square(5, 5, 40))
    truth = np.zeros((60, 80), dtype=bool)
    truth[10:40, 10:30] = True
    np.testing.assert_array_equal(mask, truth[5:45, 5:45])
