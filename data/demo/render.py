"""From a shot's description to a picture with its landmarks: geometry, paint, light, camera."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.demo import march
from data.demo.glasses import Glasses, wear
from data.demo.hair import hair_distance, hairline
from data.demo.head import CLOTH, HAIR, NECK, SKIN, Person
from data.demo.paint import Surface, Texture, linear, paint_skin
from data.demo.scenery import backdrop
from data.demo.shapes import smoothstep
from data.demo.traits import Camera, Colour, Identity, Light, Pose, Shot

PIVOT = np.array([[0.0], [0.45], [-0.25]], np.float32)
SUPERSAMPLING = 1.5  # rendered pixels per pixel
CURLY, BACKWARD = ("curly", "afro"), ("tied", "bun", "sweep")


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered face: `image` (H, W, 3) uint8 RGB, and `landmarks` (68, 2) float64 (x, y) in pixels."""

    image: np.ndarray
    landmarks: np.ndarray


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


def render(shot: Shot, size: int = 256) -> Picture:
    """The picture of a shot, (size, size, 3), with its 68 landmarks; the same shot gives the same picture."""
    person = Person.of(shot.identity, shot.expression)
    scene = Scene(person, shot.pose)
    dx, dy = shot.pose.shift
    view = march.View(distance=7.5, half=1.46 / shot.pose.scale, centre=(-dx, 0.13 - dy))
    fine = round(size * SUPERSAMPLING)
    seen = march.look(scene.solids, view, fine)
    picture = backdrop(shot.background, fine)
    picture[seen.hit] = _shade(scene, shot, seen, view.rays(fine)[:, seen.hit.ravel()], view).T
    if shot.identity.glasses:
        picture = wear(picture, Glasses.of(person), scene.from_head, view, seen, direction(shot.light))
    marks = scene.from_head(person.landmarks().T.astype(np.float32)).T.astype(float)
    landmarks = view.project(marks, size)
    return Picture(develop(picture, shot, size), landmarks)


def _shade(scene: Scene, shot: Shot, seen: march.Seen, rays: np.ndarray, view: march.View) -> np.ndarray:
    """Linear light (3, N) of the pixels that see something."""
    points, normal, material = (
        view.points(rays, seen.depth[seen.hit]),
        seen.normal[:, seen.hit],
        seen.material[seen.hit],
    )
    texture = Texture.of(shot.identity.texture)
    surface = Surface(
        np.zeros_like(points), np.zeros_like(points), *(np.zeros(points.shape[1], np.float32) for _ in range(3))
    )
    painters = {SKIN: _skin, HAIR: _hair, CLOTH: _cloth}
    for kind, painter in painters.items():
        where = material == kind
        if where.any():
            _put(surface, where, painter(scene, shot, texture, points[:, where], normal[:, where]))
    light = shot.light
    key = direction(light)
    open_sky, lit = _soft(scene, points, normal, key, seen.hit)
    return illuminate(surface, rays, light, key, open_sky, lit)


def _put(whole: Surface, where: np.ndarray, part: Surface) -> None:
    whole.albedo[:, where], whole.normal[:, where] = part.albedo, part.normal
    whole.gloss[where], whole.shininess[where], whole.flesh[where] = part.gloss, part.shininess, part.flesh


def direction(light: Light) -> np.ndarray:
    """Unit vector (3, 1) towards the key light."""
    flat = np.cos(light.elevation)
    vector = [np.sin(light.azimuth) * flat, -np.sin(light.elevation), np.cos(light.azimuth) * flat]
    return np.array(vector, np.float32).reshape(3, 1)


def _skin(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
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


def _hair(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
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


def _cloth(scene: Scene, shot: Shot, texture: Texture, points: np.ndarray, normal: np.ndarray) -> Surface:
    x, y, _ = points
    weave = texture.at(texture.fine, x * 0.8, y * 0.8)
    folds = texture.at(texture.coarse, x * 0.5, y * 0.25)
    count = points.shape[1]
    albedo = np.clip(linear(shot.identity.cloth) * (1.0 + 0.08 * weave + 0.07 * folds), 0.0, 1.0)
    flat = np.full(count, 0.03, np.float32)
    return Surface(albedo, normal, flat, np.full(count, 8.0, np.float32), np.zeros(count, np.float32))


def _soft(
    scene: Scene, points: np.ndarray, normal: np.ndarray, key: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Openness and key light (N,) of every seen pixel, computed at every third pixel of every third row."""
    index = np.full(seen.shape, -1)
    index[seen] = np.arange(points.shape[1])
    coarse = index[::3, ::3]
    chosen = coarse[coarse >= 0]
    place, outward = points[:, chosen] + 0.01 * normal[:, chosen], normal[:, chosen]
    values = np.zeros((*coarse.shape, 3), np.float32)
    values[coarse >= 0, 0] = march.occlusion(scene.solids, place, outward)
    values[coarse >= 0, 1] = march.shadow(scene.solids, place, key, outward)
    values[coarse >= 0, 2] = 1.0
    spread = np.asarray(
        cv2.GaussianBlur(values, (0, 0), 0.8)
    )  # normalised by the third channel: nothing bleeds in from outside
    whole = np.asarray(cv2.resize(spread, seen.shape[::-1], interpolation=cv2.INTER_LINEAR))[seen]
    share = np.maximum(whole[:, 2], 1e-3)
    return whole[:, 0] / share, whole[:, 1] / share


def illuminate(
    surface: Surface, rays: np.ndarray, light: Light, key: np.ndarray, open_sky: np.ndarray, lit: np.ndarray
) -> np.ndarray:
    """Linear light (3, N) from key (wrapped and reddened on flesh), sky, bounce and rim light."""
    normal = surface.normal
    facing = (normal * key).sum(0)
    wrap = np.array([[0.34], [0.16], [0.10]], np.float32) * surface.flesh + 0.04
    diffuse = np.clip((facing + wrap) / (1.0 + wrap), 0.0, 1.0)
    soft_lit = lit ** np.where(surface.flesh > 0.5, np.array([[0.75], [1.05], [1.15]], np.float32), 1.0)
    key_colour = linear(light.key) * (1.75 * light.strength)
    sky = linear(light.sky) * light.fill
    ground = np.array([[0.42], [0.34], [0.30]], np.float32) * light.fill
    up = 0.5 - 0.5 * normal[1]
    front = np.clip(normal[2], 0.0, 1.0)
    ambient = (ground + up * (sky - ground)) * (0.75 + 0.35 * front) * open_sky ** np.where(
        surface.flesh > 0.5, np.array([[0.8], [1.0], [1.05]], np.float32), 1.0)  # fmt: skip
    colour = surface.albedo * (key_colour * diffuse * soft_lit + ambient)
    return colour + _reflections(surface, rays, light, key, open_sky, lit)


def _reflections(
    surface: Surface, rays: np.ndarray, light: Light, key: np.ndarray, open_sky: np.ndarray, lit: np.ndarray
) -> np.ndarray:
    normal = surface.normal
    half = key - rays
    half /= np.sqrt((half * half).sum(0))
    glint = np.clip((normal * half).sum(0), 0.0, 1.0) ** surface.shininess
    grazing = (1.0 - np.clip(-(normal * rays).sum(0), 0.0, 1.0)) ** 4
    back = np.array([[-key[0, 0]], [-0.35], [-0.45]], np.float32)
    back /= np.linalg.norm(back)
    rim = light.rim * grazing * np.clip((normal * back).sum(0) + 0.25, 0.0, 1.0) * open_sky
    shine = linear(light.key) * (surface.gloss * glint * lit * 1.3) + linear(light.sky) * (
        0.35 * surface.gloss * grazing * open_sky)  # fmt: skip
    return shine + linear(light.sky) * rim * (0.35 + 0.9 * surface.albedo)


def develop(picture: np.ndarray, shot: Shot, size: int) -> np.ndarray:
    """The camera: tone curve, lens, noise and a light JPEG; (H, W, 3) linear float32 to (size, size, 3) uint8."""
    camera: Camera = shot.camera
    exposed = np.clip(picture * (0.80 * shot.light.exposure), 0.0, None)
    toned = exposed * (1.0 + exposed / 5.0) / (1.0 + 0.55 * exposed)
    small = cv2.resize(toned, (size, size), interpolation=cv2.INTER_AREA)
    levels = 255.0 * np.clip(small, 0.0, 1.0) ** (1 / 2.2)
    if camera.blur > 0:
        levels = np.asarray(cv2.GaussianBlur(levels, (0, 0), camera.blur))
    rng = np.random.default_rng(camera.seed)
    levels = levels + camera.noise * rng.standard_normal(levels.shape, dtype=np.float32)
    pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    done, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    if not done:
        raise RuntimeError("JPEG encoding failed")
    return cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
