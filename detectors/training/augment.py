"""Mild changes to a training frame that keep the traces of a forgery."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Augmentation:
    """How far a training frame may be changed; zero everywhere changes nothing.

    Attributes:
        flip: the probability of a mirror image.
        crop: the largest part of either side that is cut away.
        light: the largest relative change of contrast, and of brightness against 255.
        colour: the largest relative change of one channel against the others.
        jpeg: the probability of compressing once more.
        quality: the lowest JPEG quality then; below about 60 the traces themselves go.
    """

    flip: float = 0.5
    crop: float = 0.12
    light: float = 0.15
    colour: float = 0.05
    jpeg: float = 0.3
    quality: int = 70

    def __call__(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A changed copy of a frame (H, W, 3) uint8 RGB; its size may be smaller."""
        image = self._cropped(image, generator)
        if generator.random() < self.flip:
            image = image[:, ::-1]
        image = self._relit(image, generator)
        if generator.random() < self.jpeg:
            image = compressed(image, int(generator.integers(self.quality, 96)))
        return np.ascontiguousarray(image)

    def _cropped(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A window with the frame's own proportions."""
        scale = 1 - generator.uniform(0, self.crop)
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        top = int(generator.integers(image.shape[0] - height + 1))
        left = int(generator.integers(image.shape[1] - width + 1))
        return image[top : top + height, left : left + width]

    def _relit(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Contrast about mid-grey, brightness, and the balance of the channels, as one table per channel."""
        contrast = 1 + generator.uniform(-self.light, self.light)
        brightness = 255 * generator.uniform(-self.light, self.light)
        gains = 1 + generator.uniform(-self.colour, self.colour, 3)
        levels = (np.arange(256) - 128.0) * contrast + 128 + brightness
        tables = np.clip(levels * gains[:, None], 0, 255).round().astype(np.uint8)
        return np.stack([tables[channel][image[..., channel]] for channel in range(3)], axis=-1)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """A frame (H, W, 3) uint8 RGB after JPEG compression at `quality` (1 to 95)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))
