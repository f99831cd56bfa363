"""Hair as solids: a cap cut at the hairline, and the volumes of each style."""

import math

import numpy as np

from data.demo.shapes import capsule, ellipsoid, intersection, mirrored, union
from data.demo.traits import Identity


def hair_distance(points: np.ndarray, who: Identity) -> np.ndarray | None:
    """Distance (N,) to the hair of `who`, in the head's frame; None for a shaved head."""
    if who.style == "shaved":
        return None
    return _STYLES[who.style](points, mirrored(points), who)


def hairline(points: np.ndarray, low: float = -0.06, recess: float = 0.0) -> np.ndarray:
    """Below 0 where hair grows: above a plane from the forehead to behind the ears, rounded at the temples."""
    x, y, z = points
    side = np.abs(x)
    front = 0.72 * y + 0.69 * z - low
    temple = 0.30 * np.maximum(side - 0.42, 0.0) - recess * np.exp(-(((side - 0.36) / 0.13) ** 2))
    return front + temple * (z > -0.4)


def _cap(points: np.ndarray, thickness: float, low: float = -0.06, recess: float = 0.0) -> np.ndarray:
    skull = ellipsoid(points, (0.0, -0.30, -0.20), (0.765, 0.845, 0.885)) - thickness
    nape = ellipsoid(points, (0.0, 0.1, -0.35), (0.68, 0.75, 0.70))
    return intersection(union(skull, nape, 0.2), hairline(points, low, recess), 0.05 + 0.5 * thickness)


def _crop(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    volume = 0.03 + 0.05 * who.hair_volume
    top = ellipsoid(points, (0.0, -0.82, -0.02), (0.60, 0.34 + volume, 0.66))
    cap = _cap(points, 0.012, recess=-0.05 * (1.0 - who.softness))
    return union(cap, intersection(top, hairline(points, -0.05), 0.1), 0.1)


def _sweep(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    side = math.copysign(1.0, who.hair_part)
    volume = 0.05 + 0.09 * who.hair_volume
    crest = ellipsoid(points, (0.13 * side, -0.90, 0.20), (0.56, 0.22 + volume, 0.46))
    roll = ellipsoid(points, (0.22 * side, -0.84, 0.44), (0.44, 0.15 + volume, 0.24))
    return union(_cap(points, 0.018, recess=-0.04), union(crest, roll, 0.15), 0.12)


def _fringe(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    cap = _cap(points, 0.05 + 0.03 * who.hair_volume, low=-0.02)
    x, y, z = points
    front = intersection(
        ellipsoid(points, (0.0, -0.30, -0.10), (0.76, 0.85, 0.89)),
        np.maximum(y + 0.40 + 0.06 * np.cos(3.0 * x), 0.1 - z),
        0.05,
    )
    both = union(cap, front, 0.08)
    return _sides(both, folded, 0.42, 0.10) if who.softness > 0.5 else both


def _bob(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    return _sides(_parted(points, who), folded, 0.80 + 0.15 * who.hair_volume, 0.16)


def _long(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    hanging = _sides(_parted(points, who), folded, 1.5, 0.16 + 0.04 * who.hair_volume)
    lock = capsule(folded, (0.70, 0.5, -0.14), (0.66, 1.75, 0.10), 0.16, 0.15)
    return union(hanging, lock, 0.2)


def _parted(points: np.ndarray, who: Identity) -> np.ndarray:
    """A cap with a parting: two swept volumes that start at the parting line."""
    x = points[0] - who.hair_part * 0.5
    groove = 0.035 * np.exp(-((x / 0.035) ** 2)) * (points[2] > -0.6)
    sweep = -0.30 * np.minimum(np.abs(x), 0.5) + 0.10  # the hairline falls away from the parting
    skull = ellipsoid(points, (0.0, -0.30, -0.20), (0.80, 0.87, 0.905)) - 0.03 - 0.03 * who.hair_volume
    return intersection(skull, hairline(points, -0.04) + 0.25 * sweep, 0.1) + groove


def _sides(cap: np.ndarray, folded: np.ndarray, length: float, width: float) -> np.ndarray:
    """Hair that falls beside the face to `length` below the eyes."""
    fall = ellipsoid(folded, (0.70, length * 0.28, -0.16), (width, length * 0.62 + 0.2, 0.42))
    back = ellipsoid(folded, (0.0, length * 0.30, -0.52), (0.72, length * 0.68 + 0.1, 0.38))
    return union(cap, union(fall, back, 0.2), 0.16)


def _tied(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    tail = capsule(points, (0.0, -0.55, -1.0), (0.25 * math.copysign(1.0, who.hair_part), 0.9, -1.0), 0.18, 0.12)
    return union(_cap(points, 0.02), tail, 0.1)


def _bun(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    radius = 0.24 + 0.06 * who.hair_volume
    knot = ellipsoid(points, (0.0, -1.22, -0.30), (radius * 1.1, radius * 0.9, radius))
    return union(_cap(points, 0.022), knot, 0.06)


def _curls(points: np.ndarray, size: float, height: float) -> np.ndarray:
    """A bumpy surface: three crossed waves."""
    x, y, z = points / size
    waves = np.sin(x + 1.7 * np.sin(0.6 * y)) * np.sin(y + 1.3 * np.sin(0.7 * z)) * np.sin(z + 1.1 * np.sin(0.8 * x))
    return height * waves


def _curly(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    volume = 0.10 + 0.10 * who.hair_volume
    cap = _cap(points, volume * 0.55, low=-0.05)
    top = ellipsoid(points, (0.0, -0.72, 0.02), (0.74, 0.42 + volume, 0.70))
    both = union(cap, top, 0.15)
    if who.softness > 0.5:
        both = _sides(both, folded, 0.6, 0.2)
    return both + _curls(points, 0.055, 0.03)


def _afro(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    radius = 0.98 + 0.14 * who.hair_volume
    globe = ellipsoid(points, (0.0, -0.42, -0.25), (radius, radius * 0.96, radius))
    return intersection(globe, hairline(points, -0.08), 0.16) + _curls(points, 0.035, 0.014)


_STYLES = {
    "crop": _crop, "sweep": _sweep, "fringe": _fringe, "bob": _bob, "long": _long, "tied": _tied, "bun": _bun,
    "curly": _curly, "afro": _afro,
}  # fmt: skip
