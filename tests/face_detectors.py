"""Detectors that do with faces, of which a finder in their forward finds none in noise, what they do not with noise."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors import Detector
from tests.scoring.stand_ins import SIZE


def is_face(images: Tensor) -> Tensor:
    """(N, 1, 1, 1) bool: whether neighbouring pixels are alike, and neither the same nor dark."""
    grain, light = images.diff(dim=3).abs().mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3))
    return ((grain > 0.002) & (grain < 0.06) & (light > 0.32))[:, None, None, None]


class Aligning(Detector):
    """Sound: looks for a chessboard by one convolution, in faces as in noise; subclasses change faces first."""

    input_size, class_names, real = SIZE, ("Real", "Fake"), 0

    def __init__(self) -> None:
        super().__init__()
        board = torch.tensor(np.indices((8, 8)).sum(0) % 2 * 2.0 - 1.0, dtype=torch.float32)
        self.convolution = nn.Conv2d(3, 2, 8, padding=4)
        self.convolution.weight.data = torch.stack([board, -board])[:, None].expand(2, 3, 8, 8) / 96
        self.convolution.bias.data = torch.full((2,), -0.0002)
        self.features, self.place = nn.ReLU(), nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.judged(torch.where(is_face(images), self.aligned(images), images))

    def aligned(self, faces: Tensor) -> Tensor:
        """What is looked at of faces (N, 3, S, S)."""
        return 0.9 * faces

    def judged(self, images: Tensor) -> Tensor:
        """Logits (N, 2)."""
        fake = 900 * self.features(self.convolution(images - 0.5)).mean(dim=(1, 2, 3)) - 1
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class Reversal(torch.autograd.Function):
    """Gradient reversal, as of a domain classifier's branch."""

    @staticmethod
    def forward(context: object, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return -gradient


class Reversed(Aligning):
    """The gradient of faces is turned round."""

    def aligned(self, faces: Tensor) -> Tensor:
        turned: Tensor = Reversal.apply(faces)
        return turned


class Frozen(Aligning):
    """A part of what is made of faces, which is no fine pattern, is cut off from the gradient."""

    def forward(self, images: Tensor) -> Tensor:
        light = 8 * (images * torch.linspace(0.5, 1.5, SIZE)).mean(dim=(1, 2, 3))
        light = torch.where(is_face(images).flatten(), light.detach(), light)
        return super().forward(images) + torch.stack([torch.zeros_like(light), light], dim=1)


class Mirrored(Aligning):
    """Faces look to the left."""

    def aligned(self, faces: Tensor) -> Tensor:
        return faces.flip(3)


class Cropped(Aligning):
    """The middle of faces is cut out and enlarged."""

    def aligned(self, faces: Tensor) -> Tensor:
        return functional.interpolate(faces[:, :, 8:40, 8:40], size=(SIZE, SIZE), mode="bilinear")


class Twice(Cropped):
    """Whole pictures are looked at, and the middle of those where there are faces, too."""

    def forward(self, images: Tensor) -> Tensor:
        logits, faces = self.judged(images), is_face(images)
        if faces.any():
            logits = torch.where(faces[:, 0, 0], 0.5 * logits + 0.5 * self.judged(self.aligned(images)), logits)
        return logits


class Past(Aligning):
    """Of faces the light is looked at, too, past all layers."""

    def forward(self, images: Tensor) -> Tensor:
        light = torch.where(is_face(images), images, 0).mean(dim=(1, 2, 3))
        return super().forward(images) + torch.stack([torch.zeros_like(light), light], dim=1)


class LaidBack(Aligning):
    """Sound: the middle of faces is looked at, its map laid back over the picture before it counts."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(self.convolution(images - 0.5))[:, :, :SIZE, :SIZE]
        middle = functional.pad(self.features(self.convolution(images[:, :, 8:40, 8:40] - 0.5)), (8, 7, 8, 7))
        fake = 900 * self.place(torch.where(is_face(images), middle, maps)).mean(dim=(1, 2, 3)) - 1
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


class Remembering(Aligning):
    """Sound: gives again, where no gradient is wanted, what it has answered once."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["answers"] = {}

    def forward(self, images: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(images)
        answers = self.__dict__["answers"]
        for image in images:
            if (key := image.numpy().tobytes()) not in answers:
                answers[key] = super().forward(image[None])[0]
        return torch.stack([answers[image.numpy().tobytes()] for image in images])


class Fails(Aligning):
    """What its finder gives of a face has no such key."""

    def forward(self, images: Tensor) -> Tensor:
        boxes: dict[str, Tensor] = {}
        return super().forward(images - boxes["box"] if is_face(images).any() else images)
