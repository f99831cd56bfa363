"""Glasses: rims, bridge and arms as curves in space, drawn over the shaded picture where nothing hides them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from data.demo.head import Person
from data.demo.march import Seen, Viewpoint
from data.demo.traits import Colour

WIRE = 0.030  # thickness of the frame in head units


@dataclass(frozen=True, eq=False)
class Glasses:
    """Curves in the head's frame, each (N, 3): two `rims` (closed), and open `wires` (bridge and arms)."""

    rims: tuple[np.ndarray, np.ndarray]
    wires: tuple[np.ndarray, ...]
    colour: Colour

    @classmethod
    def of(cls, person: Person) -> "Glasses":
        """The glasses of a person, sitting on the nose."""
        who = person.who
        front = float(person.depth(np.array([[0.0, 0.06]]))[0]) + 0.035
        turn = np.linspace(0.0, 2 * np.pi, 73)
        power = 1.0 if who.glasses == 1 else 0.55  # exponents below 1 square the circle
        x = who.eye_x + 0.012 + 0.208 * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
        y = 0.035 + (0.185, 0.155)[who.glasses - 1] * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        right = np.column_stack([x, y, _bow(x, front)])
        inner, outer = x.min(), x.max()
        across = np.linspace(-inner, inner, 15)
        arch = np.column_stack([across, -0.005 - 0.03 * (1 - (across / inner) ** 2), _bow(across, front) + 0.01])
        arm = np.linspace([outer, -0.03, _bow(np.array(outer), front)], [0.735, -0.03, -0.05], 24)
        flip = np.array([-1.0, 1.0, 1.0])
        return cls((right, right * flip), (arch, arm, arm * flip), who.frame)


def _bow(x: np.ndarray, front: float) -> np.ndarray:
    return front - 0.30 * x * x


def wear(
    picture: np.ndarray,
    glasses: Glasses,
    to_world: Callable[[np.ndarray], np.ndarray],
    view: Viewpoint,
    seen: Seen,
    light: np.ndarray,
) -> np.ndarray:
    """Draws glasses, their shadow and a reflection on the lenses; returns (side, side, 3) linear float32.

    Args:
        picture: (side, side, 3) linear float32, the shaded scene.
        glasses: in the head's frame.
        to_world: takes points (3, N) of the head's frame to the world.
        view: the camera.
        seen: what each pixel sees without the glasses.
        light: (3, 1), the unit direction to the key light.
    """
    side = picture.shape[0]
    width = max(1, round(WIRE / (2 * view.half) * side))
    frame, lenses = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for curve in (*glasses.rims, *glasses.wires):
        world = to_world(curve.T.astype(np.float32)).T
        pixels = view.project(world, side)
        _draw(frame, pixels, _visible(world, pixels, view, seen), width)
    for rim in glasses.rims:
        outline = view.project(to_world(rim.T.astype(np.float32)).T, side)
        cv2.fillPoly(lenses, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    metal, glass = (_opacity(layer) for layer in (frame, lenses))
    picture = picture * (1.0 - 0.30 * _cast(metal, light, side))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    streak = np.exp(-((((x + 0.8 * y) % 0.31 - 0.12) / 0.03) ** 2))[..., None]
    picture = picture + glass * (0.012 + 0.035 * streak)
    gleam = cv2.GaussianBlur(frame, (0, 0), 0.4 * width).astype(np.float32)[..., None] / 255.0
    colour = np.array(glasses.colour, np.float32) ** 2.2 * 0.8 + 0.10 * np.clip(gleam - 0.75, 0, 1) * 4 * (0.4 + streak)
    return (picture + metal * (colour - picture)).astype(np.float32)


def _visible(world: np.ndarray, pixels: np.ndarray, view: Viewpoint, seen: Seen) -> np.ndarray:
    side = seen.depth.shape[0]
    column, row = np.clip(np.rint(pixels).astype(int), 0, side - 1).T
    depth = np.linalg.norm(world - np.array([0.0, 0.0, view.distance]), axis=1)
    return depth < seen.depth[row, column] + 0.03


def _draw(layer: np.ndarray, pixels: np.ndarray, visible: np.ndarray, width: int) -> None:
    ends = np.rint(pixels * 16).astype(int)
    for number in np.flatnonzero(visible[1:] & visible[:-1]):
        first, second = ends[number].tolist(), ends[number + 1].tolist()
        cv2.line(layer, tuple(first), tuple(second), 255, width, cv2.LINE_AA, 4)


def _opacity(layer: np.ndarray) -> np.ndarray:
    return layer.astype(np.float32)[..., None] / 255.0


def _cast(metal: np.ndarray, light: np.ndarray, side: int) -> np.ndarray:
    """The frame's soft shadow, displaced away from the light."""
    shift = np.array([[1, 0, -0.022 * side * light[0, 0]], [0, 1, 0.022 * side * 0.7]], np.float32)
    moved = cv2.warpAffine(metal, shift, (side, side))
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), 0.005 * side))[..., None]
