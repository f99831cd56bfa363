"""The colour and gloss of skin, eyes, brows, lips and beard at points of the face.

Features are drawn from the same curves as the landmarks, in the frontal plane of the head's frame.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from data.demo.head import Person
from data.demo.shapes import smoothstep
from data.demo.traits import Colour, Light

EDGE = 0.007  # width in head units over which a painted edge goes from 0 to 1


@dataclass
class Surface:
    """What shading needs at N points: linear albedo (3, N), normal (3, N), gloss (N,), shininess (N,), flesh (N,).

    `flesh` is 1 where light scatters under the surface (skin) and 0 elsewhere.
    """

    albedo: np.ndarray
    normal: np.ndarray
    gloss: np.ndarray
    shininess: np.ndarray
    flesh: np.ndarray

    def lay(self, weight: np.ndarray, colour: np.ndarray, gloss: float | None = None, shininess: float = 40.0) -> None:
        """Paints a colour over the surface.

        Args:
            weight: (N,) opacity in [0, 1].
            colour: (3, N) or (3, 1), linear.
            gloss: of the paint; None leaves gloss and shininess as they are.
            shininess: of the paint, where it has a gloss.
        """
        self.albedo += weight * (colour - self.albedo)
        if gloss is not None:
            self.gloss += weight * (gloss - self.gloss)
            self.shininess += weight * (shininess - self.shininess)


def linear(colour: Colour | np.ndarray) -> np.ndarray:
    """An sRGB colour as linear light, (3, 1) float32."""
    return (np.asarray(colour, np.float32) ** 2.2).reshape(3, 1)


class Texture:
    """Seeded noise, (512, 512) float32 of zero mean and unit deviation in three grains, that repeats at its edges."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((512, 512), dtype=np.float32)
        self.fine = _grain(white, 0.8)
        self.medium = _grain(white[::-1], 3.0)
        self.coarse = _grain(white[:, ::-1], 14.0)

    @staticmethod
    @lru_cache(maxsize=16)
    def of(seed: int) -> "Texture":
        """The texture of a seed, kept for the next picture of the same person."""
        return Texture(seed)

    @staticmethod
    def at(grain: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The noise (N,) at texture coordinates in units of one repeat."""
        rows = -(-len(u) // 1024)  # remap takes pictures, not lists
        maps = np.zeros((2, rows * 1024), np.float32)
        maps[0, : len(u)], maps[1, : len(u)] = np.mod(u, 1.0) * 512.0, np.mod(v, 1.0) * 512.0
        x, y = maps.reshape(2, rows, 1024)
        return cv2.remap(grain, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).ravel()[: len(u)]


def _grain(white: np.ndarray, sigma: float) -> np.ndarray:
    edge = int(4 * sigma) + 1
    wide = np.pad(white, edge, mode="wrap")
    soft = cv2.GaussianBlur(wide, (0, 0), sigma)[edge:-edge, edge:-edge]
    return (soft - soft.mean()) / soft.std()


def paint_skin(person: Person, texture: Texture, points: np.ndarray, normal: np.ndarray, light: Light) -> Surface:
    """The skin with everything on it.

    Args:
        person: whose face it is.
        texture: the person's.
        points: (3, N) in the head's frame.
        normal: (3, N) unit normals there, in the same frame.
        light: places the glint in the eyes.
    """
    who = person.who
    x, y, z = points
    u, v = np.arctan2(x, z + 0.4) * 0.55, y * 0.5
    fine, medium = texture.at(texture.fine, u, v), texture.at(texture.medium, u, v)
    coarse = texture.at(texture.coarse, u, v)
    count = points.shape[1]
    albedo = linear(who.skin) * (1.0 + 0.035 * fine + 0.025 * medium + 0.03 * coarse)
    gloss = np.full(count, 0.16, np.float32) * (1.0 + 0.12 * fine)
    surface = Surface(albedo, normal.copy(), gloss, np.full(count, 22.0, np.float32), np.ones(count, np.float32))
    front = smoothstep(0.15, 0.4, z) * (y < 1.6)
    _blush(surface, person, points, front, fine, medium)
    if who.beard > 0:
        _beard(surface, person, points, front, fine, texture.at(texture.medium, u * 3.1, v))
    _lips(surface, person, x, y, front, fine)
    _nostrils(surface, person, x, y, front)
    _eyes(surface, person, x, y, front, texture, light)
    _brows(surface, person, x, y, front, texture)
    return surface


def _spot(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    return np.exp(-(((x - centre[0]) / radii[0]) ** 2) - ((y - centre[1]) / radii[1]) ** 2)


def _blush(
    surface: Surface, person: Person, points: np.ndarray, front: np.ndarray, fine: np.ndarray, medium: np.ndarray
) -> None:
    who, face = person.who, person.face
    x, y = np.abs(points[0]), points[1]
    base = linear(who.skin)
    rosy = base * np.array([[1.06], [0.74], [0.72]], np.float32)
    cheeks = _spot(x, y, (0.38, 0.33), (0.20, 0.16)) + 0.7 * _spot(x, y, (0.0, face.nose_y - 0.06), (0.12, 0.10))
    surface.lay(front * np.clip(cheeks, 0, 1) * (0.35 + 0.4 * who.blush), rosy)
    surface.lay(smoothstep(0.70, 0.78, x) * smoothstep(0.5, 0.3, np.abs(y - 0.05)) * 0.4, rosy)  # ears
    shade = _spot(x, y, (face.eye.x, 0.10), (0.17, 0.05)) * 0.25
    surface.lay(front * shade, base * np.array([[0.80], [0.66], [0.68]], np.float32))
    if who.freckles:
        where = np.clip(_spot(x, y, (0.22, 0.25), (0.30, 0.14)) * 1.2, 0, 1)
        dots = smoothstep(1.25, 1.9, medium + 0.35 * fine) * where * who.freckles
        surface.lay(front * 0.6 * dots, base * np.array([[0.66], [0.45], [0.36]], np.float32))


def _beard(
    surface: Surface, person: Person, points: np.ndarray, front: np.ndarray, fine: np.ndarray, strands: np.ndarray
) -> None:
    who, face = person.who, person.face
    x, y, z = points
    side, mouth = np.abs(x), face.mouth
    edge = 0.05 * strands * 0.4
    line = 0.30 + 0.42 * smoothstep(0.62, 0.10, side)  # sideburn down to beside the mouth
    cheeks = smoothstep(-0.03, 0.07, y - line + edge) * smoothstep(0.0, 0.12, y - 0.12)
    under = smoothstep(1.38, 1.16, y + 0.25 * (z < 0.2))
    chin = _oval(x, y, 0.0, face.chin - 0.10, 0.24, 0.24, 0.10)
    droop = np.clip(side / mouth.width, 0.0, 1.3)
    top = face.nose_y + 0.075 + 0.06 * droop**2 + 0.02 * strands * 0.4
    bottom = mouth.outer_upper(np.clip(x / mouth.width, -1, 1)) + 0.012 + 0.10 * smoothstep(0.85, 1.15, droop)
    moustache = smoothstep(-0.012, 0.03, y - top) * smoothstep(0.012, -0.012, y - bottom) * smoothstep(1.22, 1.0, droop)
    shape = (np.maximum(cheeks * under, moustache), np.maximum(chin, moustache), np.maximum(cheeks * under, moustache))
    density = (0.92, 0.92, 0.38)[who.beard_shape] * who.beard
    speckle = np.clip(0.82 + 0.16 * fine + 0.12 * strands, 0.0, 1.0)
    weight = np.clip(shape[who.beard_shape], 0, 1) * density * speckle * smoothstep(-0.25, 0.0, z)
    hair = linear(who.hair) * 0.75 * (1.0 + 0.22 * strands)
    surface.lay(weight, np.clip(hair, 0, 1), 0.05)
    surface.flesh *= 1.0 - 0.8 * weight


def _oval(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float, edge: float) -> np.ndarray:
    return smoothstep(1.0 + edge, 1.0 - edge, np.hypot((x - cx) / rx, (y - cy) / ry))


def _lips(surface: Surface, person: Person, x: np.ndarray, y: np.ndarray, front: np.ndarray, fine: np.ndarray) -> None:
    who, mouth = person.who, person.face.mouth
    s = np.clip(x / mouth.width, -1.0, 1.0)
    inside = front * smoothstep(1.02, 0.97, np.abs(x / mouth.width))
    top, bottom = mouth.outer_upper(s), mouth.outer_lower(s)
    soft = 0.016 - 0.006 * who.makeup
    lips = inside * smoothstep(-soft, soft, y - top) * smoothstep(-soft, soft, bottom - y)
    groove = 1.0 + 0.05 * fine
    colour = linear(who.lip) * groove
    upper = smoothstep(0.01, -0.01, y - mouth.line(s))
    surface.lay(lips * 0.9, colour * (1.0 - 0.14 * upper), 0.30 + 0.25 * who.makeup, 45.0)
    high, low = mouth.inner_upper(s), mouth.inner_lower(s)
    gap = mouth.gap_up + mouth.gap_down
    crease = np.exp(-(((y - 0.5 * (high + low)) / (0.008 + 0.5 * (low - high))) ** 2)) * inside
    surface.lay(crease * 0.75 * smoothstep(1.0, 0.88, np.abs(s)), linear(who.lip) * 0.22, 0.1)
    if gap > 0.02:
        _cavity(surface, x, y, s, high, low, inside, gap)


def _cavity(
    surface: Surface, x: np.ndarray, y: np.ndarray, s: np.ndarray, high: np.ndarray, low: np.ndarray,
    inside: np.ndarray, gap: float,
) -> None:  # fmt: skip
    opened = inside * smoothstep(-EDGE, EDGE, y - high) * smoothstep(-EDGE, EDGE, low - y)
    opened = opened * smoothstep(0.9, 0.8, np.abs(s))
    surface.lay(opened, linear((0.20, 0.06, 0.06)), 0.05)
    below = y - high
    edge = high.min() + min(0.55 * gap, 0.07) + 0.03 * s * s  # the teeth's lower ends form a line of their own
    teeth = opened * smoothstep(0.006, -0.004, y - edge)
    parts = 1.0 - 0.10 * np.exp(-(((np.mod(x / 0.058 + 0.5, 1.0) - 0.5) / 0.10) ** 2))
    shade = (0.55 + 0.45 * smoothstep(0.0, 0.03, below)) * (1.0 - 0.5 * s * s)
    surface.lay(teeth, linear((0.93, 0.90, 0.85)) * parts * shade, 0.3, 60.0)
    tongue = opened * smoothstep(0.55, 1.0, below / max(gap, 0.05)) * smoothstep(0.6, 0.3, np.abs(s))
    surface.lay(tongue * 0.8, linear((0.62, 0.26, 0.26)), 0.2)
    surface.flesh *= 1.0 - opened
    surface.normal[2] += 2.0 * opened  # teeth and tongue face forward, not along the hollow
    surface.normal /= np.sqrt((surface.normal**2).sum(0))


def _nostrils(surface: Surface, person: Person, x: np.ndarray, y: np.ndarray, front: np.ndarray) -> None:
    face = person.face
    spot = _spot(np.abs(x), y, (face.nose_width * 0.45, face.nose_y + 0.012), (0.034, 0.020))
    surface.lay(front * np.clip(1.15 * spot, 0, 0.85), linear(person.who.skin) * 0.16)


def _eyes(
    surface: Surface, person: Person, x: np.ndarray, y: np.ndarray, front: np.ndarray, texture: Texture, light: Light
) -> None:
    who, eye = person.who, person.face.eye
    side, folded = np.sign(x), np.abs(x)
    near = front * (np.abs(folded - eye.x) < 2.0 * eye.width) * (np.abs(y) < 0.3)
    s, down = eye.to_local(folded, y)
    clipped = np.clip(s, -1.0, 1.0)
    top, bottom = eye.upper_lid(clipped), eye.lower_lid(clipped)
    within = near * smoothstep(1.03, 0.97, np.abs(s))
    _lids(surface, person, s, down, top, bottom, near)
    opened = within * smoothstep(-EDGE, EDGE, down - top) * smoothstep(-EDGE, EDGE, bottom - down)
    _eyeball(surface, person, x, y, s, down - top, opened, side, texture, light)
    lash = within * np.exp(-(((down - top + 0.006) / (0.012 + 0.007 * who.makeup * (0.5 + 0.5 * clipped))) ** 2))
    wing = near * who.makeup * np.exp(-(((down + 0.02 + 0.55 * (s - 1.0) * eye.width) / 0.012) ** 2))
    wing = wing * smoothstep(0.88, 1.0, s) * smoothstep(1.22, 1.08, s)
    surface.lay(np.clip(lash * 1.05 + 0.8 * wing, 0, 0.95), linear((0.075, 0.05, 0.045)), 0.05)
    lower = within * np.exp(-(((down - bottom - 0.006) / 0.008) ** 2)) * smoothstep(-0.9, 0.4, s)
    surface.lay(lower * (0.32 + 0.25 * who.makeup), linear((0.16, 0.09, 0.08)), 0.05)


def _lids(
    surface: Surface, person: Person, s: np.ndarray, down: np.ndarray, top: np.ndarray, bottom: np.ndarray,
    near: np.ndarray,
) -> None:  # fmt: skip
    who = person.who
    base = linear(who.skin)
    crease_at = top - 0.036 - 0.02 * np.clip(1.0 - s * s, 0, 1)
    crease = np.exp(-(((down - crease_at) / 0.011) ** 2)) * smoothstep(1.12, 0.7, np.abs(s))
    surface.lay(near * crease * 0.42, base * np.array([[0.50], [0.36], [0.33]], np.float32))
    lid = smoothstep(-0.015, 0.01, down - crease_at) * smoothstep(0.0, -0.01, down - top) * (np.abs(s) < 1.15)
    shade = base * np.array([[0.84], [0.70], [0.69]], np.float32)
    surface.lay(near * lid * (0.35 + 0.45 * who.makeup) * smoothstep(1.15, 0.9, np.abs(s)), shade)
    rim = np.exp(-(((down - bottom - 0.002) / 0.009) ** 2)) * (np.abs(s) < 0.98)
    surface.lay(near * rim * 0.4, base * np.array([[1.1], [0.82], [0.80]], np.float32), 0.4, 60.0)


def _eyeball(
    surface: Surface, person: Person, x: np.ndarray, y: np.ndarray, s: np.ndarray, under: np.ndarray,
    opened: np.ndarray, side: np.ndarray, texture: Texture, light: Light,
) -> None:  # fmt: skip
    who, eye, gaze = person.who, person.face.eye, person.how.gaze
    dx, dy = x - side * eye.x - 0.05 * gaze[0], y - 0.004 - 0.03 * gaze[1]
    radius, angle = np.hypot(dx, dy) / who.iris_radius, np.arctan2(dy, dx)
    white = linear((0.87, 0.855, 0.845)) * (1.0 - 0.22 * s * s)
    ball = np.broadcast_to(white, surface.albedo.shape).copy()
    corner = smoothstep(-0.80, -0.98, s)
    ball += 0.75 * corner * (linear((0.80, 0.48, 0.44)) - ball)
    rays = texture.at(texture.medium, angle / (2 * np.pi) * 1.0 + 0.31, radius * 0.02)
    iris = linear(who.iris) * (0.85 + 0.75 * smoothstep(-0.5, 1.0, dy / who.iris_radius) + 0.16 * rays)
    iris = iris * (1.0 - 0.72 * smoothstep(0.74, 1.0, radius)) * (0.62 + 0.5 * smoothstep(0.35, 0.6, radius))
    edge = EDGE / who.iris_radius
    ball += smoothstep(1.0 + edge, 1.0 - 1.5 * edge, radius) * (np.clip(iris, 0, 1) - ball)
    ball += smoothstep(0.42 + edge, 0.42 - edge, radius) * (0.004 - ball)
    ball *= 0.34 + 0.66 * smoothstep(-0.01, 0.062, under)  # the upper lid's shadow
    surface.albedo += opened * (ball - surface.albedo)
    surface.flesh *= 1.0 - opened
    surface.gloss += opened * (0.12 - surface.gloss)
    bulge = np.stack([(x - side * eye.x) / 0.30, y / 0.30, np.ones_like(x)])
    bulge /= np.sqrt((bulge * bulge).sum(0))
    surface.normal += opened * (bulge - surface.normal)
    spot = np.hypot(dx - 0.032 * math.copysign(1.0, light.azimuth), dy + 0.034) / 0.024
    glint = opened * smoothstep(1.25, 0.75, spot) + 0.28 * opened * smoothstep(1.3, 0.7, np.hypot(
        dx + 0.036 * math.copysign(1.0, light.azimuth), dy - 0.036) / 0.018)  # fmt: skip
    surface.albedo += glint * (1.25 - surface.albedo)


def _brows(surface: Surface, person: Person, x: np.ndarray, y: np.ndarray, front: np.ndarray, texture: Texture) -> None:
    who, brow = person.who, person.face.brow
    s = (np.abs(x) - brow.x) / brow.width
    offset = y - brow.line(np.clip(s, -1.2, 1.2))
    half = brow.half(np.clip(s, -1.0, 1.0))
    lean = s * 2.0 + offset / brow.weight * 0.35  # hairs lean outwards
    hairs = texture.at(texture.fine, lean * 0.085 + 0.2 * (x > 0), offset * 0.12)
    soft = 0.55 * half + 0.012
    body = smoothstep(half + soft * 0.4, half - soft * 0.8, np.abs(offset) + 0.006 * hairs)
    ends = smoothstep(-1.06, -0.78, s) * smoothstep(1.12, 0.7, s)
    colour = linear(np.clip(np.array(who.hair) * 0.72 + 0.02, 0, 0.55))
    surface.lay(front * np.clip(body * ends * (0.80 + 0.12 * hairs), 0, 0.92), colour, 0.04)
