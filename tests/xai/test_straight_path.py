"""Integrated gradients along a path that bends are held to closed forms."""

import numpy as np
import pytest
import torch
from torch import Tensor

from xai.straight_path import PIECE_STEPS, along_path


class Path:
    """A score of one pixel along a path: its value, its gradient, and Gauss-Legendre as captum has it; counts steps."""

    def __init__(self, score, slope) -> None:  # type: ignore[no-untyped-def]
        self.value, self._slope = score, slope
        self.taken, self.places = 0, list[float]()

    def integrate(self, start: float, stop: float, steps: int) -> Tensor:
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        places = start + (stop - start) * (nodes + 1) / 2
        self.taken += steps
        self.places += places.tolist()
        total = (weights * [self._slope(place) for place in places]).sum() * (stop - start) / 2
        return torch.full((1, 1, 1, 1), total, dtype=torch.float64)

    def integrated(self, most_steps: int = 1000, tolerance: float = 0.01) -> float:
        return float(along_path(self.integrate, self.value, 50, most_steps, tolerance))


def test_a_path_that_adds_up_takes_no_further_step() -> None:
    path = Path(lambda a: a**3, lambda a: 3 * a**2)
    assert path.integrated() == pytest.approx(1.0)
    assert path.taken == 50


@pytest.mark.parametrize("scale", [1e-2, 1e-3, 1e-5])
def test_a_bend_is_found_wherever_it_is(scale: float) -> None:
    """As behind a layer norm: a / sqrt(a^2 + s^2), which rises to 1 within some s of the start."""
    for shift in (0.0, 0.3, 1.0):

        def score(a: float, shift: float = shift) -> float:
            return float((a - shift) / np.sqrt((a - shift) ** 2 + scale**2))

        path = Path(score, lambda a, shift=shift: scale**2 / ((a - shift) ** 2 + scale**2) ** 1.5)
        due = score(1.0) - score(0.0)
        first = float(path.integrate(0.0, 1.0, 50))
        path.taken, path.places = 0, []
        assert path.integrated() == pytest.approx(due, rel=0.01)
        assert path.taken <= 1000
        if scale < 1e-2:
            assert abs(first - due) > 0.05 * due  # what fifty steps over the whole path miss
            near = np.mean(np.abs(np.array(path.places) - shift) < 100 * scale)
            assert near > 0.2  # steps gather at the bend


def test_what_pieces_miss_does_not_cancel() -> None:
    """Two bends that cancel at 50 even steps: the sum is right at once and stays so; one of them alone is found."""
    scale = 1e-4

    def step(a: float, at: float) -> float:
        return float(np.tanh((a - at) / scale))

    path = Path(
        lambda a: step(a, 0.301) + step(a, 0.702) / 2,
        lambda a: (1 - step(a, 0.301) ** 2) / scale + (1 - step(a, 0.702) ** 2) / scale / 2,
    )
    assert path.integrated() == pytest.approx(3.0, rel=0.01)


def test_the_budget_holds_and_the_nearest_is_given() -> None:
    """A jump has no gradient to integrate: nothing is made worse, and a piece too short to divide ends the search."""
    path = Path(lambda a: float(a > 0), lambda a: 1e9 if a < 1e-9 else 0.0)
    assert path.integrated() == 0.0
    assert path.taken <= 50 + 21 * 2 * PIECE_STEPS
    wrong = Path(lambda a: float(a > 0), lambda a: -1e9 if a < 0.5 else 0.0)  # whatever is added up, it is not 1
    first = abs(float(wrong.integrate(0.0, 1.0, 50)) - 1)
    wrong.taken = 0
    assert abs(wrong.integrated(most_steps=120) - 1) <= first
    assert 50 < wrong.taken <= 120
    wrong.taken = 0
    wrong.integrated(most_steps=10)
    assert wrong.taken == 50  # the first try is the user's own number
