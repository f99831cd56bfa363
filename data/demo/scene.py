"""A person in a pose: where the head and the body are, and the distances to skin, hair and clothes."""

import numpy as np

from data.demo import march
from data.demo.hair import hair_distance
from data.demo.head import NECK, Person
from data.demo.traits import Pose

PIVOT = np.array([[0.0], [0.45], [-0.25]], np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The matrix (3, 3) float32 that turns by yaw (to the image's right), pitch (down), then roll (clockwise)."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (lean @ turn @ nod).astype(np.float32)


class Scene:
    """A person in a pose: distances of world points to each material."""

    def __init__(self, person: Person, pose: Pose) -> None:
        self.person = person
        self.turn = rotation(pose.yaw, pose.pitch, pose.roll)
        self.body_turn = rotation(0.35 * pose.yaw, 0.0, 0.2 * pose.roll)
        self.neck = tuple(self.to_head(self._from_body(np.array(NECK, np.float32).reshape(3, 1))).ravel())

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """World points (3, N) in the head's frame."""
        return self.turn.T @ (points - PIVOT) + PIVOT

    def from_head(self, points: np.ndarray) -> np.ndarray:
        """Points (3, N) of the head's frame in the world."""
        return self.turn @ (points - PIVOT) + PIVOT

    def _to_body(self, points: np.ndarray) -> np.ndarray:
        return self.body_turn.T @ (points - PIVOT) + PIVOT

    def _from_body(self, points: np.ndarray) -> np.ndarray:
        return self.body_turn @ (points - PIVOT) + PIVOT

    def skin(self, points: np.ndarray) -> np.ndarray:
        return self.person.skin(self.to_head(points), self._to_body(points), np.array(self.neck))

    def hair(self, points: np.ndarray) -> np.ndarray:
        solid = hair_distance(self.to_head(points), self.person.who)
        return np.full(points.shape[1], np.inf, np.float32) if solid is None else solid

    def cloth(self, points: np.ndarray) -> np.ndarray:
        return self.person.cloth(self._to_body(points))

    @property
    def solids(self) -> tuple[march.Distance, ...]:
        """The distances in the order SKIN, HAIR, CLOTH."""
        return self.skin, self.hair, self.cloth
