"""Finding what each pixel sees: cone marching of a signed distance from coarse to fine.

A coarse ray stops as soon as its cone may touch something, so the finer rays can safely start there. Sphere
tracing: Hart (1996).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]
CHUNK = 16384  # points whose intermediate arrays stay in the processor's cache


@dataclass(frozen=True)
class View:
    """A pinhole camera on the z axis at `distance`, looking at the origin plus `centre`; `half` is the half height
    of what it sees there, in head units."""

    distance: float
    half: float
    centre: tuple[float, float]

    def rays(self, size: int) -> np.ndarray:
        """Unit directions (3, size * size) through the pixels' centres, row by row."""
        grid = (np.arange(size, dtype=np.float32) + 0.5) / size * 2.0 - 1.0
        x, y = np.meshgrid(grid * self.half + self.centre[0], grid * self.half + self.centre[1])
        rays = np.stack([x.ravel(), y.ravel(), np.full(size * size, -self.distance, np.float32)])
        return (rays / np.sqrt((rays * rays).sum(0))).astype(np.float32)

    def points(self, rays: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """World points (3, N) at `depths` along `rays`."""
        points = rays * depths
        points[2] += self.distance
        return points

    def project(self, points: np.ndarray, size: int) -> np.ndarray:
        """Pixel coordinates (N, 2) of world points (N, 3); a pixel's centre has whole coordinates."""
        plane = points[:, :2] * (self.distance / (self.distance - points[:, 2:3]))
        return ((plane - np.array(self.centre)) / self.half + 1.0) * (size / 2) - 0.5


def march(distance: Distance, view: View, size: int, levels: int = 4, nearest: float = 5.0) -> np.ndarray:
    """Depth (size, size) float32 along each pixel's ray to the first surface; infinite where there is none."""
    depth = np.full((size >> (levels - 1),) * 2, nearest, np.float32)
    for level in range(levels):
        side = size >> (levels - 1 - level)
        if level:
            depth = depth.repeat(2, 0).repeat(2, 1)
        last = level == levels - 1
        pixel = 2.0 * view.half / view.distance / side
        depth = _advance(distance, view, side, depth, 0.25 * pixel if last else 0.75 * pixel, 60 if level == 0 else 24)
    return depth


def _advance(distance: Distance, view: View, side: int, depth: np.ndarray, slope: float, steps: int) -> np.ndarray:
    rays, depth = view.rays(side), depth.ravel().copy()
    active = np.flatnonzero(np.isfinite(depth))
    farthest = view.distance + 2.5
    for _ in range(steps):
        if not active.size:
            break
        here = depth[active]
        gap = evaluate(distance, view.points(rays[:, active], here))
        moving = gap > slope * here
        here = here + np.where(moving, 0.85 * gap, 0.0)
        gone = here > farthest
        depth[active] = np.where(gone, np.inf, here)
        active = active[moving & ~gone]
    return depth.reshape(side, side)


def evaluate(distance: Distance, points: np.ndarray) -> np.ndarray:
    """`distance` at points (3, N), in pieces that fit the cache."""
    if points.shape[1] <= CHUNK:
        return distance(points)
    pieces = range(0, points.shape[1], CHUNK)
    return np.concatenate([distance(points[:, start : start + CHUNK]) for start in pieces])


def normals(distance: Distance, points: np.ndarray, step: float = 0.004) -> np.ndarray:
    """Unit normals (3, N) by differences over a tetrahedron."""
    total = np.zeros_like(points)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        way = np.array(corner, np.float32)[:, None]
        total += way * evaluate(distance, points + step * way)
    return total / (np.sqrt((total * total).sum(0)) + 1e-9)


def occlusion(distance: Distance, points: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Openness (N,) in [0, 1]: how free the space along the normal is (Evans, 2006)."""
    blocked = np.zeros(points.shape[1], np.float32)
    for reach, weight in ((0.03, 1.5), (0.07, 1.0), (0.15, 0.75), (0.28, 0.55)):
        blocked += weight * np.maximum(reach - evaluate(distance, points + reach * outward), 0.0) / reach
    return np.clip(1.0 - 0.36 * blocked, 0.0, 1.0)


def shadow(distance: Distance, points: np.ndarray, light: np.ndarray, sharpness: float = 7.0) -> np.ndarray:
    """Light (N,) in [0, 1] that reaches points from direction `light` (3, 1), with a soft edge (Quilez, 2010)."""
    lit = np.ones(points.shape[1], np.float32)
    along = 0.05
    for _ in range(13):
        gap = evaluate(distance, points + along * light)
        lit = np.minimum(lit, 0.5 + 0.5 * sharpness * gap / along)
        along *= 1.28
    lit = np.clip(lit, 0.0, 1.0)
    return lit * lit * (3.0 - 2.0 * lit)
