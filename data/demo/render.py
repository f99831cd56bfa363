"""From a shot's description to a picture with its landmarks: geometry, paint, light, camera."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.demo import march
from data.demo.glasses import Glasses, wear
from data.demo.head import CLOTH, HAIR, SKIN, Person
from data.demo.lighting import direction, illuminate
from data.demo.materials import cloth_surface, hair_surface, skin_surface
from data.demo.paint import Surface, Texture
from data.demo.scene import Scene
from data.demo.scenery import backdrop
from data.demo.traits import Camera, Shot

SUPERSAMPLING = 1.5  # rendered pixels per pixel


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered face: `image` (H, W, 3) uint8 RGB, and `landmarks` (68, 2) float64 (x, y) in pixels."""

    image: np.ndarray
    landmarks: np.ndarray


def render(shot: Shot, size: int = 256) -> Picture:
    """The picture of a shot, (size, size, 3), with its 68 landmarks; the same shot gives the same picture."""
    person = Person.of(shot.identity, shot.expression)
    scene = Scene(person, shot.pose)
    dx, dy = shot.pose.shift
    view = march.Viewpoint(distance=7.5, half=1.46 / shot.pose.scale, centre=(-dx, 0.13 - dy))
    fine = round(size * SUPERSAMPLING)
    seen = march.view_solids(scene.solids, view, fine)
    picture = backdrop(shot.background, fine)
    picture[seen.hit] = _shade(scene, shot, seen, view.rays(fine)[:, seen.hit.ravel()], view).T
    if shot.identity.glasses:
        picture = wear(picture, Glasses.of(person), scene.from_head, view, seen, direction(shot.light))
    marks = scene.from_head(person.landmarks().T.astype(np.float32)).T.astype(float)
    landmarks = view.project(marks, size)
    return Picture(develop(picture, shot, size), landmarks)


def _shade(scene: Scene, shot: Shot, seen: march.Seen, rays: np.ndarray, view: march.Viewpoint) -> np.ndarray:
    """Linear light (3, N) of the pixels that see something."""
    points, normal = view.points(rays, seen.depth[seen.hit]), seen.normal[:, seen.hit]
    material = seen.material[seen.hit]
    texture = Texture.of(shot.identity.texture)
    surface = Surface(
        np.zeros_like(points), np.zeros_like(points), *(np.zeros(points.shape[1], np.float32) for _ in range(3))
    )
    painters = {SKIN: skin_surface, HAIR: hair_surface, CLOTH: cloth_surface}
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


def _soft(
    scene: Scene, points: np.ndarray, normal: np.ndarray, key: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Openness and key light (N,) of every seen pixel, computed at the middle of every 3 x 3 pixels."""
    index = np.full(seen.shape, -1)
    index[seen] = np.arange(points.shape[1])
    coarse = index[1::3, 1::3]
    chosen = coarse[coarse >= 0]
    starts, outward = points[:, chosen] + 0.01 * normal[:, chosen], normal[:, chosen]
    values = np.zeros((*coarse.shape, 3), np.float32)
    values[coarse >= 0, 0] = march.occlusion(scene.solids, starts, outward)
    values[coarse >= 0, 1] = march.shadow(scene.solids, starts, key, outward)
    values[coarse >= 0, 2] = 1.0
    # The third channel is the weight of the other two, so that nothing bleeds in from the background.
    spread = np.asarray(cv2.GaussianBlur(values, (0, 0), 0.8))
    whole = np.asarray(cv2.resize(spread, seen.shape[::-1], interpolation=cv2.INTER_LINEAR))[seen]
    share = np.maximum(whole[:, 2], 1e-3)
    return whole[:, 0] / share, whole[:, 1] / share


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
