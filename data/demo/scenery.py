"""Blurred backgrounds behind a head."""

import cv2
import numpy as np

from data.demo.traits import Background


def backdrop(background: Background, size: int) -> np.ndarray:
    """The background, (size, size, 3) float32 linear light."""
    rng = np.random.default_rng(background.seed)
    side = max(size // 3, 64)  # all of it is blurred
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    low, high, accent = (
        np.array(colour, np.float32) ** 2.2 for colour in (background.low, background.high, background.accent)
    )
    painters = (_studio, _lights, _room, _outdoors)
    scene = np.clip(painters[background.kind](rng, x, y, low, high, accent), 0.0, 1.5).astype(np.float32)
    return np.asarray(cv2.resize(scene, (size, size), interpolation=cv2.INTER_CUBIC))


def _ramp(weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return low + np.clip(weight, 0, 1)[..., None] * (high - low)


def _studio(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, accent: np.ndarray
) -> np.ndarray:
    centre = rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.5)
    glow = np.exp(-(((x - centre[0]) / 0.55) ** 2) - ((y - centre[1]) / 0.6) ** 2)
    return _ramp(glow, low, 0.85 * high)


def _lights(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, accent: np.ndarray
) -> np.ndarray:
    scene = _ramp(0.25 + 0.3 * y, 0.6 * low, 0.7 * high)
    for _ in range(int(rng.integers(9, 16))):
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 0.75), rng.uniform(0.035, 0.10)
        distance = np.hypot(x - cx, y - cy) / radius
        disc = np.clip((1.0 - distance) / 0.16, 0, 1) * (0.75 + 0.25 * np.clip(distance, 0, 1) ** 3)
        tint = accent if rng.random() < 0.65 else high
        scene = scene + (rng.uniform(0.12, 0.4) * disc)[..., None] * tint
    return _soften(scene, 0.008)


def _room(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, accent: np.ndarray
) -> np.ndarray:
    scene = _ramp(0.75 - 0.4 * y, low, 0.8 * high)
    left = rng.uniform(-0.05, 0.15) if rng.random() < 0.5 else rng.uniform(0.62, 0.8)
    pane = (x > left) & (x < left + 0.26) & (y > 0.08) & (y < 0.58)
    scene[pane] = 0.95 * accent + 0.1
    scene[pane & (np.abs(x - left - 0.13) < 0.008)] = 0.5 * high
    shelf = (y > 0.60) & (y < 0.63)
    scene[shelf] = 0.5 * low
    right = 0.70 - left if left < 0.4 else 0.04
    for start in np.arange(right, right + 0.26, 0.035):
        book = (x > start) & (x < start + 0.028) & (y < 0.60) & (y > 0.60 - rng.uniform(0.08, 0.17))
        scene[book] = rng.uniform(0.3, 0.9) * (accent if rng.random() < 0.4 else high) + rng.uniform(0, 0.2) * low
    return _soften(scene, 0.026)


def _outdoors(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, accent: np.ndarray
) -> np.ndarray:
    sky = _ramp(1.0 - 1.2 * y, 0.75 * high + 0.15, high * 0.9 + 0.05)
    waves = sum(rng.uniform(0.01, 0.05) * np.sin(x * rng.uniform(4, 22) + rng.uniform(0, 6)) for _ in range(4))
    hills = np.clip((y - rng.uniform(0.40, 0.55) - waves) / 0.03, 0, 1)
    scene = sky + hills[..., None] * (0.55 * low + 0.35 * low * y[..., None] - sky)
    sun = np.exp(-((np.hypot(x - rng.uniform(0.1, 0.9), y - 0.2) / 0.3) ** 2))
    return _soften(scene + 0.45 * sun[..., None] * accent, 0.022)


def _soften(scene: np.ndarray, share: float) -> np.ndarray:
    sigma = share * scene.shape[0]
    return cv2.GaussianBlur(scene.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
