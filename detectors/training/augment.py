"""Changes to a training frame: mild ones that keep the traces of a forgery, and those of robust training."""

import io
from dataclasses import dataclass

import cv2
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
        blur: the largest standard deviation of a Gaussian blur, in pixels of a frame of 256.
        noise: the largest standard deviation of Gaussian noise, in levels of 255.
    """

    flip: float = 0.5
    crop: float = 0.12
    light: float = 0.15
    colour: float = 0.05
    jpeg: float = 0.3
    quality: int = 70
    blur: float = 0.0
    noise: float = 0.0

    def __call__(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A changed copy of a frame (H, W, 3) uint8 RGB; its size may be smaller."""
        image = self._cropped(image, generator)
        if generator.random() < self.flip:
            image = image[:, ::-1]
        image = self._relit(image, generator)
        if self.blur:
            sigma = generator.uniform(0, self.blur) * min(image.shape[:2]) / 256
            image = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), sigma) if sigma > 0.05 else image
        if self.noise:
            spread = generator.uniform(0, self.noise)
            image = np.clip(image + generator.normal(0, spread, image.shape), 0, 255).round().astype(np.uint8)
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


AUGMENTATIONS = {
    "weak": Augmentation(jpeg=0.3, quality=85, blur=0.3, noise=1.0),
    "strong": Augmentation(jpeg=0.8, quality=30, blur=2.0, noise=10.0),
}
"""Compression, blur and noise for training networks that should bear them; the published strengths are not known.

"weak" stays below the traces of a forgery, "strong" is stronger than the faintest of them.
"""
