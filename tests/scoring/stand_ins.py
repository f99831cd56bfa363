"""Frames and detectors whose answers are known: only a faint pattern in the centre makes a frame fake."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attacks import Batch, RegionAttack
from common.seeds import generator
from data.entry import Entry
from data.frames import CLASS_NAMES
from data.index import write_index
from detectors import Detector, Queries
from xai.base import Fill, Score

SIZE = 48
CENTRE = slice(17, 33)  # one of the nine segments that TINY gives
AMPLITUDE = 0.04
PATTERN = torch.tensor(np.indices((16, 16)).sum(0) % 2 * 2.0 - 1.0, dtype=torch.float32)  # a chessboard of -1 and 1
TINY = (
    "segments.count=9",
    "segments.compactness=1000",
    "LIME.samples=100",
    "SHAP.evaluations=100",
    "SOBOL.grid=3",
    "SOBOL.designs=8",
    "RISE.samples=800",
    "RISE.cells=4",
    "blur.kernel=16",
    "adversarial.pairs=30",
    "adversarial.steps=24",
    "adversarial.step=2/255",
    "nes.pairs=20",
    "nes.steps=20",
    "nes.step=2/255",
)


class PlantedDetector(Detector):
    """Says fake while the centre correlates with a chessboard pattern; the first pixels' grey says which family.

    The pattern's mean is zero, so any fill without it (mean colour, blur, a segment's mean) hides the evidence.
    """

    class_names = CLASS_NAMES
    real = 0

    def __init__(self) -> None:
        super().__init__()
        self.input_size = SIZE
        self.pattern = torch.nn.Parameter(PATTERN.clone())
        self.register_buffer("greys", torch.arange(1, 5) / 5)

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1)
        match = (grey[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        family = -10 * (grey[:, :2, :2].mean(dim=(1, 2))[:, None] - self.greys).abs()
        fake = 800 * (match - 0.75 * AMPLITUDE)
        return torch.cat([torch.zeros_like(fake)[:, None], fake[:, None] + family], dim=1)


class TwoClassPlanted(PlantedDetector):
    """The same as a detector of two classes."""

    class_names = ("Real", "Fake")

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return torch.stack([logits[:, 0], logits[:, 1:].logsumexp(dim=1)], dim=1)


class Normalised(PlantedDetector):
    """One that says what its normalisation divides by, as the published evaluation needs, and how often it was made."""

    std = (0.25, 0.25, 0.25)
    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1


class Bare(PlantedDetector):
    """One that never says fake."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) - 100 * (torch.arange(5) > 0)


@dataclass(frozen=True)
class Eraser(RegionAttack):
    """Knows the pattern and removes it in one step, as far as it may."""

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        erased = batch.images.clone()
        erased[:, :, CENTRE, CENTRE] -= AMPLITUDE * PATTERN
        return erased


def clueless(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """An explainer that finds nothing."""
    return np.zeros(segments.shape, dtype=np.float32)


def guess(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """An explainer that draws a saliency for each segment."""
    return (1 - generator.random(int(segments.max()) + 1)).astype(np.float32)[segments]


GUESS = "tests.scoring.stand_ins:guess"


def picture(key: str, family: str, planted: bool = True) -> np.ndarray:
    """A soft background with the family's grey in a corner and, where planted, the pattern in the centre."""
    draws = generator(0, key)
    coarse = torch.tensor(draws.uniform(0.35, 0.65, (1, 3, 4, 4)), dtype=torch.float32)
    image = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")[0]
    image[:, CENTRE, CENTRE] = image[:, CENTRE, CENTRE].mean(dim=(1, 2), keepdim=True)
    if planted:
        image[:, CENTRE, CENTRE] += AMPLITUDE * PATTERN
    image[:, :2, :2] = CLASS_NAMES.index(family) / 5 if family in CLASS_NAMES else 0.4
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


def write_frames(folder: Path, videos: int = 2, frames: int = 1, families: tuple[str, ...] = CLASS_NAMES[1:]) -> Path:
    """Writes planted frames of each family as PNG with an index; returns the index."""
    entries = []
    for video in range(videos):
        for family in families:
            for number in range(frames):
                key = f"manipulated_sequences/{family}/c23/videos/{video:03d}.mp4/{number:04d}.png"
                save(folder, key, picture(key, family))
                label = CLASS_NAMES.index(family) if family in CLASS_NAMES else None
                entries.append(Entry(key, True, label))
    write_index(folder / "index.csv", entries)
    return folder / "index.csv"


def save(folder: Path, key: str, image: np.ndarray) -> None:
    """Writes one picture under its key."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
