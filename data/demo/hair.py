"""Hair as solids: a cap that grows from the hairline, and the volumes of each style."""

import math

import numpy as np

from data.demo.shapes import capsule, ellipsoid, intersection, mirrored, smoothstep, union
from data.demo.traits import Identity

SKULL = (0.0, -0.30, -0.20), (0.735, 0.825, 0.865)


def hair_distance(points: np.ndarray, who: Identity) -> np.ndarray | None:
    """Distance (N,) to the hair of `who`, in the head's frame; None for a shaved head."""
    if who.style == "shaved":
        return None
    return _STYLES[who.style](points, mirrored(points), who)


def hairline(points: np.ndarray, low: float = -0.08, recess: float = 0.0) -> np.ndarray:
    """Below 0 where hair grows: above a plane from the forehead to behind the ears, lower at the temples.

    `low` moves it down, `recess` (0 to 0.1) takes it back beside the forehead. Its edge is ragged as hair is.
    """
    x, y, z = points
    side = np.abs(x)
    front = 0.72 * y + 0.69 * z - low
    temple = 0.22 * np.maximum(side - 0.46, 0.0) + recess * np.exp(-(((side - 0.40) / 0.15) ** 2))
    angle = np.arctan2(x, z + 0.3)
    ragged = 0.010 * np.sin(9.0 * angle + 2.0 * np.sin(4.0 * angle)) + 0.004 * np.sin(61.0 * angle)
    return front + temple * (z > -0.4) + ragged


def _cap(points: np.ndarray, thickness: float, low: float = -0.08, recess: float = 0.0) -> np.ndarray:
    """Hair close to the head, thin at the hairline and `thickness` high behind it."""
    line = hairline(points, low, recess)
    skull = ellipsoid(points, *SKULL) - 0.012 - thickness * smoothstep(0.02, -0.34, line)
    nape = ellipsoid(points, (0.0, 0.1, -0.35), (0.68, 0.75, 0.70))
    return intersection(union(skull, nape, 0.2), line, 0.04)


def _crop(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    return _cap(points, 0.05 + 0.07 * who.hair_volume, recess=0.03 + 0.09 * (1.0 - who.softness))


def _sweep(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    side = math.copysign(1.0, who.hair_part)
    high = 0.05 + 0.08 * who.hair_volume
    crest = ellipsoid(points, (0.10 * side, -0.93, 0.14), (0.54, 0.20 + high, 0.46))
    roll = ellipsoid(points, (0.20 * side, -0.84, 0.42), (0.40, 0.12 + high, 0.20))
    return union(_cap(points, 0.03, recess=0.09), union(crest, roll, 0.16), 0.14)


def _fringe(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    cap = _cap(points, 0.05 + 0.03 * who.hair_volume)
    x, y, z = points
    angle = np.arctan2(x, z + 0.3)
    tips = 0.025 * np.sin(13.0 * angle + 3.0 * np.sin(5.0 * angle)) + 0.012 * np.sin(47.0 * angle + np.sin(9.0 * angle))
    edge = y + 0.36 - 0.05 * who.hair_volume - 0.25 * x * x + tips
    shell = ellipsoid(points, (0.0, -0.30, -0.12), (0.75, 0.85, 0.87))
    both = union(cap, intersection(shell, np.maximum(edge, -0.05 - z), 0.04), 0.08)
    return _sides(both, folded, 0.42, 0.10) if who.softness > 0.5 else both


def _bob(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    return _sides(_parted(points, who), folded, 0.80 + 0.15 * who.hair_volume, 0.16)


def _long(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    hanging = _sides(_parted(points, who), folded, 1.5, 0.16 + 0.04 * who.hair_volume)
    lock = capsule(folded, (0.72, 0.5, -0.14), (0.68, 1.75, 0.10), 0.16, 0.15)
    return union(hanging, lock, 0.2)


def _parted(points: np.ndarray, who: Identity) -> np.ndarray:
    """A cap with a parting, from which the hair falls to both sides like curtains."""
    away = np.abs(points[0] - who.hair_part * 0.5)
    groove = 0.03 * np.exp(-((away / 0.035) ** 2)) * (points[2] > -0.6)
    line = hairline(points, -0.03) - 0.55 * np.maximum(away - 0.10, 0.0)
    skull = ellipsoid(points, (0.0, -0.30, -0.20), (0.765, 0.85, 0.885))
    thick = (0.05 + 0.03 * who.hair_volume) * smoothstep(0.03, -0.25, line)
    return intersection(skull - thick, line, 0.06) + groove


def _sides(cap: np.ndarray, folded: np.ndarray, length: float, width: float) -> np.ndarray:
    """Hair that falls beside the face to `length` below the eyes."""
    fall = ellipsoid(folded, (0.71, length * 0.28, -0.17), (width, length * 0.62 + 0.2, 0.40))
    back = ellipsoid(folded, (0.0, length * 0.30, -0.52), (0.72, length * 0.68 + 0.1, 0.38))
    return union(cap, union(fall, back, 0.2), 0.16)


def _tied(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    tail = capsule(points, (0.0, -0.55, -1.0), (math.copysign(0.25, who.hair_part), 0.9, -1.0), 0.18, 0.12)
    return union(_cap(points, 0.03), tail, 0.1)


def _bun(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    radius = 0.22 + 0.05 * who.hair_volume
    knot = ellipsoid(points, (0.0, -1.16, -0.36), (radius * 1.1, radius * 0.9, radius))
    return union(_cap(points, 0.03), knot, 0.06)


def _curls(points: np.ndarray, size: float, height: float) -> np.ndarray:
    """A bumpy surface: three crossed waves."""
    x, y, z = points / size
    waves = np.sin(x + 1.7 * np.sin(0.6 * y)) * np.sin(y + 1.3 * np.sin(0.7 * z)) * np.sin(z + 1.1 * np.sin(0.8 * x))
    return height * waves


def _curly(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    volume = 0.08 + 0.09 * who.hair_volume
    top = ellipsoid(points, (0.0, -0.74, 0.0), (0.70, 0.38 + volume, 0.66))
    both = union(_cap(points, volume, low=-0.05), top, 0.15)
    if who.softness > 0.5:
        both = _sides(both, folded, 0.6, 0.18)
    return both + _curls(points, 0.045, 0.022)


def _afro(points: np.ndarray, folded: np.ndarray, who: Identity) -> np.ndarray:
    radius = 0.93 + 0.14 * who.hair_volume
    globe = ellipsoid(points, (0.0, -0.42, -0.25), (radius, radius * 0.96, radius))
    return intersection(globe, hairline(points, -0.08), 0.20) + _curls(points, 0.028, 0.010)


_STYLES = {
    "crop": _crop, "sweep": _sweep, "fringe": _fringe, "bob": _bob, "long": _long, "tied": _tied, "bun": _bun,
    "curly": _curly, "afro": _afro,
}  # fmt: skip
