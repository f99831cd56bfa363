"""A person as solids: skin (head, ears, neck), hair, clothes, each with its signed distance."""

import math
from dataclasses import dataclass

import numpy as np

from data.demo import shapes
from data.demo.anatomy import Anatomy, anatomy, frontal_landmarks
from data.demo.shapes import capsule, ellipsoid, intersection, mirrored, union
from data.demo.traits import Expression, Identity

SKIN, HAIR, CLOTH = 0, 1, 2
NECK = (0.0, 1.42, -0.36)  # where the neck meets the body, in head units when the head looks ahead


@dataclass(frozen=True)
class Person:
    """An identity with an expression; distances take points (3, N) float32 in the frame of head or body."""

    who: Identity
    how: Expression
    face: Anatomy

    @classmethod
    def of(cls, who: Identity, how: Expression) -> "Person":
        return cls(who, how, anatomy(who, how))

    def skull(self, points: np.ndarray, folded: np.ndarray) -> np.ndarray:
        """Head without nose, lips, ears and neck."""
        who, face = self.who, self.face
        chin = face.chin
        smile = max(self.how.smile, 0.0)
        solid = ellipsoid(points, (0.0, -0.30, -0.20), (0.74, 0.82, 0.86))
        solid = union(solid, ellipsoid(points, (0.0, 0.16, 0.02), (who.cheek_width, 0.86, 0.65)), 0.2)
        jaw = ellipsoid(folded, (who.jaw_width - 0.22, chin - 0.40, 0.08), (0.24, 0.30, 0.40))
        solid = union(solid, jaw, 0.3)
        solid = union(solid, ellipsoid(points, (0.0, chin - 0.20, 0.36), (who.chin_width, 0.20, 0.27)), 0.26)
        muzzle = ellipsoid(points, (0.0, face.mouth.y - 0.01, 0.40), (0.27, 0.24, 0.30))
        solid = union(solid, muzzle, 0.22)
        cheek = (0.385 + 0.015 * smile, 0.28 - 0.03 * smile, 0.36 + 0.02 * smile)
        return union(solid, ellipsoid(folded, cheek, (0.20, 0.19, 0.22)), 0.24)

    def head(self, points: np.ndarray) -> np.ndarray:
        """The head with its nose, brows, eyelids and lips, without ears and neck."""
        folded = mirrored(points)
        solid = self.skull(points, folded)
        solid = self._eyes(solid, folded)
        solid = self._nose(solid, points, folded)
        return self._lips(solid, points)

    def _eyes(self, solid: np.ndarray, folded: np.ndarray) -> np.ndarray:
        who, eye, brow = self.who, self.face.eye, self.face.brow
        ridge = ellipsoid(folded, (brow.x, who.brow_y + 0.02, 0.55), (0.22, 0.075, 0.11 - 0.025 * who.softness))
        solid = union(solid, ridge, 0.12)
        socket = ellipsoid(folded, (eye.x - 0.01, -0.01, 0.80), (0.22, 0.145, 0.19 + 0.02 * who.eye_depth))
        solid = intersection(solid, -socket, 0.14)
        return union(solid, ellipsoid(folded, (eye.x, 0.0, 0.40), (0.195, 0.16, 0.205)), 0.06)

    def _nose(self, solid: np.ndarray, points: np.ndarray, folded: np.ndarray) -> np.ndarray:
        who, face = self.who, self.face
        tip_y, reach = face.nose_y - 0.055, 0.66 + who.nose_projection
        bridge = 0.60 + 0.05 * who.nose_bridge
        ridge = capsule(points, (0.0, -0.10, bridge - 0.04), (0.0, tip_y, reach - 0.09), 0.045, 0.062)
        solid = union(solid, ridge, 0.13)
        radius = 0.072 + 0.12 * (who.nose_width - 0.13)
        solid = union(solid, ellipsoid(points, (0.0, tip_y, reach - 0.08), (radius, radius * 0.92, radius)), 0.07)
        wing = (face.nose_width - 0.048, face.nose_y - 0.048, reach - 0.185)
        solid = union(solid, ellipsoid(folded, wing, (0.052, 0.054, 0.085)), 0.055)
        nostril = (face.nose_width * 0.44, face.nose_y + 0.022, reach - 0.125)
        return intersection(solid, -ellipsoid(folded, nostril, (0.030, 0.026, 0.045)), 0.03)

    def _lips(self, solid: np.ndarray, points: np.ndarray) -> np.ndarray:
        mouth = self.face.mouth
        offset = points.copy()  # lips follow the mouth's curve
        offset[1] -= mouth.curve * (0.35 - (points[0] / mouth.width) ** 2)
        depth = 0.655 + 0.02 * self.how.pucker
        width = mouth.width * 0.86
        upper = (0.0, mouth.y - mouth.gap_up - mouth.upper * 0.48, depth)
        lower = (0.0, mouth.y + mouth.gap_down + mouth.lower * 0.46, depth - 0.012)
        solid = union(solid, ellipsoid(offset, upper, (width, mouth.upper * 0.62, 0.075)), 0.045)
        solid = union(solid, ellipsoid(offset, lower, (width * 0.86, mouth.lower * 0.62, 0.085)), 0.045)
        seam = (0.0, mouth.y + 0.5 * (mouth.gap_down - mouth.gap_up), depth + 0.085)
        half = 0.5 * (mouth.gap_up + mouth.gap_down)
        opening = ellipsoid(offset, seam, (mouth.width * 0.9, 0.012 + half, 0.055 + 0.3 * half))
        return intersection(solid, -opening, 0.03)

    def _ears(self, folded: np.ndarray) -> np.ndarray:
        size = self.who.ear_size
        turned = folded - shapes.column((0.735, 0.06, -0.16))
        cos, sin = math.cos(0.35), math.sin(0.35)  # ears stand off the head and lean back
        local = np.stack([turned[0] * cos + turned[2] * sin, turned[1], turned[2] * cos - turned[0] * sin])
        outer = ellipsoid(local, (0.0, 0.0, 0.0), (0.055, 0.20 * size, 0.125 * size))
        lobe = ellipsoid(local, (0.0, 0.165 * size, 0.035), (0.042, 0.062, 0.055))
        hollow = ellipsoid(local, (0.055, -0.01, 0.03), (0.045, 0.135 * size, 0.075 * size))
        return intersection(union(outer, lobe, 0.05), -hollow, 0.03)

    def skin(self, points: np.ndarray, body: np.ndarray, neck: np.ndarray) -> np.ndarray:
        """Head, ears, neck and upper chest. `neck`: NECK's place (3,) in the head's frame."""
        solid = union(self.head(points), self._ears(mirrored(points)), 0.035)
        width = 0.34 - 0.07 * self.who.softness
        throat = capsule(points, (0.0, 0.55, -0.28), neck, width, width + 0.02)
        solid = union(solid, throat, 0.12)
        return union(solid, self._torso(body) + 0.03, 0.3)

    def _torso(self, body: np.ndarray) -> np.ndarray:
        broad = 1.38 - 0.2 * self.who.softness
        shoulders = ellipsoid(body, (0.0, 2.25, -0.42), (broad, 0.66, 0.50))
        slope = ellipsoid(body, (0.0, 1.72, -0.45), (0.62, 0.30, 0.32))
        return union(shoulders, slope, 0.5)

    def cloth(self, body: np.ndarray) -> np.ndarray:
        """The garment: the torso with an opening for the neck."""
        opening = {0: (0.46, 0.36, 0.60), 1: (0.44, 0.66, 0.70), 2: (0.40, 0.17, 0.50)}[self.who.collar]
        hole = ellipsoid(body, (0.0, 1.50, -0.10), opening)
        shell = self._torso(body) - 0.02
        if self.who.collar == 2:
            tube = capsule(body, (0.0, 1.35, -0.40), (0.0, 1.9, -0.42), 0.385 - 0.05 * self.who.softness, 0.5)
            return union(shell, tube, 0.12)
        return intersection(shell, -hole, 0.05)

    def landmarks(self) -> np.ndarray:
        """The 68 landmarks on the surface in the head's frame, (68, 3) float64."""
        flat = frontal_landmarks(self.face)
        return np.concatenate([self._jaw(), np.column_stack([flat, self.depth(flat)])])

    def depth(self, flat: np.ndarray) -> np.ndarray:
        """z (N,) of the head's surface, seen from the front, at (x, y) points (N, 2)."""
        start = np.column_stack([flat, np.full(len(flat), 1.3)])
        return 1.3 - self._first_crossing(start, np.array([0.0, 0.0, -1.0]), 1.6, inside=False)

    def _jaw(self) -> np.ndarray:
        """The face's outline from ear to ear: where rays from inside the head leave it, forward planes to the chin."""
        turn = np.linspace(-1.0, 1.0, 17)
        angle = turn * np.pi / 2 * 1.03
        centre = np.array([0.0, 0.10, 0.0])
        depth = 0.02 + 0.38 * np.cos(turn * np.pi / 2) ** 1.5
        direction = np.column_stack([np.sin(angle) * 0.95, np.cos(angle), np.zeros(17)])
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        start = np.tile(centre, (17, 1)) + np.column_stack([np.zeros((17, 2)), depth])
        return start + direction * self._first_crossing(start, direction, 1.5, inside=True)[:, None]

    def _first_crossing(self, start: np.ndarray, direction: np.ndarray, reach: float, inside: bool) -> np.ndarray:
        """How far along each ray (N, 3) the head's surface is first crossed, by sampling and bisection."""
        steps = np.linspace(0.0, reach, 161)
        direction = np.broadcast_to(direction, start.shape)
        points = start[:, None] + direction[:, None] * steps[None, :, None]
        solid = self.head(points.reshape(-1, 3).T.astype(np.float32)).reshape(len(start), -1)
        first = np.argmax((solid > 0) == inside, axis=1)
        low, high = steps[np.maximum(first - 1, 0)], steps[first]
        for _ in range(12):
            middle = 0.5 * (low + high)
            value = self.head((start + direction * middle[:, None]).T.astype(np.float32))
            beyond = (value > 0) == inside
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return 0.5 * (low + high)
