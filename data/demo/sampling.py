"""People, and how they look in a frame, drawn from a numpy generator; traits that go together are drawn together."""

from dataclasses import replace

import numpy as np

from data.demo.traits import Background, Camera, Colour, Expression, Identity, Light, Pose

_SKIN = np.array(
    [[92, 58, 42], [124, 78, 54], [158, 104, 72], [190, 134, 96], [216, 164, 126], [233, 188, 155], [243, 206, 180]]
)
_HAIR = {
    "black": (24, 20, 20),
    "brown": (62, 38, 24),
    "chestnut": (98, 56, 32),
    "auburn": (124, 50, 26),
    "ginger": (176, 88, 38),
    "blond": (204, 160, 96),
    "grey": (148, 146, 146),
    "white": (220, 216, 208),
}
_IRIS = {
    "dark": (50, 30, 20),
    "brown": (96, 56, 28),
    "hazel": (128, 98, 48),
    "green": (92, 122, 78),
    "blue": (78, 124, 168),
    "grey": (120, 138, 150),
}
_CLOTH = [
    (38, 52, 84), (122, 36, 44), (52, 92, 84), (214, 206, 192), (60, 60, 66), (186, 140, 62), (96, 76, 124),
    (200, 108, 92), (92, 128, 162), (128, 138, 96), (232, 228, 224), (40, 92, 112),
]  # fmt: skip


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _near(rng: np.random.Generator, mean: float, spread: float) -> float:
    return float(mean + spread * np.clip(rng.normal(), -2.0, 2.0))


def _rgb(values: np.ndarray | tuple[float, ...]) -> Colour:
    red, green, blue = np.clip(np.asarray(values, float) / 255.0, 0.0, 1.0)
    return float(red), float(green), float(blue)


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    gain, tint = rng.normal(0.0, spread), rng.normal(0.0, spread / 3, 3)
    return _rgb(np.array(colour) * (1.0 + gain + tint) * 255.0)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    return _rgb((np.array(first) * (1 - share) + np.array(second) * share) * 255.0)


def sample_identity(rng: np.random.Generator) -> Identity:
    """A person; traits that go together in people (skin and hair colour, brows and jaw) are drawn together."""
    soft = float(rng.beta(0.8, 0.8))
    tone = _between(rng, 0.0, len(_SKIN) - 1.0)
    skin = _rgb(np.array([np.interp(tone, range(len(_SKIN)), _SKIN[:, channel]) for channel in range(3)]))
    skin = _vary(rng, skin, 0.03)
    hair_name, iris_name = _colours(rng, tone)
    style = _style(rng, soft, tone)
    makeup = float(soft > 0.55) * _between(rng, 0.1, 1.0)
    lip = _mix(_mix(skin, (0.70, 0.28, 0.27), 0.5), (0.66, 0.12, 0.18), 0.5 * makeup * float(rng.random() < 0.6))
    bearded = soft < 0.45 and rng.random() < 0.6
    return Identity(
        softness=soft,
        cheek_width=_near(rng, 0.665 - 0.02 * soft, 0.022),
        jaw_width=_near(rng, 0.50 - 0.12 * soft, 0.03),
        chin=_near(rng, 1.13 - 0.06 * soft, 0.03),
        chin_width=_near(rng, 0.22 - 0.05 * soft, 0.02),
        eye_x=_near(rng, 0.312, 0.012),
        eye_width=_near(rng, 0.168 + 0.014 * soft, 0.008),
        eye_height=_near(rng, 0.078 + 0.018 * soft, 0.008),
        eye_tilt=_near(rng, 0.05 + 0.04 * soft, 0.05),
        eye_depth=_between(rng, 0.0, 1.0),
        iris_radius=_near(rng, 0.096, 0.003),
        brow_y=_near(rng, -0.215 - 0.03 * soft, 0.014),
        brow_width=_near(rng, 0.20, 0.012),
        brow_arch=_near(rng, 0.035 + 0.025 * soft, 0.012),
        brow_weight=_near(rng, 0.046 - 0.016 * soft, 0.005),
        nose_y=_near(rng, 0.40 - 0.02 * soft, 0.02),
        nose_width=_near(rng, 0.145 - 0.025 * soft + 0.02 * (tone < 2.5), 0.012),
        nose_projection=_near(rng, 0.20 - 0.03 * soft, 0.025),
        nose_bridge=_between(rng, 0.0, 1.0),
        mouth_y=_near(rng, 0.665 - 0.02 * soft, 0.015),
        mouth_width=_near(rng, 0.245, 0.016),
        upper_lip=_near(rng, 0.046 + 0.014 * soft + 0.012 * (tone < 2.5), 0.006),
        lower_lip=_near(rng, 0.062 + 0.014 * soft + 0.012 * (tone < 2.5), 0.007),
        ear_size=_near(rng, 1.0, 0.08),
        skin=skin,
        blush=_between(rng, 0.2, 1.0),
        freckles=_between(rng, 0.4, 1.0) if tone > 4 and rng.random() < 0.25 else 0.0,
        lip=lip,
        makeup=makeup,
        iris=_vary(rng, _rgb(_IRIS[iris_name]), 0.08),
        style=style,
        hair=_vary(rng, _rgb(_HAIR[hair_name]), 0.08),
        hair_volume=_between(rng, 0.0, 1.0),
        hair_part=float(rng.choice([-1.0, 1.0])) * _between(rng, 0.15, 0.4),
        beard=_between(rng, 0.5, 1.0) if bearded else 0.0,
        beard_shape=int(rng.integers(3)),
        glasses=int(rng.integers(1, 3)) if rng.random() < 0.18 else 0,
        frame=_rgb([(24, 22, 24), (70, 42, 26), (120, 104, 72), (48, 54, 70)][int(rng.integers(4))]),
        cloth=_vary(rng, _rgb(_CLOTH[int(rng.integers(len(_CLOTH)))]), 0.06),
        collar=int(rng.integers(3)),
        texture=int(rng.integers(2**31)),
    )


def _colours(rng: np.random.Generator, tone: float) -> tuple[str, str]:
    if tone < 2.6:
        hair, iris = "black black black black brown brown grey", "dark dark brown"
    elif tone < 4.2:
        hair, iris = "black black black brown brown chestnut grey", "dark brown brown hazel"
    else:
        hair = "black brown brown chestnut chestnut auburn ginger blond blond blond grey white"
        iris = "brown hazel green blue blue grey"
    return str(rng.choice(hair.split())), str(rng.choice(iris.split()))


def _style(rng: np.random.Generator, soft: float, tone: float) -> str:
    if soft < 0.5:
        styles = ["crop", "crop", "sweep", "sweep", "fringe", "shaved", "curly", "tied"]
    else:
        styles = ["bob", "bob", "long", "long", "tied", "bun", "fringe", "curly", "crop"]
    return str(rng.choice(styles + ["afro", "afro", "curly"] * (tone < 2.6)))


def sample_expression(rng: np.random.Generator) -> Expression:
    """An everyday expression: mostly friendly or neutral, at times speaking or surprised."""
    mood = rng.choice(4, p=(0.25, 0.45, 0.22, 0.08))
    smile = (_between(rng, 0.05, 0.35), _between(rng, 0.45, 1.0), _between(rng, 0.0, 0.35), _between(rng, 0.0, 0.2))
    opened = (0.0, _between(rng, 0.0, 0.45), _between(rng, 0.25, 0.75), _between(rng, 0.4, 0.9))
    return Expression(
        smile=smile[mood],
        open=opened[mood] if opened[mood] > 0.12 else 0.0,
        pucker=_between(rng, 0.2, 0.7) if mood == 2 and rng.random() < 0.5 else 0.0,
        brow_raise=_between(rng, 0.5, 1.0) if mood == 3 else _between(rng, -0.1, 0.35),
        frown=_between(rng, 0.2, 0.7) if mood in (0, 2) and rng.random() < 0.2 else 0.0,
        lids=_between(rng, 0.86, 1.0) - 0.12 * max(smile[mood], 0.0) + 0.08 * (mood == 3),
        gaze=(_near(rng, 0.0, 0.2), _near(rng, 0.0, 0.1)),
    )


def sample_pose(rng: np.random.Generator) -> Pose:
    """A pose of a person who talks to the camera."""
    return Pose(
        yaw=_near(rng, 0.0, 0.2),
        pitch=_near(rng, 0.0, 0.07),
        roll=_near(rng, 0.0, 0.05),
        shift=(_near(rng, 0.0, 0.03), _near(rng, 0.0, 0.03)),
        scale=_between(rng, 0.95, 1.08),
    )


def sample_light(rng: np.random.Generator) -> Light:
    """A light as photographers set it: a key from above and one side, a softer sky, and a rim from behind."""
    warm = _between(rng, -1.0, 1.0)
    return Light(
        azimuth=float(rng.choice([-1.0, 1.0])) * _between(rng, 0.2, 0.85),
        elevation=_between(rng, 0.35, 0.8),
        key=(1.0, 0.955 - 0.03 * warm, 0.90 - 0.09 * warm),
        strength=_between(rng, 0.85, 1.1),
        sky=(0.93 - 0.05 * warm, 0.96, 1.0 + 0.04 * warm),
        fill=_between(rng, 0.42, 0.62),
        rim=_between(rng, 0.2, 0.8),
        exposure=_between(rng, 0.94, 1.06),
    )


def sample_background(rng: np.random.Generator) -> Background:
    """A place with a few harmonious, muted colours."""
    palettes = [
        ((58, 74, 96), (148, 168, 186), (236, 214, 170)), ((92, 72, 64), (196, 170, 146), (250, 224, 180)),
        ((48, 62, 58), (142, 164, 138), (226, 230, 190)), ((110, 116, 128), (212, 216, 222), (250, 250, 246)),
        ((52, 44, 66), (146, 122, 158), (246, 190, 170)), ((36, 66, 78), (116, 170, 176), (244, 220, 168)),
        ((120, 92, 72), (226, 198, 162), (252, 240, 214)), ((40, 42, 50), (108, 112, 122), (240, 170, 110)),
    ]  # fmt: skip
    low, high, accent = palettes[int(rng.integers(len(palettes)))]
    return Background(
        kind=int(rng.integers(4)),
        low=_vary(rng, _rgb(low), 0.05),
        high=_vary(rng, _rgb(high), 0.05),
        accent=_vary(rng, _rgb(accent), 0.03),
        seed=int(rng.integers(2**31)),
    )


def sample_camera(rng: np.random.Generator) -> Camera:
    """A decent camera: sharp, a little noise, a light JPEG."""
    return Camera(
        blur=_between(rng, 0.3, 0.5),
        noise=_between(rng, 1.2, 2.4),
        quality=int(rng.integers(90, 97)),
        seed=int(rng.integers(2**31)),
    )


def vary_pose(rng: np.random.Generator, pose: Pose) -> Pose:
    """The same pose a moment later."""
    return replace(
        pose,
        yaw=_near(rng, pose.yaw, 0.05),
        pitch=_near(rng, pose.pitch, 0.025),
        roll=_near(rng, pose.roll, 0.02),
        shift=(_near(rng, pose.shift[0], 0.01), _near(rng, pose.shift[1], 0.01)),
    )


def vary_light(rng: np.random.Generator, light: Light) -> Light:
    """The same light a moment later."""
    return replace(light, azimuth=_near(rng, light.azimuth, 0.04), exposure=_near(rng, light.exposure, 0.015))
