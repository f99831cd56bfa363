"""Warps against closed forms."""

import numpy as np
import pytest

from common.errors import InputError
from data import warp

SHAPE = (60, 80)


def _points(count: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([8, 8], [70, 50], (count, 2))


def _pixels() -> np.ndarray:
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    return np.stack([x, y], -1).astype(float)


def test_the_same_landmarks_give_the_identity() -> None:
    points = _points()
    for coordinates in (warp.piecewise_affine(points, points, SHAPE)[0], warp.smooth_warp(points, points, SHAPE)):
        np.testing.assert_allclose(coordinates, _pixels(), atol=1e-3)
    image = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.rint(warp.sample(image, warp.piecewise_affine(points, points, SHAPE)[0])), image)


def test_affinely_moved_landmarks_give_that_affine_map() -> None:
    target = _points()
    matrix, shift = np.array([[0.9, 0.2], [-0.1, 1.1]]), np.array([3.0, -2.0])
    source = target @ matrix.T + shift
    expected = _pixels() @ matrix.T + shift
    coordinates, defined = warp.piecewise_affine(source, target, SHAPE)
    assert defined.sum() > 500
    np.testing.assert_allclose(coordinates[defined], expected[defined], atol=1e-3)
    np.testing.assert_array_equal(coordinates[~defined], _pixels()[~defined])
    np.testing.assert_allclose(warp.smooth_warp(source, target, SHAPE), expected, atol=0.02)


def test_a_smooth_warp_takes_each_target_point_from_its_source() -> None:
    target = _points(12)
    source = target + np.random.default_rng(2).uniform(-2, 2, target.shape)
    coordinates = warp.smooth_warp(source, target, SHAPE, step=1)
    found = coordinates[tuple(np.rint(target[:, ::-1]).astype(int).T)]
    assert np.abs(found - source).max() < 1.2  # rounding of the target to whole pixels, and the smoothing
    assert np.abs(found - source).mean() < 0.5 * np.abs(target - source).mean()


def test_points_that_coincide_but_part_do_not_break_the_smooth_warp() -> None:
    target = np.vstack([_points(10), [[40.0, 30.0], [40.0, 30.0]]])
    source = target.copy()
    source[-1] += [0.0, 3.0]
    assert np.abs(warp.smooth_warp(source, target, SHAPE) - _pixels()).max() < 6.0


def test_feather_rises_from_the_edge_to_one_inside() -> None:
    region = np.zeros((41, 41), bool)
    region[10:31, 10:31] = True
    opacity = warp.feather(region, 5.0)
    assert not opacity[~region].any()
    assert opacity[20, 20] == 1.0
    assert np.all(np.diff(opacity[20, 9:15]) > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:67], "shape"),
        (lambda p: np.where(np.arange(68)[:, None] == 5, -1.0, p), "outside"),
        (lambda p: np.where(np.arange(68)[:, None] == 5, np.nan, p), "outside"),
        (lambda p: p * 0.05 + 20, "less than 24 pixels"),
    ],
)
def test_bad_landmarks_are_refused(change, message) -> None:  # type: ignore[no-untyped-def]
    points = np.random.default_rng(0).uniform(10, 90, (68, 2))
    warp.check_landmarks(points, (100, 100, 3))
    with pytest.raises(InputError, match=message):
        warp.check_landmarks(change(points), (100, 100, 3))
