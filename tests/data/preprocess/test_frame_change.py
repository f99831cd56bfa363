"""On which faces of one frame a change lies, and whether it lies elsewhere."""

import numpy as np
import pytest

from data.preprocess.crops import Square
from data.preprocess.face_detection import Box
from data.preprocess.frame_change import FrameChange, Moment, marked_faces
from tests.data.preprocess.test_manipulation_masks import compressed
from tests.data.preprocess.videos import background

FACES = {0: Box(40, 90, 100, 100), 1: Box(220, 110, 60, 60), 4: Box(340, 110, 60, 60)}
WIDTH, HEIGHT = 480, 300


def spot(*places: tuple[int, int], side: int = 30) -> np.ndarray:
    """(H, W) bool: squares about the places (x, y)."""
    changed = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for x, y in places:
        changed[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = True
    return changed


def centre(face: int) -> tuple[int, int]:
    x, y = FACES[face].centre
    return round(x), round(y)


def forged(changed: np.ndarray, noise: float = 3) -> FrameChange:
    original = background(WIDTH, HEIGHT)
    manipulated = np.clip(original.astype(int) + 60 * changed[..., None], 0, 255).astype(np.uint8)
    return FrameChange(compressed(manipulated, 1, noise), Moment(None, compressed(original, 2, noise)), FACES)


def marking(changed: np.ndarray) -> np.ndarray:
    return np.repeat(255 * changed[..., None].astype(np.uint8), 3, axis=2)


@pytest.mark.parametrize("changed", [(0,), (1,), (4,), (0, 4), (1, 4), (0, 1, 4)])
def test_the_faces_that_were_changed_are_told(changed: tuple[int, ...]) -> None:
    spots = spot(*(centre(face) for face in changed))
    expected = {face: face in changed for face in FACES}
    assert forged(spots).on_faces() == expected
    assert marked_faces(marking(spots), FACES) == expected


def test_what_shows_no_change_says_nothing() -> None:
    nothing = spot()
    assert forged(nothing).on_faces() is None
    assert marked_faces(marking(nothing), FACES) is None
    assert marked_faces(np.full((HEIGHT, WIDTH, 3), 12, np.uint8), FACES) is None  # ringing
    image = background(WIDTH, HEIGHT)
    assert FrameChange(image, Moment(None, 255 - image), FACES).on_faces() is None  # another moment
    assert FrameChange(image, Moment(), FACES).on_faces() is None


def test_a_change_away_from_all_faces_is_on_none_of_them() -> None:
    away = spot((440, 40), side=50)
    assert marked_faces(marking(away), FACES) == dict.fromkeys(FACES, False)
    assert forged(away).on_faces() is None
    assert forged(away).elsewhere()
    for seed_noise in (0, 2, 5):
        assert not forged(spot(), seed_noise).elsewhere()
    assert not forged(spot(centre(0))).elsewhere()


def test_masks_hold_the_change_of_all_changed_faces_in_the_crop() -> None:
    spots = spot(centre(1), centre(4))
    frame = forged(spots)
    whole = Square(0, 0, HEIGHT)
    right = Square(180, 0, HEIGHT)  # both faces
    both, one = frame.mask((1, 4), right), frame.mask((1,), right)
    assert both is not None
    assert one is not None
    assert (both & right.cut(spots)).sum() > 0.9 * spots.sum()
    assert not one[:, centre(4)[0] - 180 - 15 :].any()
    assert frame.mask((0,), whole) is None
    by_video = FrameChange(background(WIDTH, HEIGHT), Moment(marking(spots)), FACES)
    np.testing.assert_array_equal(by_video.mask((), right), right.cut(spots))
    assert by_video.mask((), Square(0, 0, 100)) is None
