"""What a demo face is made of: who it is, and how it looks in one frame.

Lengths are in head units: the origin lies between the eyes, x points to the image's right, y down, z towards the
camera; a head is about 1.5 wide and 2.2 tall. Colours are sRGB in [0, 1], angles radians.
"""

from dataclasses import dataclass

Colour = tuple[float, float, float]

STYLES = ("crop", "sweep", "fringe", "bob", "long", "tied", "bun", "curly", "afro", "shaved")


@dataclass(frozen=True)
class Identity:
    """What stays the same in every frame of a person."""

    softness: float  # 0: heavy jaw and brows; 1: slight ones
    cheek_width: float
    jaw_width: float
    chin: float  # y of the chin
    chin_width: float
    eye_x: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    eye_depth: float
    iris_radius: float
    brow_y: float
    brow_width: float
    brow_arch: float
    brow_weight: float
    nose_y: float
    nose_width: float
    nose_projection: float
    nose_bridge: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    ear_size: float
    skin: Colour
    blush: float
    freckles: float
    lip: Colour
    makeup: float
    iris: Colour
    style: str
    hair: Colour
    hair_volume: float
    hair_part: float
    beard: float
    beard_shape: int  # 0: full, 1: moustache and chin, 2: stubble
    glasses: int  # 0: none, 1: round, 2: square
    frame: Colour
    cloth: Colour
    collar: int  # 0: round, 1: deep, 2: high
    texture: int  # seed of the skin's and hair's texture


@dataclass(frozen=True)
class Expression:
    """What a face does: 0 is relaxed, 1 strong; `gaze` is the direction of both eyes, right and down positive."""

    smile: float = 0.0
    open: float = 0.0
    pucker: float = 0.0
    brow_raise: float = 0.0
    frown: float = 0.0
    lids: float = 1.0  # 1: open, 0: closed
    gaze: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pose:
    """Turn of the head and its place in the frame."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0


@dataclass(frozen=True)
class Light:
    """One key light, a sky, and a rim light; `azimuth` and `elevation` are the key's."""

    azimuth: float = -0.6
    elevation: float = 0.6
    key: Colour = (1.0, 0.96, 0.9)
    strength: float = 1.0
    sky: Colour = (0.9, 0.95, 1.0)
    fill: float = 0.5
    rim: float = 0.4
    exposure: float = 1.0


@dataclass(frozen=True)
class Background:
    """A blurred place behind the head: `kind` 0 studio gradient, 1 lights, 2 room, 3 outdoors."""

    kind: int
    low: Colour
    high: Colour
    accent: Colour
    seed: int


@dataclass(frozen=True)
class Camera:
    """What the camera adds: blur and noise in pixels and levels, JPEG quality, and the noise's seed."""

    blur: float
    noise: float
    quality: int
    seed: int


@dataclass(frozen=True)
class Shot:
    """Everything that decides one picture of a person."""

    identity: Identity
    expression: Expression
    pose: Pose
    light: Light
    background: Background
    camera: Camera
