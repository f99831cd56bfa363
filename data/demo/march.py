"""Finding what each pixel sees: cone marching of a signed distance from coarse to fine.

A coarse ray stops as soon as its cone may touch something, so the finer rays can safely start there. Sphere
tracing: Hart (1996).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import cv2
import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]
CHUNK = 16384  # points whose intermediate arrays stay in the processor's cache


@dataclass(frozen=True)
class Viewpoint:
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


@dataclass(frozen=True, eq=False)
class Seen:
    """What the pixels of a (side, side) picture see: depth along the ray (infinite for nothing), unit normal
    (3, side, side), and the number of the nearest solid."""

    depth: np.ndarray
    normal: np.ndarray
    material: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        """Where something is seen, (side, side) bool."""
        return np.isfinite(self.depth)


def view_solids(solids: Sequence[Distance], view: Viewpoint, size: int, levels: int = 4) -> Seen:
    """What each pixel sees of several solids.

    Half the size is traced in full. Of the whole size only the pixels at edges are traced, where depth or material
    changes; between, depth and normal are interpolated.

    Args:
        solids: their signed distances; a pixel's material is an index of these, or their number for nothing.
        view: the camera.
        size: the side of the picture in pixels, a multiple of 2 to the power of `levels` - 1.
        levels: how many sizes, each half of the next, there are.
    """
    nearest = partial(_nearest, solids)
    half = size // 2
    depth = np.full((size >> (levels - 1),) * 2, view.distance - 2.5, np.float32)
    for level in range(levels - 1):
        side = size >> (levels - 1 - level)
        depth = depth if level == 0 else depth.repeat(2, 0).repeat(2, 1)
        depth = _advance(nearest, view, depth, 0.1 if side == half else 0.75, 60 if level == 0 else 24)
    coarse = _examine(solids, view, depth, np.isfinite(depth))
    edge = _edges(coarse).repeat(2, 0).repeat(2, 1)
    start = cv2.erode(_finite(depth, view), np.ones((3, 3), np.uint8)).repeat(2, 0).repeat(2, 1)
    traced = _advance(nearest, view, np.where(edge, start - 0.03, np.inf).astype(np.float32), 0.25, 40)
    exact = _examine(solids, view, traced, edge & np.isfinite(traced))
    return Seen(
        np.where(
            edge, traced, np.where(np.isfinite(depth).repeat(2, 0).repeat(2, 1), _double(_finite(depth, view)), np.inf)
        ),
        np.where(edge, exact.normal, np.stack([_double(part) for part in coarse.normal])),
        np.where(edge, exact.material, coarse.material.repeat(2, 0).repeat(2, 1)),
    )


def _nearest(solids: Sequence[Distance], points: np.ndarray) -> np.ndarray:
    return reduce(np.minimum, [solid(points) for solid in solids])


def _finite(depth: np.ndarray, view: Viewpoint) -> np.ndarray:
    return np.where(np.isfinite(depth), depth, view.distance + 2.5).astype(np.float32)


def _double(values: np.ndarray) -> np.ndarray:
    side = 2 * values.shape[0]
    return np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR))


def _edges(seen: Seen) -> np.ndarray:
    """Where neighbours differ in depth, direction or material, (side, side) bool."""
    around = np.ones((3, 3), np.uint8)
    depth = np.where(np.isfinite(seen.depth), seen.depth, 1e3).astype(np.float32)
    material = seen.material.astype(np.uint8)
    steps = cv2.dilate(depth, around) - cv2.erode(depth, around) > 0.06
    turns = sum(cv2.dilate(part, around) - cv2.erode(part, around) for part in seen.normal) > 1.0
    return steps | turns | (cv2.dilate(material, around) != cv2.erode(material, around))


def _examine(solids: Sequence[Distance], view: Viewpoint, depth: np.ndarray, where: np.ndarray) -> Seen:
    """Normals and materials of the pixels `where` (side, side) something was hit."""
    normal = np.zeros((3, *depth.shape), np.float32)
    material = np.full(depth.shape, len(solids))
    points = view.points(view.rays(depth.shape[0])[:, where.ravel()], depth[where])
    gaps = np.stack([evaluate(solid, points) for solid in solids])
    chosen = np.argmin(gaps, axis=0)
    directions = np.zeros_like(points)
    for number, solid in enumerate(solids):
        mine = chosen == number
        if mine.any():
            directions[:, mine] = normals(solid, points[:, mine])
    normal[:, where], material[where] = directions, chosen
    return Seen(depth, normal, material)


def _advance(distance: Distance, view: Viewpoint, depth: np.ndarray, slope: float, steps: int) -> np.ndarray:
    """Moves each ray on from `depth` until a surface is within `slope` pixels; infinite where it meets none."""
    side = depth.shape[0]
    rays, depth = view.rays(side), depth.ravel().copy()
    active = np.flatnonzero(np.isfinite(depth))
    farthest, pixel = view.distance + 2.5, slope * 2.0 * view.half / view.distance / side
    for _ in range(steps):
        if not active.size:
            break
        here = depth[active]
        gap = evaluate(distance, view.points(rays[:, active], here))
        moving = np.abs(gap) > pixel * here
        here = here + np.where(moving, 0.9 * gap, 0.0)
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


def occlusion(solids: Sequence[Distance], points: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Openness (N,) in [0, 1]: how free the space along the normal is (Evans, 2006)."""
    nearest = partial(_nearest, solids)
    blocked = np.zeros(points.shape[1], np.float32)
    for reach, weight in ((0.03, 1.5), (0.07, 1.0), (0.15, 0.75), (0.28, 0.55)):
        blocked += weight * np.maximum(reach - evaluate(nearest, points + reach * outward), 0.0) / reach
    return np.clip(1.0 - 0.36 * blocked, 0.0, 1.0)


def shadow(
    solids: Sequence[Distance], points: np.ndarray, light: np.ndarray, outward: np.ndarray, sharpness: float = 7.0
) -> np.ndarray:
    """Light (N,) in [0, 1] that reaches points from one direction, with a soft edge (Quilez, 2010).

    Args:
        solids: the signed distances of what may be in the way.
        points: (3, N), a little off the surface.
        light: (3, 1), the unit direction to the light.
        outward: (3, N), the unit normals at the points.
        sharpness: above 0; the higher, the harder the shadow's edge.
    """
    nearest = partial(_nearest, solids)
    lit = np.ones(points.shape[1], np.float32)
    facing = np.flatnonzero((outward * light).sum(0) > -0.35)  # the others get no key light anyway
    along = 0.05
    for _ in range(13):
        gap = evaluate(nearest, points[:, facing] + along * light)
        lit[facing] = np.minimum(lit[facing], 0.5 + 0.5 * sharpness * gap / along)
        facing = facing[lit[facing] > 0.0]
        along *= 1.28
    lit = np.clip(lit, 0.0, 1.0)
    return lit * lit * (3.0 - 2.0 * lit)
