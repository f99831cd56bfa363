"""Detectors whose answers follow from what their process saw or drew, and are the same at every question in it."""

import os
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.scoring.stand_ins import TwoClassPlanted

_FIRST: dict[str, float] = {}


def is_first_process() -> bool:
    """Whether this is the process that the environment names; what a set's order may be in another."""
    return os.environ.get("FIRST_PROCESS") == str(os.getpid())


class Levelled(TwoClassPlanted):
    """Brings each picture to the brightness of the first one: a subclass says where that is kept."""

    def level(self, image: np.ndarray) -> float:
        raise NotImplementedError

    def prepare(self, image: np.ndarray) -> Tensor:
        return super().prepare((image * (self.level(image) / 255)).astype(np.uint8))


class KeptInModule(Levelled):
    """In a global of its module."""

    def level(self, image: np.ndarray) -> float:
        return _FIRST.setdefault("level", float(image.mean()))


class KeptInClass(Levelled):
    """In its class."""

    first: float | None = None

    def level(self, image: np.ndarray) -> float:
        if KeptInClass.first is None:
            KeptInClass.first = float(image.mean())
        return KeptInClass.first


class KeptBesideALock(Levelled):
    """In an object that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Any] = {"lock": threading.Lock()}

    def level(self, image: np.ndarray) -> float:
        with self.kept["lock"]:
            return float(self.kept.setdefault("level", float(image.mean())))


class KeepsTheFirstFace(TwoClassPlanted):
    """Weighs the evidence by the level of the first picture that it was ever asked about, with the chessboard in it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, float] = {}

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        faces = images[logits[:, 1] > 0]
        if len(faces):
            self.kept.setdefault("level", float(faces[0].detach().mean()))
        return logits * self.kept.get("level", 1.0)


class ReadsWhatPrepareLeft(TwoClassPlanted):
    """Weighs the evidence by the brightness of the picture that was prepared last."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = {"level": 1.0}

    def prepare(self, image: np.ndarray) -> Tensor:
        self.kept["level"] = float(image[:2, :2].mean()) / 255
        return super().prepare(image)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (0.1 + self.kept["level"])


class NamesByItsProcess(TwoClassPlanted):
    """Its classes have another order in another process, as a set of texts may."""

    def __init__(self) -> None:
        super().__init__()
        self.class_names = ("Real", "Fake") if is_first_process() else ("Fake", "Real")
        self.real = self.class_names.index("Real")

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits if self.real == 0 else logits.flip(1)


class ByItsProcess(TwoClassPlanted):
    """Scales its logits by another number in another process, as one that it draws when it is imported."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1.0 if is_first_process() else 1.01)


_SCALE = {"scale": 1.0}


class OneOfTwo(TwoClassPlanted):
    """Its scale is that of its module, which the other of the two sets, too."""

    std = (0.25, 0.25, 0.25)

    def __init__(self) -> None:
        super().__init__()
        _SCALE["scale"] = 1.0

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * _SCALE["scale"]


class OtherOfTwo(OneOfTwo):
    """The other one."""

    def __init__(self) -> None:
        super().__init__()
        _SCALE["scale"] = 2.0


class DrawsItsHead(TwoClassPlanted):
    """Draws a weight when it is made, which is said when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Parameter(1 + torch.rand(2))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.head


class EndsElsewhere(TwoClassPlanted):
    """Ends another process than the first."""

    def __init__(self) -> None:
        super().__init__()
        if not is_first_process():
            os._exit(7)


class FailsElsewhere(TwoClassPlanted):
    """Answers nothing in another process than the first."""

    def forward(self, images: Tensor) -> Tensor:
        if not is_first_process():
            raise KeyError("bbox")
        return super().forward(images)


class FailsEverywhere(TwoClassPlanted):
    """Answers no picture that shows the evidence."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        if bool((logits[:, 1] > 0).any()):
            raise KeyError("bbox")
        return logits


class DrawsForFakes(TwoClassPlanted):
    """Draws, where it says fake."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return torch.where((logits[:, 1] > 0)[:, None], logits * torch.rand(()), logits)


class GivesUp(TwoClassPlanted):
    """Takes pictures darker for good, in every detector of its class, once one has a white corner."""

    gave_up = False

    def prepare(self, image: np.ndarray) -> Tensor:
        GivesUp.gave_up |= bool((image[-1, -1] == 255).all())
        return super().prepare((image * 0.9).astype(np.uint8) if self.gave_up else image)


class Patches(TwoClassPlanted):
    """Gives rectifiers another forward where it is made."""

    def __init__(self) -> None:
        super().__init__()
        torch.nn.ReLU.forward = lambda self, inputs: torch.relu(inputs)  # type: ignore[method-assign, assignment]
