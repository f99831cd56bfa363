"""Sobol indices are those known in closed form: Ishigami's function, and linear ones."""

import numpy as np
import pytest
import torch

from detectors.queries import Queries
from tests.toys import LinearDetector
from xai.base import Score
from xai.fills import composite
from xai.sobol import SOBOL, exchanged, sobol_points, total_indices, upsample


def estimate(function, dimensions: int, designs: int) -> np.ndarray:
    a, b = sobol_points(designs, dimensions, np.random.default_rng(0))
    c = exchanged(a, b)
    return total_indices(function(a), function(b), np.stack([function(design) for design in c]))


def test_ishigami() -> None:
    """Ishigami & Homma 1990; its variances are known in closed form."""
    a, b = 7.0, 0.1

    def ishigami(unit: np.ndarray) -> np.ndarray:
        x = np.pi * (2 * unit - 1)
        return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])

    first = 0.5 * (1 + b * np.pi**4 / 5) ** 2
    second = a**2 / 8
    together = b**2 * np.pi**8 * (1 / 18 - 1 / 50)  # of the first and the third
    total = first + second + together
    expected = np.array([first + together, second, together]) / total
    assert estimate(ishigami, 3, 2**13) == pytest.approx(expected, abs=0.005)


def test_a_linear_functions_indices_are_its_squared_weights() -> None:
    weights = np.array([3.0, -1.0, 0.0, 2.0, 0.5])
    expected = weights**2 / (weights**2).sum()
    assert estimate(lambda x: x @ weights, 5, 2**12) == pytest.approx(expected, abs=0.003)


def test_a_product_has_its_interactions_in_every_index() -> None:
    """f = x1 x2 on [0, 1]^2: Var = 7/144, and 4/7 of it is lost with either variable fixed."""
    assert estimate(lambda x: x[:, 0] * x[:, 1], 2, 2**13) == pytest.approx([4 / 7, 4 / 7], abs=0.005)


def test_values_that_do_not_vary_have_no_indices() -> None:
    assert not total_indices(np.full(8, 0.3), np.full(8, 0.3), np.full((5, 8), 0.3)).any()


def test_exchanged_designs_differ_from_a_in_one_column_of_b() -> None:
    a, b = sobol_points(4, 3, np.random.default_rng(1))
    c = exchanged(a, b)
    assert c.shape == (3, 4, 3)
    for column, design in enumerate(c):
        assert np.array_equal(design[:, column], b[:, column])
        rest = [other for other in range(3) if other != column]
        assert np.array_equal(design[:, rest], a[:, rest])


def test_designs_cover_each_axis_evenly_and_follow_the_generator() -> None:
    a, b = sobol_points(32, 64, np.random.default_rng(2))
    for points in (a, b):
        counts = np.sort(np.floor(points * 32), axis=0)
        assert np.array_equal(counts, np.repeat(np.arange(32.0)[:, None], 64, axis=1))  # one point in each 32nd
    again, _ = sobol_points(32, 64, np.random.default_rng(2))
    other, _ = sobol_points(32, 64, np.random.default_rng(3))
    assert np.array_equal(a, again)
    assert not np.array_equal(a, other)


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (30, 45)])
def test_every_pixel_has_its_cells_value(size: tuple[int, int]) -> None:
    grid = torch.arange(64.0).view(1, 1, 8, 8)
    large = upsample(grid, size)[0, 0]
    for y in range(size[0]):
        for x in range(size[1]):
            assert large[y, x] == grid[0, 0, y * 8 // size[0], x * 8 // size[1]]


def test_saliency_of_an_almost_linear_score() -> None:
    """With small logits p is linear in them, and a cell's index is its squared contribution."""
    draws = torch.Generator().manual_seed(0)
    detector = LinearDetector(torch.randn(3, 16, 16, generator=draws) * 1e-2)
    image = torch.rand(3, 16, 16, generator=draws)
    background = torch.full_like(image, 0.4)
    queries = Queries(detector, batch_size=64)
    explainer = SOBOL(grid=4, designs=512)
    fill = composite(image, background)
    saliency = explainer(Score(queries, 1), image, np.zeros((16, 16), int), fill, np.random.default_rng(0))
    parts = (detector.weight * (image - background)).sum(0).detach().view(4, 4, 4, 4).sum(dim=(1, 3))
    expected = (parts**2 / (parts**2).sum()).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert queries.images == 512 * (16 + 2)
    assert saliency.shape == (16, 16)
    assert np.abs(saliency - expected.numpy()).max() < 0.01


@pytest.mark.parametrize("values", [{"grid": 0}, {"designs": 1}, {"designs": 33}])
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        SOBOL(**values)
