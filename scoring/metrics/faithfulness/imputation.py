"""Noisy linear imputation: removed pixels are drawn from their neighbours, so that the removal leaves no edges.

Rong et al., "A consistent and efficient evaluation strategy for attribution methods", ICML 2022, section 4.
"""

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

_WEIGHTS = {(dy, dx): 1 / 6 if dy == 0 or dx == 0 else 1 / 12 for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx}
"""Of a pixel's eight neighbours, by offset: those beside it count twice as much as those at its corners."""


def impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The image (3, H, W) with each removed pixel at the weighted mean of its neighbours, float64, without noise.

    `removed` is (H, W) bool. Removed neighbours are unknowns too, so one sparse linear system gives all of them;
    neighbours beyond the edge do not count. At least one pixel must be left.
    """
    result = image.astype(np.float64)
    count = int(removed.sum())
    if count == 0:
        return result
    number = np.full(np.array(removed.shape) + 2, -1)  # with a border of one pixel that is neither
    inside = number[1:-1, 1:-1]
    inside[removed] = np.arange(count)
    known = np.pad(~removed, 1)
    padded = np.pad(result, ((0, 0), (1, 1), (1, 1)))
    rows, columns = np.nonzero(removed)
    diagonal, right = np.zeros(count), np.zeros((count, len(image)))
    entries, at, to = [], [], []
    for (dy, dx), weight in _WEIGHTS.items():
        y, x = rows + 1 + dy, columns + 1 + dx
        is_known, neighbour = known[y, x], number[y, x]
        right[is_known] += weight * padded[:, y[is_known], x[is_known]].T
        diagonal += weight * (is_known | (neighbour >= 0))
        unknown = np.flatnonzero(neighbour >= 0)
        at.append(unknown)
        to.append(neighbour[unknown])
        entries.append(np.full(len(unknown), -weight))
    own = np.arange(count)
    values, i, j = (np.concatenate(parts) for parts in ([*entries, diagonal], [*at, own], [*to, own]))
    system = csc_matrix((values, (i, j)), shape=(count, count))
    solver = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result[:, rows, columns] = solver.solve(right).T
    return result
