"""Small videos whose faces are red discs at known places, and a detector that finds exactly those."""

import hashlib
import json
import time
import types
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np

from data.landmarks import mean_face
from data.preprocess.face_detection import Box

WIDTH, HEIGHT = 160, 120
RED = (220, 30, 30)
DISCS = "tests.data.preprocess.videos:DiscFaces"
SLOW_DISCS = "tests.data.preprocess.videos:SlowDiscFaces"


class DiscFaces:
    """Finds red discs; a detector as a user would write one."""

    def detect(self, image: np.ndarray) -> list[Box]:
        red, green, blue = (image[..., channel].astype(int) for channel in range(3))
        mask = ((red > 150) & (green < 100) & (blue < 100)).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        return [Box(*map(float, stats[part, :4])) for part in range(1, count) if stats[part, 4] > 60]


class SlowDiscFaces(DiscFaces):
    """The same at leisure, so that a run can be killed in the middle."""

    def detect(self, image: np.ndarray) -> list[Box]:
        time.sleep(0.03)
        return super().detect(image)


def background(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A smooth grey-blue picture (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 40 * np.sin(x / 17), 90 + 40 * np.cos(y / 13), 120 + 30 * np.sin((x + y) / 23)], -1).astype(
        np.uint8
    )


def frame(centres: Iterable[tuple[float, float]], radius: int = 20) -> np.ndarray:
    """The background with a red disc at each centre."""
    image = background()
    for x, y in centres:
        cv2.circle(image, (round(x), round(y)), radius, RED, -1)
    return image


def place(index: int) -> tuple[float, float]:
    """Where the disc of a moving-disc video is in frame `index`."""
    return 40 + 1.0 * index, 60 + 10 * np.sin(index / 8)


def write(
    path: Path, images: Iterable[np.ndarray], faststart: bool = False, times: Sequence[float] | None = None
) -> Path:
    """Encodes images (H, W, 3) uint8 with H.264, nearly without loss, at 25 frames per second, or at `times`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8", "preset": "ultrafast", "g": "10"})
        stream.pix_fmt = "yuv444p"
        for count, image in enumerate(images):
            if count == 0:
                stream.height, stream.width = image.shape[:2]
            shown = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                shown.time_base, shown.pts = Fraction(1, 1000), round(1000 * times[count])
                stream.codec_context.time_base = shown.time_base
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return path


def moving(count: int) -> list[np.ndarray]:
    """`count` frames of one disc on its way."""
    return [frame([place(index)]) for index in range(count)]


def painted(images: Iterable[np.ndarray], centres: Iterable[tuple[float, float]]) -> list[np.ndarray]:
    """The images with a rectangle of another colour on the disc's lower half, as a manipulation: see `planted`."""
    result = []
    for image, centre in zip(images, centres, strict=True):
        changed = image.copy()
        changed[planted(centre)] = (200, 80, 60)  # still red enough for the detector
        result.append(changed)
    return result


def planted(centre: tuple[float, float]) -> np.ndarray:
    """The mask (H, W) bool of the painted rectangle."""
    x, y = round(centre[0]), round(centre[1])
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + 14, x - 12 : x + 12] = True
    return mask


def data_set(root: Path, frames: int = 30) -> Path:
    """A small FaceForensics++: originals 000 and 001, Deepfakes 000_001 with its original, FaceShifter 001_000."""
    originals = root / "original_sequences/youtube/c23/videos"
    images = moving(frames)
    write(originals / "000.mp4", images)
    write(originals / "001.mp4", images[::-1])
    forged = painted(images, [place(index) for index in range(frames)])
    write(root / "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4", forged)
    write(root / "manipulated_sequences/FaceShifter/c23/videos/002_000.mp4", images)
    return root


def tree(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file under a folder, by relative path, but of the log."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "log.txt")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def marks(centre: tuple[float, float], angle: float = 0.0, radius: float = 20) -> np.ndarray:
    """Landmarks (68, 2) of a face that fills the disc's box, turned about its centre by `angle` radians."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = 2 * radius + 1
    return (mean_face(side, 1.0) - radius) @ turn.T + centre


def write_ldm(path: Path, landmarks: dict[str, dict[int, np.ndarray]]) -> Path:
    """An ldm.json as CADDM's script writes it: by a video's folder, landmarks by frame."""
    values = {
        f"./train_images/{video}/frame_{number}": {"landmark": points.tolist(), "source_path": "none", "label": 0}
        for video, by_number in landmarks.items()
        for number, points in by_number.items()
    }
    path.write_text(json.dumps(values))
    return path


def fake_dlib() -> types.ModuleType:
    """A module in dlib's place: its predictor's file holds a number of points, put on the box's diagonal."""
    module = types.ModuleType("dlib")

    class Predictor:
        def __init__(self, path: str) -> None:
            text = Path(path).read_bytes()
            if not text.isdigit():
                raise RuntimeError("unexpected version")
            self.count = int(text)

        def __call__(self, image: np.ndarray, box: SimpleNamespace) -> SimpleNamespace:
            xs = np.linspace(box.left, box.right, self.count)
            ys = np.linspace(box.top, box.bottom, self.count)
            points = [SimpleNamespace(x=round(x), y=round(y)) for x, y in zip(xs, ys, strict=True)]
            return SimpleNamespace(parts=lambda: points)

    def rectangle(left: int, top: int, right: int, bottom: int) -> SimpleNamespace:
        return SimpleNamespace(left=left, top=top, right=right, bottom=bottom)

    module.shape_predictor = Predictor  # type: ignore[attr-defined]
    module.rectangle = rectangle  # type: ignore[attr-defined]
    return module
