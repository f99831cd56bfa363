"""What a detector is: images in [0, 1] to logits, with its own normalisation, size and classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from data.masks import stretched
from detectors.answers import asking, check_answer

REAL = "Real"


@dataclass(frozen=True)
class Reading:
    """How the network of a file that another software wrote is read.

    Attributes:
        mean: RGB in [0, 1], subtracted from the image.
        std: RGB, divides it then.
        said: what the user says, each in words.
        assumed: what neither the file, nor the detector's name, nor the user says, likewise.
        source: whose settings were assumed.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    said: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    source: str = ""


class Detector(nn.Module):
    """Base of every detector: subclasses set the attributes below and define `forward`.

    `forward(images)` takes (N, 3, S, S) float32 RGB in [0, 1] and returns logits (N, C); normalisation happens
    inside it and nowhere else. A network with one logit z is presented as the two classes [0, z]. Every answer to a
    call is looked at (`detectors.answers`), wherever `forward` is from: one that is not N rows of C finite logits is
    refused.

    Attributes:
        input_size: S, the side in pixels of the square input.
        class_names: C names; the class that accepts a frame is named "Real".
        real: the index of "Real" in `class_names`.
        mean: the RGB colour in [0, 1] that the normalisation maps to zero, which hides a pixel best.
        std: RGB, what the normalisation divides by; None where the detector does not say.
        colour_order: "RGB", or "BGR" where it turns the RGB that it is given over for its network.
        antialias: whether `resize` smooths before it shrinks; each detector states how it was trained.
        most_images: how many images at a time its device was found to have memory for; None where it never ran out.
        most_gradient_images: likewise, where they go forward and backward.
        memory_format: how images lie in memory when it is asked: channels last, which convolutions are fastest with, or
            `torch.contiguous_format` where its forward needs that (a `view` of feature maps); `detectors.load` finds
            out.
        least_noise: the least standard deviation, in pixel units, of noise that moves its answers: more than 0 where
            it is asked about pictures of 8 bits.
        reading: how the network of another software's file is read; None for any other detector.
        weights_sha256: of the checkpoint file, or of the weights where there is none; `detectors.load` sets it.
    """

    input_size: int
    class_names: tuple[str, ...]
    real: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] | None = None
    colour_order: str = "RGB"
    antialias: bool = False
    most_images: int | None = None
    most_gradient_images: int | None = None
    memory_format: torch.memory_format = torch.channels_last
    least_noise: float = 0.0
    reading: Reading | None = None
    weights_sha256: str | None = None

    def __call__(self, images: Tensor, *more: Any, **named: Any) -> Tensor:
        """The logits (N, C) of images (N, 3, S, S), looked at; a verdict asks so, never by `forward`.

        They are a copy: what gives each answer in the same memory (a graph captured on a GPU, an engine with a buffer
        for its outputs) would change those that were given before. A library's hooks may give more than one answer to
        an image, as captum's do: then who asks looks at it (`detectors.queries.answer` does).

        Raises InputError for what is no logits, and where `forward` raises (`detectors.answers.ForwardError`).
        """
        training = self.training  # before the call, which might change it
        with asking(self, images):
            logits: Tensor = super().__call__(images, *more, **named)
        if not (self._forward_pre_hooks and self._forward_hooks):
            check_answer(self, images, logits, training)
        return logits.clone() if isinstance(logits, Tensor) else logits

    @property
    def identity(self) -> str:
        """What tells detectors apart: the SHA-256 of the weights, and what the user said of how they are read."""
        said = () if self.reading is None else self.reading.said
        return f"{self.weights_sha256} ({'; '.join(said)})" if said else str(self.weights_sha256)

    def label_of(self, family: str | None) -> int | None:
        """The class that a frame of `family` belongs to, or None where this detector has no such class.

        A detector of two classes takes every manipulation as its other class; one that distinguishes families
        knows only those it names. An unknown family (None) has no class.
        """
        if family is None:
            return None
        if family == REAL:
            return self.real
        if family in self.class_names:
            return self.class_names.index(family)
        return 1 - self.real if len(self.class_names) == 2 else None

    def prepare(self, image: np.ndarray) -> Tensor:
        """One frame (H, W, 3) uint8 RGB as this detector's input: (3, S, S) float32 in [0, 1]."""
        return resize(image, self.input_size, self.antialias)

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        """A frame's mask (H, W) bool as `prepare` moves its pixels: (S, S) bool. Overridden where `prepare` is."""
        return stretched(mask, (self.input_size, self.input_size))


def resize(image: np.ndarray, size: int, antialias: bool) -> Tensor:
    """A frame (H, W, 3) uint8 RGB resized by bicubic interpolation: (3, size, size) float32 in [0, 1].

    The interpolation works on bytes, so the result is rounded to 1/255 and stays in range; it is byte for byte
    torchvision's `v2.Resize(..., BICUBIC, antialias)` of a uint8 image. An image of that size already is only
    scaled to [0, 1]; one that is not square is stretched to the square, so that no part of a face is cut off.

    Raises InputError for another array: values in [0, 1], say, would become a picture that is nearly black.
    """
    require_picture(image)
    pixels = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)
    if pixels.shape[1:] != (size, size):
        pixels = functional.interpolate(
            pixels[None], (size, size), mode="bicubic", antialias=antialias, align_corners=False
        )[0]
    return pixels.float().div(255.0).contiguous()


def require_picture(image: object) -> None:
    """Raises InputError where a frame is no array (H, W, 3) uint8."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
        raise InputError(f"a frame is a numpy array (H, W, 3) uint8 in RGB, got {got}")


def to_pictures(images: Tensor) -> np.ndarray:
    """Images (N, 3, H, W) in [0, 1], on any device, as pictures (N, H, W, 3) uint8 RGB: values rounded to 8 bits.

    A value outside [0, 1] becomes the nearest that a picture has.
    """
    pictures: np.ndarray = images.clamp(0.0, 1.0).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return pictures
