"""The light that a surface sends to the camera: a key light, the sky, light from the ground, and a rim light."""

import numpy as np

from data.demo.paint import Surface, linear
from data.demo.traits import Light


def direction(light: Light) -> np.ndarray:
    """Unit vector (3, 1) towards the key light."""
    flat = np.cos(light.elevation)
    vector = [np.sin(light.azimuth) * flat, -np.sin(light.elevation), np.cos(light.azimuth) * flat]
    return np.array(vector, np.float32).reshape(3, 1)


def illuminate(
    surface: Surface, rays: np.ndarray, light: Light, key: np.ndarray, open_sky: np.ndarray, lit: np.ndarray
) -> np.ndarray:
    """Linear light (3, N) from key (wrapped and reddened on flesh), sky, bounce and rim light.

    Args:
        surface: what is lit, at N points.
        rays: (3, N) unit directions from the camera.
        light: colours and strengths.
        key: (3, 1), the unit direction to the key light.
        open_sky: (N,) in [0, 1], how free the space above each point is.
        lit: (N,) in [0, 1], how much of the key light reaches each point.
    """
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
