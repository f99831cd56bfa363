"""Landmark geometry: warps between landmark sets, regions of the face, masks that fade at their edge."""

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

from common.errors import InputError

LANDMARKS = 68
JAW, BROWS, NOSE, EYES, MOUTH = slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 68)


def check_landmarks(landmarks: np.ndarray, shape: tuple[int, ...], owner: str = "image") -> np.ndarray:
    """The landmarks as (68, 2) float64 (x, y) in pixels.

    Raises InputError unless there are 68 finite points inside an image of `shape` (H, W, ...), of a face at least
    24 pixels wide and high. `owner` names the image in the message.
    """
    points = np.asarray(landmarks, float)
    if points.shape != (LANDMARKS, 2):
        raise InputError(f"the {owner}'s landmarks have shape {points.shape}; expected ({LANDMARKS}, 2) points (x, y)")
    height, width = shape[:2]
    outside = ~((points >= 0) & (points <= [width - 1, height - 1])).all(1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{int(outside.sum())} of the {owner}'s landmarks lie outside its {width}x{height} pixels (the first is "
            f"number {first} at {points[first, 0]:.1f}, {points[first, 1]:.1f}); use a picture with the whole face"
        )
    if np.ptp(points, axis=0).min() < 24:
        raise InputError(f"the {owner}'s landmarks span less than 24 pixels; use a larger picture of the face")
    return points


def face_size(points: np.ndarray) -> float:
    """Height and width of the landmarks' box, averaged, in pixels."""
    return float(np.ptp(points, axis=0).mean())


def piecewise_affine(source: np.ndarray, target: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a target picture comes from: affine within each triangle of the target's landmarks.

    Args:
        source, target: (K, 2) float, the same points in both pictures.
        shape: (H, W) of the target.

    Returns:
        (H, W, 2) float32 source coordinates (x, y), and (H, W) bool where they are defined (the landmarks' hull);
        elsewhere a pixel comes from itself.
    """
    mesh = Delaunay(target)
    grid = _grid(shape)
    box = _box(target, shape)
    pixels = grid[box].reshape(-1, 2).astype(float)
    triangle = mesh.find_simplex(pixels)
    within = triangle >= 0
    chosen = triangle[within]
    edges = mesh.transform[chosen]
    two = np.einsum("nij,nj->ni", edges[:, :2], pixels[within] - edges[:, 2])
    weights = np.column_stack([two, 1.0 - two.sum(1)])
    part = pixels.copy()
    part[within] = np.einsum("nk,nkc->nc", weights, source[mesh.simplices[chosen]])
    defined = np.zeros(shape, bool)
    defined[box] = within.reshape(defined[box].shape)
    grid[box] = part.reshape(grid[box].shape)
    return grid, defined


def smooth_warp(source: np.ndarray, target: np.ndarray, shape: tuple[int, int], step: int = 4) -> np.ndarray:
    """Source coordinates (H, W, 2) float32 of a thin-plate spline that takes each `target` point from `source`.

    Bookstein (1989), with a little smoothing, because landmarks may coincide (closed lips). Points that must not move
    are given as equal in both.

    Args:
        source: (K, 2) float (x, y) in pixels.
        target: (K, 2) float (x, y) in pixels, the same points.
        shape: (H, W) of the target.
        step: the spline is evaluated on every `step`-th pixel and interpolated between.
    """
    rows, columns = (np.arange(0, side + step, step) for side in shape)
    knots = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2).astype(float)
    unit = face_size(target)
    spline = RBFInterpolator(target / unit, source - target, kernel="thin_plate_spline", smoothing=1e-3)
    coarse = spline(knots / unit).reshape(len(rows), len(columns), 2).astype(np.float32)
    grid = _grid(shape)
    return grid + cv2.remap(coarse, grid[..., 0] / step, grid[..., 1] / step, cv2.INTER_LINEAR)


def sample(image: np.ndarray, coordinates: np.ndarray, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
    """The image's values (H, W, C) at coordinates (H, W, 2), as float32."""
    return cv2.remap(
        image.astype(np.float32), coordinates[..., 0], coordinates[..., 1], interpolation,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def hull_mask(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The convex hull of points (K, 2) as (H, W) bool."""
    canvas = np.zeros(shape, np.uint8)
    corners = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(canvas, corners, 1)
    return canvas.astype(bool)


def feather(region: np.ndarray, width: float) -> np.ndarray:
    """Opacity (H, W) float32 that rises smoothly from 0 at the region's edge to 1 `width` pixels inside it."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    rise = np.clip(depth / max(width, 1e-6), 0.0, 1.0)
    return (rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)


def _grid(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.stack([x, y], -1).astype(np.float32)


def _box(points: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    low = np.floor(points.min(0)).astype(int)
    high = np.ceil(points.max(0)).astype(int) + 1
    return slice(max(low[1], 0), min(high[1], shape[0])), slice(max(low[0], 0), min(high[0], shape[1]))
