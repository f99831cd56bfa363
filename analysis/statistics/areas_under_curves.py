"""Areas under curves of drops or flips over a budget or an area."""

import numpy as np


def areas(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Computes the area under each curve by the trapezoid rule, over the width of its grid: (...) of values (..., g).

    `grid` (g,) increases: budgets, or shares of the frame. An area is the curve's mean height, in the units of
    `values`, and linear in them: the mean of frames' areas is the area under the mean curve, so that
    `estimates(areas(values, grid), ...)` gives the interval of that.

    Raises:
        ValueError: the grid has fewer than two points or does not increase.
    """
    if len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise ValueError(f"a curve needs a grid of at least two increasing values, got {grid.tolist()}")
    heights: np.ndarray = np.trapezoid(values, grid, axis=-1) / (grid[-1] - grid[0])
    return heights
