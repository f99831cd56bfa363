"""Signed distances of simple solids and their smooth unions.

A point set is (3, N) float32, a distance (N,) float32, negative inside. The smooth minimum is the quadratic
polynomial of Quilez, "Smooth minimum" (2013), and so is the first-order ellipsoid distance.
"""

from collections.abc import Sequence

import numpy as np

Triple = Sequence[float] | np.ndarray


def column(values: Triple) -> np.ndarray:
    """Three numbers as a (3, 1) float32 column, to combine with point sets."""
    return np.asarray(values, np.float32).reshape(3, 1)


def length(points: np.ndarray) -> np.ndarray:
    """Euclidean norms (N,) of the columns of `points` (3, N)."""
    return np.sqrt(np.einsum("ij,ij->j", points, points))


def ellipsoid(points: np.ndarray, centre: Triple, radii: Triple) -> np.ndarray:
    """Distance (N,) to an axis-aligned ellipsoid, exact to first order at its surface."""
    inverse = column(radii) ** -2.0
    square = points - column(centre)
    square *= square
    norm, slope = np.sqrt(np.hstack([inverse, inverse * inverse]).T @ square)
    return norm * (norm - 1.0) / (slope + 1e-6)


def capsule(
    points: np.ndarray, start: Triple, end: Triple, radius: float, end_radius: float | None = None
) -> np.ndarray:
    """Distance (N,) to a segment thickened by a radius that runs linearly from `radius` to `end_radius`."""
    axis = column(end) - column(start)
    offset = points - column(start)
    along = np.clip((offset * axis).sum(0) / float((axis * axis).sum()), 0.0, 1.0)
    last = radius if end_radius is None else end_radius
    return length(offset - axis * along) - (radius + (last - radius) * along)


def mirrored(points: np.ndarray) -> np.ndarray:
    """The points folded onto the half-space x >= 0, so that one solid stands for a symmetric pair."""
    folded = points.copy()
    np.abs(folded[0], out=folded[0])
    return folded


def union(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """Union of two solids whose seam is rounded over `radius`."""
    overlap = first - second
    np.abs(overlap, out=overlap)
    np.subtract(radius, overlap, out=overlap)
    np.maximum(overlap, 0.0, out=overlap)
    overlap *= overlap
    overlap *= -0.25 / radius
    overlap += np.minimum(first, second)
    return overlap


def intersection(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """Intersection of two solids whose edge is rounded over `radius`."""
    return -union(-first, -second, radius)


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, values: np.ndarray) -> np.ndarray:
    """Hermite step from 0 at `low` to 1 at `high` (either may be the larger)."""
    position = np.clip((values - low) / (high - low), 0.0, 1.0)
    return position * position * (3.0 - 2.0 * position)
