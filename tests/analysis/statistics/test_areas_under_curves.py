"""Areas under curves held to closed forms."""

import numpy as np
import pytest
from scipy import integrate

from analysis.statistics import areas, estimates
from common.seeds import generator

GRID = np.array([0.0, 2.0, 3.0, 7.0])


def test_the_area_is_the_mean_height() -> None:
    assert areas(np.full(4, 0.3), GRID) == pytest.approx(0.3)
    assert areas(GRID / 7, GRID) == pytest.approx(0.5)
    curves = np.random.default_rng(0).random((5, 2, 4))
    expected = integrate.trapezoid(curves, GRID, axis=-1) / 7
    np.testing.assert_allclose(areas(curves, GRID), expected)
    np.testing.assert_allclose(areas(curves, 16 * GRID / 255), expected)


def test_the_mean_area_is_the_area_under_the_mean_curve() -> None:
    curves = np.random.default_rng(1).random((30, 2, 4))
    found = estimates(areas(curves, GRID), np.repeat(np.arange(10), 3), generator(0), (0.0, 1.0))
    for place, each in enumerate(found):
        assert each.value == pytest.approx(float(areas(curves[:, place].mean(axis=0), GRID)))
        assert each.low < each.value < each.high
        assert (each.frames, each.videos) == (30, 10)


def test_a_grid_that_makes_no_curve_is_refused() -> None:
    for grid in (np.array([1.0]), np.array([1.0, 1.0]), np.array([2.0, 1.0])):
        with pytest.raises(ValueError, match="increasing"):
            areas(np.ones(len(grid)), grid)
