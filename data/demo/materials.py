"""How skin, hair and cloth look at points of the world: colour, normal, gloss."""

import numpy as np

from data.demo.hair import hairline
from data.demo.lighting import direction
from data.demo.paint import Surface, Texture, linear, paint_skin
from data.demo.scene import Scene
from data.demo.shapes import smoothstep
from data.demo.traits import Colour, Identity, Shot

CURLY, BACKWARD = ("curly", "afro"), ("tied", "bun", "sweep")


def skin_surface(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
    """Skin with features and the roots of hair painted on.

    Args:
        scene: the person in a pose.
        shot: the picture's description.
        texture: the person's.
        points: (3, N) in the world.
        normal: (3, N) unit normals there.
    """
    local = scene.to_head(points)
    surface = paint_skin(scene.person, texture, local, scene.turn.T @ normal, shot.light)
    _roots(surface, shot, local, scene.hair(points), texture)
    surface.normal = scene.turn @ surface.normal
    return surface


def _roots(surface: Surface, shot: Shot, local: np.ndarray, gap: np.ndarray, texture: Texture) -> None:
    """Hair on the skin: its roots where `gap` (N,) from the hair is small, or the stubble of a shaved head."""
    x, y, z = local
    strands = texture.at(texture.fine, np.arctan2(x, z + 0.25) * 0.55, 0.03 * y)
    if shot.identity.style == "shaved":
        grain = texture.at(texture.fine, x, y)
        weight = smoothstep(0.10, -0.12, hairline(local, recess=0.06)) * (0.40 + 0.06 * grain)
        weight = weight * (y < 0.5) * smoothstep(0.80, 0.72, np.abs(x))
    else:
        weight = 0.85 * smoothstep(0.045, 0.0, gap + 0.014 * strands) * (y < 1.0) * smoothstep(0.74, 0.69, np.abs(x))
    surface.lay(weight, linear(shot.identity.hair) * 0.8, 0.08)


def hair_surface(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
    """Hair: strands with a sheen across them, or rough curls.

    Args:
        scene: the person in a pose.
        shot: the picture's description.
        texture: the person's.
        points: (3, N) in the world.
        normal: (3, N) unit normals there.
    """
    who = shot.identity
    local = scene.to_head(points)
    curly = who.style in CURLY
    strands = _curls(texture, local) if curly else _strands(texture, local, who)
    flow = scene.turn @ _flow(local, who)
    tangent = flow - normal * (flow * normal).sum(0)
    tangent /= np.sqrt((tangent * tangent).sum(0)) + 1e-6
    if curly:
        normal = normal + 0.22 * np.clip(normal[2], 0.0, 1.0) * _fuzz(texture, local)
    else:
        normal = normal + 0.10 * strands * np.cross(normal, tangent, axis=0)
    normal /= np.sqrt((normal * normal).sum(0))
    count = points.shape[1]
    surface = Surface(
        linear(who.hair) * np.clip(1.0 + 0.22 * strands, 0.35, 1.9),
        normal,
        np.full(count, 0.02 if curly else 0.06, np.float32),
        np.full(count, 14.0, np.float32),
        np.zeros(count, np.float32),
    )
    if not curly:
        surface.albedo += _sheen(tangent, normal, strands, who.hair, direction(shot.light))
    return surface


def _curls(texture: Texture, local: np.ndarray) -> np.ndarray:
    x, y, z = local
    u, v = np.arctan2(x, z + 0.2) * 0.6, y * 0.6
    return 0.9 * texture.at(texture.medium, u * 1.7, v * 1.7) + 0.5 * texture.at(texture.fine, u, v)


def _fuzz(texture: Texture, local: np.ndarray) -> np.ndarray:
    """Noise in every direction (3, N), to roughen a surface's normals."""
    u, v = np.arctan2(local[0], local[2] + 0.2) * 1.2, local[1] * 1.2
    return np.stack([texture.at(texture.medium, u + shift, v - shift) for shift in (0.0, 0.37, 0.71)])


def _strands(texture: Texture, local: np.ndarray, who: Identity) -> np.ndarray:
    """Noise drawn out along the hair: back from the face where it is tied or swept, else down from the crown."""
    x, y, z = local
    if who.style in BACKWARD:
        around, along = np.arctan2(x, -0.15 - y) * 0.55, 0.05 * z
    else:
        part = who.hair_part * 0.5 if who.style in ("bob", "long", "fringe") else 0.0
        around = np.arctan2(x - part, z + 0.25) * 0.55
        along = (0.16 if who.style == "crop" else 0.03) * y + 0.015 * np.hypot(x, z)
    return 0.55 * texture.at(texture.fine, around, along) + 0.75 * texture.at(texture.medium, 0.9 * around + 0.3, along)


def _flow(local: np.ndarray, who: Identity) -> np.ndarray:
    """The way hairs run, (3, N) in the head's frame."""
    if who.style in BACKWARD:
        away = np.stack([0.4 * local[0], 0.3 * local[1], np.full(local.shape[1], -1.0)])
    else:
        away = local - np.array([[0.5 * who.hair_part], [-1.15], [-0.25]], np.float32)
        away[1] = np.abs(away[1]) + 0.25
    return (away / np.sqrt((away * away).sum(0))).astype(np.float32)


def _sheen(tangent: np.ndarray, normal: np.ndarray, strands: np.ndarray, hair: Colour, key: np.ndarray) -> np.ndarray:
    """Highlight across the strands (Kajiya and Kay, 1989), as brighter albedo."""
    half = key + np.array([[0.0], [0.0], [1.0]], np.float32)
    half /= np.linalg.norm(half)
    shifted = tangent + (0.12 * strands - 0.15) * normal
    shifted /= np.sqrt((shifted * shifted).sum(0))
    sine = np.sqrt(np.clip(1.0 - (shifted * half).sum(0) ** 2, 0.0, 1.0))
    tint = 0.5 * linear(hair) + 0.06
    return tint * (sine**36) * np.clip((normal * key).sum(0) + 0.3, 0.0, 1.0)


def cloth_surface(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
    """Woven cloth.

    Args:
        scene: the person in a pose; unused, as all materials take the same arguments.
        shot: the picture's description.
        texture: the person's.
        points: (3, N) in the world.
        normal: (3, N) unit normals there.
    """
    x, y, _ = points
    weave = texture.at(texture.fine, x * 0.8, y * 0.8)
    folds = texture.at(texture.coarse, x * 0.5, y * 0.25)
    count = points.shape[1]
    albedo = np.clip(linear(shot.identity.cloth) * (1.0 + 0.08 * weave + 0.07 * folds), 0.0, 1.0)
    flat = np.full(count, 0.03, np.float32)
    return Surface(albedo, normal, flat, np.full(count, 8.0, np.float32), np.zeros(count, np.float32))
