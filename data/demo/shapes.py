"""Signed distances of simple solids and their smooth unions.

A point set is (3, N) float32, a distance (N,) float32, negative inside. The smooth minimum is the quadratic
polynomial of Quilez, "Smooth minimum" (2013), and so is the first-order ellipsoid distance.
"""

import math
from collections.abc import Sequence

import numpy as np

Triple = Sequence[float] | np.ndarray
FOLD = 0.05


def column(values: Triple) -> np.ndarray:
    """Three numbers as a (3, 1) float32 column, to combine with point sets."""
    return np.asarray(values, np.float32).reshape(3, 1)


def length(points: np.ndarray) -> np.ndarray:
    """Euclidean norms (N,) of the columns of `points` (3, N)."""
    return np.sqrt(np.einsum("ij,ij->j", points, points))


class Ellipsoids:
    """Several ellipsoids, measured at once: each norm is a linear function of the points' squares and products.

    An ellipsoid is (centre, radii), with axes along the coordinates, or (centre, radii, turn) turned about the
    vertical by an angle. A mirrored one stands for a pair: it is measured at (|x|, y, z), with |x| rounded at 0 so
    that smooth unions leave no crease in the middle.
    """

    def __init__(self, single: Sequence[tuple], mirrored: Sequence[tuple] = ()) -> None:
        rows = [_quadratic(*solid, mirrored=False) for solid in single]
        rows += [_quadratic(*solid, mirrored=True) for solid in mirrored]
        self._weights = np.array([norm for norm, _ in rows] + [slope for _, slope in rows], np.float32)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Distances (K, N), exact to first order at the surfaces; first the single ones, then the mirrored."""
        x, y, z = points
        side = np.sqrt(x * x + FOLD * FOLD)
        terms = np.stack([x * x, y * y, z * z, side * z, side, x, y, z, np.ones_like(x)])
        values = self._weights @ terms
        np.maximum(values, 1e-9, out=values)
        np.sqrt(values, out=values)
        norm, slope = np.split(values, 2)
        slope += 1e-6
        distance = norm - 1.0
        distance *= norm
        distance /= slope
        return distance


def _quadratic(centre: Triple, radii: Triple, turn: float = 0.0, *, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of |A(p - c)|^2 for A = 1 / radii and 1 / radii^2 over the terms of Ellipsoids."""
    cos, sin = math.cos(turn), math.sin(turn)
    axes = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    middle = np.array(centre, float)
    if mirrored:
        middle[0] = math.hypot(middle[0], FOLD)  # where the rounded |x| puts it
    rows = []
    for power in (2, 4):
        form = axes.T @ np.diag(np.asarray(radii, float) ** -power) @ axes
        linear = -2.0 * form @ middle
        side, ahead = (linear[0], 0.0) if mirrored else (0.0, linear[0])
        constant = middle @ form @ middle + (form[0, 0] * FOLD * FOLD if mirrored else 0.0)
        rows.append(np.array([*np.diag(form), 2.0 * form[0, 2], side, ahead, linear[1], linear[2], constant]))
    return rows[0], rows[1]


def ellipsoid(points: np.ndarray, centre: Triple, radii: Triple) -> np.ndarray:
    """Distance (N,) to one axis-aligned ellipsoid, exact to first order at its surface."""
    inverse = column(radii) ** -2.0
    square = points - column(centre)
    square *= square
    norm, slope = np.sqrt(np.hstack([inverse, inverse * inverse]).T @ square)
    return norm * (norm - 1.0) / (slope + 1e-6)


def capsule(
    points: np.ndarray, start: Triple, end: Triple, radius: float, end_radius: float | None = None
) -> np.ndarray:
    """Distance (N,) to a segment thickened by a radius that changes linearly along it.

    Args:
        points: (3, N) float32.
        start: one end of the segment.
        end: the other end.
        radius: at the start.
        end_radius: at the end; None is the same as at the start.
    """
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
