"""A person as solids: skin (head, ears, neck, chest) and clothes, each with its signed distance."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.demo.anatomy import Anatomy, anatomy, frontal_landmarks
from data.demo.shapes import Ellipsoids, capsule, ellipsoid, intersection, union
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
        """The person with the features that identity and expression give."""
        return cls(who, how, anatomy(who, how))

    def skin(self, points: np.ndarray, body: np.ndarray, neck: np.ndarray) -> np.ndarray:
        """Head, ears, neck and upper chest. `neck`: NECK's place (3,) in the head's frame."""
        solid = union(self.head(points), self._ear(points), 0.035)
        width = 0.34 - 0.07 * self.who.softness
        throat = capsule(points, (0.0, 0.55, -0.28), neck, width, width + 0.02)
        return union(union(solid, throat, 0.12), self._torso(body) + 0.03, 0.3)

    def head(self, points: np.ndarray) -> np.ndarray:
        """The head with its nose, brows, eyelids and lips, without ears and neck."""
        parts = self._parts(points)
        skull, face, chin, muzzle, glabella, tip, jaw, cheek, brow, socket, ball, wing, nostril = parts
        solid = union(union(skull, face, 0.2), jaw, 0.3)
        solid = union(union(solid, chin, 0.26), muzzle, 0.22)
        solid = union(union(solid, cheek, 0.24), brow, 0.2)
        solid = union(intersection(solid, -socket, 0.14), ball, 0.07)
        solid = union(solid, glabella, 0.12)
        bridge, reach, tip_y = (
            0.565 + 0.05 * self.who.nose_bridge,
            0.66 + self.who.nose_projection,
            self.face.nose_y - 0.055,
        )
        ridge = capsule(points, (0.0, -0.08, bridge), (0.0, tip_y, reach - 0.095), 0.052, 0.066)
        solid = union(union(solid, ridge, 0.15), tip, 0.08)
        solid = intersection(union(solid, wing, 0.06), -nostril, 0.03)
        return self._lips(solid, points)

    @cached_property
    def _parts(self) -> Ellipsoids:
        """The head's ellipsoids in the order in which `head` joins them."""
        who, face, smile = self.who, self.face, max(self.how.smile, 0.0)
        eye, chin, reach = face.eye, face.chin, 0.66 + who.nose_projection
        tip_y, radius = face.nose_y - 0.055, 0.076 + 0.12 * (who.nose_width - 0.13)
        single = [
            ((0.0, -0.30, -0.20), (0.73, 0.82, 0.86)),
            ((0.0, 0.16, 0.02), (who.cheek_width, 0.86, 0.65)),
            ((0.0, chin - 0.20, 0.36), (who.chin_width, 0.20, 0.27)),
            ((0.0, face.mouth.y - 0.01, 0.40), (0.27, 0.24, 0.30)),
            ((0.0, who.brow_y + 0.04, 0.49), (0.20, 0.16, 0.17)),
            ((0.0, tip_y, reach - 0.085), (radius, radius * 0.92, radius)),
        ]
        mirrored = [
            ((who.jaw_width - 0.22, chin - 0.40, 0.08), (0.24, 0.30, 0.40)),
            ((0.37 + 0.02 * smile, 0.29 - 0.04 * smile, 0.35 + 0.025 * smile), (0.20, 0.19, 0.22)),
            ((0.24, who.brow_y + 0.02, 0.47), (0.22, 0.08, 0.155 - 0.035 * who.softness)),
            ((eye.x, 0.0, 0.80), (0.185, 0.13, 0.185 + 0.015 * who.eye_depth)),
            ((eye.x, 0.0, 0.395), (0.20, 0.165, 0.21)),
            ((face.nose_width - 0.050, face.nose_y - 0.048, reach - 0.185), (0.054, 0.056, 0.085)),
            ((face.nose_width * 0.44, face.nose_y + 0.022, reach - 0.125), (0.030, 0.026, 0.045)),
        ]
        return Ellipsoids(single, mirrored)

    def _lips(self, solid: np.ndarray, points: np.ndarray) -> np.ndarray:
        mouth = self.face.mouth
        offset = points.copy()  # lips follow the mouth's curve
        offset[1] -= mouth.curve * (0.35 - np.minimum((points[0] / mouth.width) ** 2, 2.0))
        upper, lower, opening = self._lip_parts(offset)
        return intersection(union(union(solid, upper, 0.05), lower, 0.05), -opening, 0.03)

    @cached_property
    def _lip_parts(self) -> Ellipsoids:
        mouth, depth = self.face.mouth, 0.655 + 0.02 * self.how.pucker
        half = 0.5 * (mouth.gap_up + mouth.gap_down)
        width = mouth.width * 0.86
        upper = (0.0, mouth.y - mouth.gap_up - mouth.upper * 0.48, depth), (width, mouth.upper * 0.62, 0.075)
        lower = (
            (0.0, mouth.y + mouth.gap_down + mouth.lower * 0.46, depth - 0.012),
            (width * 0.86, mouth.lower * 0.62, 0.085),
        )
        seam = (0.0, mouth.y + 0.5 * (mouth.gap_down - mouth.gap_up), depth + 0.085)
        return Ellipsoids([upper, lower, (seam, (mouth.width * 0.9, 0.012 + half, 0.055 + 0.3 * half))])

    def _ear(self, points: np.ndarray) -> np.ndarray:
        outer, lobe, hollow = self._ear_parts(points)
        return intersection(union(outer, lobe, 0.05), -hollow, 0.03)

    @cached_property
    def _ear_parts(self) -> Ellipsoids:
        size, turn = self.who.ear_size, 0.35  # ears stand off the head and lean back
        return Ellipsoids(
            [],
            [
                ((0.735, 0.06, -0.16), (0.055, 0.20 * size, 0.125 * size), turn),
                ((0.723, 0.06 + 0.165 * size, -0.127), (0.042, 0.062, 0.055), turn),
                ((0.775, 0.05, -0.113), (0.045, 0.135 * size, 0.075 * size), turn),
            ],
        )

    def _torso(self, body: np.ndarray) -> np.ndarray:
        shoulders, slope = self._torso_parts(body)
        return union(shoulders, slope, 0.5)

    @cached_property
    def _torso_parts(self) -> Ellipsoids:
        broad = 1.38 - 0.2 * self.who.softness
        return Ellipsoids([((0.0, 2.25, -0.42), (broad, 0.66, 0.50)), ((0.0, 1.72, -0.45), (0.62, 0.30, 0.32))])

    def cloth(self, body: np.ndarray) -> np.ndarray:
        """The garment: the torso with an opening for the neck."""
        shell = self._torso(body) - 0.02
        if self.who.collar == 2:
            tube = capsule(body, (0.0, 1.35, -0.40), (0.0, 1.9, -0.42), 0.385 - 0.05 * self.who.softness, 0.5)
            return union(shell, tube, 0.12)
        opening = ((0.46, 0.36, 0.60), (0.44, 0.66, 0.70))[self.who.collar]
        return intersection(shell, -ellipsoid(body, (0.0, 1.50, -0.10), opening), 0.05)

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
        steps = np.linspace(0.0, reach, 81)
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
