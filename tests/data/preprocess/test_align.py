"""The geometry of alignment: where the five points go, and that pictures and points go the same way."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.landmarks import five_points, mean_face
from data.preprocess.align import SIDE, aligned, box_of, template
from data.preprocess.face_detection import Box, HaarFaces
from data.preprocess.tracking import overlap


def test_the_template_is_the_published_one() -> None:
    """The arithmetic of the published code, step by step, at its settings (face width 80, scale 0.9, 224 pixels)."""
    pupils, mouth = [[-0.17607, -0.172844], [0.1736, -0.17356]], [[-0.14617, 0.20185], [0.14496, 0.19943]]
    shape = 0.9 * np.array([*pupils, [-0.00182, 0.0357164], *mouth])
    ratio = 80 / (224 * 0.34967)
    height = (shape[0, 1] * ratio + 0.5) * (1 + 1.42)
    published = np.column_stack([(shape[:, 0] * ratio + 0.5) * 224, (shape[:, 1] * ratio + 0.5) * 224 / height])
    np.testing.assert_allclose(template(), published, atol=1e-9)
    eye, other, nose, left, right = template()
    assert other[0] - eye[0] == pytest.approx(80 * 0.9)
    assert (eye[0] + other[0]) / 2 == pytest.approx(112, abs=0.5)
    assert eye[1] == pytest.approx(224 / 2.42)
    assert eye[1] < nose[1] < left[1] < SIDE
    assert left[0] < nose[0] < right[0]


angles, scales, moves = st.floats(-3, 3), st.floats(0.2, 5), st.floats(-300, 300)


@settings(deadline=None)
@given(angles, scales, moves, moves)
def test_a_turned_scaled_and_moved_template_is_found_again(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = template() @ turn.T + [x, y]
    np.testing.assert_allclose(aligned(points).place(points), template(), atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), angles)
def test_the_fit_is_that_of_least_squares(seed: int, angle: float) -> None:
    """Against the linear problem in a, b, x, y of the similarity (a -b; b a), solved by numpy."""
    rng = np.random.default_rng(seed)
    points = mean_face(200) + rng.normal(0, 8, (68, 2))
    points = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + [300, 200]
    five = five_points(points)
    zero, one = np.zeros(5), np.ones(5)
    rows = np.vstack([
        np.column_stack([five[:, 0], -five[:, 1], one, zero]),
        np.column_stack([five[:, 1], five[:, 0], zero, one]),
    ])  # fmt: skip
    a, b, x, y = np.linalg.lstsq(rows, template().T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(aligned(points).matrix, [[a, -b, x], [b, a, y]], atol=1e-6)


def test_pictures_and_points_go_the_same_way() -> None:
    turn = cv2.getRotationMatrix2D((250, 200), 25, 1.3)
    points = (mean_face(180) + 130) @ turn[:, :2].T + turn[:, 2]
    area = aligned(points)
    for point in five_points(points):
        frame = np.zeros((400, 500, 3), np.uint8)
        cv2.circle(frame, tuple(np.rint(point * 16).astype(int).tolist()), 6 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        cut = area.cut(frame)
        assert cut.shape == (224, 224, 3)
        assert cut.dtype == np.uint8
        weight = cut[..., 0].astype(float)
        y, x = np.indices(weight.shape)
        middle = [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()]
        np.testing.assert_allclose(middle, area.place(point[None])[0], atol=0.15)
    assert area.cut(np.ones((400, 500), np.float32)).shape == (224, 224)


def test_beyond_the_frame_it_is_black() -> None:
    area = aligned(mean_face(100) - 30)
    cut = area.cut(np.full((100, 100, 3), 200, np.uint8))
    assert (cut[:40, :40] == 0).all()
    assert (cut[120:, 120:] == 200).all()


@given(st.floats(20, 400), moves, moves)
def test_the_box_of_landmarks_is_the_detectors(side: float, x: float, y: float) -> None:
    box = box_of(mean_face(side, 1.0) + np.array([x, y]))
    middle = (side - 1) / 2
    np.testing.assert_allclose([*box.centre, box.width, box.height], [x + middle, y + middle, side, side], atol=1e-6)


def test_the_box_of_landmarks_is_near_that_of_a_real_detector(frames: DemoFrames) -> None:
    for position in (0, 5):
        [found] = HaarFaces().detect(frames[position].image)
        assert overlap(box_of(frames.landmarks(position)), found) > 0.7


def test_one_place_is_no_face() -> None:
    for function in (aligned, box_of):
        with pytest.raises(InputError, match="at one place"):
            function(np.full((68, 2), 30.0))
    assert isinstance(box_of(mean_face(50)), Box)
