"""Where a face's features lie: curves of lids, brows and lips in the frontal plane, and the 68 landmarks.

Everything that draws a feature, and everything that names its landmarks, reads these same curves, so the landmarks
are right by construction. Order and meaning of the 68 points: iBUG 300-W (Sagonas et al., 2013), as dlib uses them.
"""

import math
from dataclasses import dataclass

import numpy as np

from data.demo.traits import Expression, Identity


@dataclass(frozen=True)
class Mouth:
    """Lip contours y(s) over s = (x - 0) / width in [-1, 1]."""

    y: float
    width: float
    curve: float
    gap_up: float
    gap_down: float
    upper: float
    lower: float

    def line(self, s: np.ndarray) -> np.ndarray:
        """Where closed lips would meet."""
        return self.y + self.curve * (0.35 - s * s) + 0.006 * np.exp(-((s / 0.2) ** 2))

    def inner_upper(self, s: np.ndarray) -> np.ndarray:
        return self.line(s) - self.gap_up * _dome(s / 0.86, 0.8)

    def inner_lower(self, s: np.ndarray) -> np.ndarray:
        return self.line(s) + self.gap_down * _dome(s / 0.86, 0.8)

    def outer_upper(self, s: np.ndarray) -> np.ndarray:
        bow = 1.0 + 0.16 * np.exp(-(((np.abs(s) - 0.2) / 0.14) ** 2)) - 0.1 * np.exp(-((s / 0.1) ** 2))
        return self.inner_upper(s) - self.upper * _dome(s, 0.75) * bow

    def outer_lower(self, s: np.ndarray) -> np.ndarray:
        return self.inner_lower(s) + self.lower * _dome(s, 0.62)


@dataclass(frozen=True)
class Eye:
    """Lid contours in an eye's own frame: s along the eye from -1 (inner) to 1 (outer corner), y down."""

    x: float
    width: float
    upper: float
    lower: float
    tilt: float

    def upper_lid(self, s: np.ndarray) -> np.ndarray:
        return -self.upper * _dome(s, 0.62) * (1.0 - 0.10 * s)

    def lower_lid(self, s: np.ndarray) -> np.ndarray:
        return self.lower * _dome(s, 0.75) * (1.0 + 0.18 * s)

    def to_local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(s, y) in the eye's frame of points whose x is already folded to the eye's side (|x|)."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        along, down = x - self.x, y
        return (along * cos - down * sin) / self.width, along * sin + down * cos

    def to_face(self, s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(|x|, y) on the face of points in the eye's frame."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        along = s * self.width
        return self.x + along * cos + y * sin, -along * sin + y * cos


@dataclass(frozen=True)
class Brow:
    """A brow's middle line and half thickness over s in [-1, 1] from inner to outer end; x is folded (|x|)."""

    x: float
    y: float
    width: float
    arch: float
    slope: float
    weight: float

    def line(self, s: np.ndarray) -> np.ndarray:
        return self.y - self.arch * (1.0 - (s - 0.25) ** 2) - self.slope * s + 0.03 * np.maximum(s, 0.0) ** 2

    def half(self, s: np.ndarray) -> np.ndarray:
        return self.weight * np.clip(1.05 - 0.28 * s - 0.55 * np.maximum(s, 0.0) ** 2, 0.1, None)


@dataclass(frozen=True)
class Anatomy:
    """The features of one identity in one expression, in head units."""

    mouth: Mouth
    eye: Eye
    brow: Brow
    chin: float
    nose_y: float
    nose_width: float


def _dome(s: np.ndarray, power: float) -> np.ndarray:
    return np.clip(1.0 - s * s, 0.0, None) ** power


def anatomy(who: Identity, how: Expression) -> Anatomy:
    """The features of `who` with the expression `how`."""
    gap = 0.19 * how.open
    smile = how.smile
    return Anatomy(
        mouth=Mouth(
            y=who.mouth_y + 0.25 * gap + 0.008 * smile,
            width=who.mouth_width * (1.0 + 0.20 * smile - 0.26 * how.pucker - 0.12 * how.open),
            curve=0.075 * smile - 0.012,
            gap_up=0.38 * gap,
            gap_down=0.62 * gap,
            upper=who.upper_lip * (1.0 - 0.22 * max(smile, 0.0) + 0.25 * how.pucker),
            lower=who.lower_lip * (1.0 - 0.15 * max(smile, 0.0) + 0.25 * how.pucker),
        ),
        eye=Eye(
            x=who.eye_x,
            width=who.eye_width,
            upper=who.eye_height * how.lids,
            lower=who.eye_height * 0.62 * (0.4 + 0.6 * how.lids) * (1.0 - 0.22 * max(smile, 0.0)),
            tilt=who.eye_tilt,
        ),
        brow=Brow(
            x=who.eye_x + 0.015 - 0.015 * how.frown,
            y=who.brow_y - 0.06 * how.brow_raise + 0.03 * how.frown,
            width=who.brow_width,
            arch=who.brow_arch * (1.0 + 0.3 * how.brow_raise),
            slope=-0.006 + 0.035 * how.frown,
            weight=who.brow_weight,
        ),
        chin=who.chin + 0.5 * gap,
        nose_y=who.nose_y - 0.008 * smile,
        nose_width=who.nose_width * (1.0 + 0.07 * max(smile, 0.0)),
    )


def frontal_landmarks(face: Anatomy) -> np.ndarray:
    """(x, y) of landmarks 17 to 67 in the frontal plane, (51, 2) float64; the jaw (0 to 16) needs the head's shape."""
    inner_first = np.linspace(-0.95, 0.95, 5)
    brow = np.stack([face.brow.x + inner_first * face.brow.width, face.brow.line(inner_first)], 1)
    bridge = np.stack([np.zeros(4), np.linspace(0.05, face.nose_y - 0.055, 4)], 1)
    across = np.array([-0.9, -0.48, 0.0, 0.48, 0.9])
    base = np.stack([across * face.nose_width, face.nose_y + np.array([0.0, 0.022, 0.034, 0.022, 0.0])], 1)
    eye = _eye_outline(face.eye)
    points = [_flip(brow)[::-1], brow, bridge, base, _flip(eye)[[3, 2, 1, 0, 5, 4]], eye, _mouth_outline(face.mouth)]
    return np.concatenate(points)


def _eye_outline(eye: Eye) -> np.ndarray:
    """Inner corner, upper lid twice, outer corner, lower lid twice (42 to 47), for the eye at positive x."""
    ends, upper, lower = np.array([-1.0, 1.0]), np.array([-0.36, 0.36]), np.array([0.36, -0.36])
    corners = np.stack(eye.to_face(ends, np.zeros(2)), 1)
    top = np.stack(eye.to_face(upper, eye.upper_lid(upper)), 1)
    bottom = np.stack(eye.to_face(lower, eye.lower_lid(lower)), 1)
    return np.concatenate([corners[:1], top, corners[1:], bottom])


def _mouth_outline(mouth: Mouth) -> np.ndarray:
    outer = np.array([-0.98, -0.6, -0.22, 0.0, 0.22, 0.6, 0.98])
    inner = np.array([-0.82, -0.4, 0.0, 0.4, 0.82])
    return np.concatenate(
        [
            np.stack([outer * mouth.width, np.r_[mouth.line(outer[:1]), mouth.outer_upper(outer[1:-1]),
                                                 mouth.line(outer[-1:])]], 1),
            np.stack([outer[5:0:-1] * mouth.width, mouth.outer_lower(outer[5:0:-1])], 1),
            np.stack([inner * mouth.width, np.r_[mouth.line(inner[:1]), mouth.inner_upper(inner[1:-1]),
                                                 mouth.line(inner[-1:])]], 1),
            np.stack([inner[3:0:-1] * mouth.width, mouth.inner_lower(inner[3:0:-1])], 1),
        ]
    )  # fmt: skip


def _flip(points: np.ndarray) -> np.ndarray:
    return points * np.array([-1.0, 1.0])
