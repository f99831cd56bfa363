"""What changes of a detector is named; what it changes by being asked is not laid to anyone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.checks.detector_state import changed, require_unchanged, state_of
from detectors.queries import Queries
from tests.scoring.stand_ins import SIZE, TwoClassPlanted


class Counting(nn.Module):
    """Keeps how often it was called, and with how many pictures the last time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.last, self.gain = 0, 0, 1.0

    def forward(self, images: Tensor) -> Tensor:
        self.calls, self.last = self.calls + 1, len(images)
        return images * self.gain


class Parts(TwoClassPlanted):
    """The same logits by way of a few layers."""

    def __init__(self) -> None:
        super().__init__()
        self.counting, self.pool, self.act, self.other = Counting(), nn.MaxPool2d(1), nn.ReLU(), nn.ReLU()
        self.box = (0, 0)

    def prepare(self, image: Any) -> Tensor:
        self.box = image.shape[:2]
        return super().prepare(image)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.act(self.pool(self.counting(images))))


CHANGES: dict[str, tuple[Callable[[Parts], object], list[str]]] = {
    "a weight": (lambda d: d.pattern.data.mul_(2), ["its weights"]),
    "a hook": (lambda d: d.act.register_forward_hook(lambda m, i, o: None), ["its hooks"]),
    "a class": (
        lambda d: setattr(d.act, "__class__", nn.Identity),
        ["the class of its act", "the mode of its act", "inplace of its act"],
    ),
    "a layer": (
        lambda d: setattr(d, "act", nn.LeakyReLU(0.5).eval()),
        ["the class of its act", "the mode of its act", "negative_slope of its act", "inplace of its act"],
    ),
    "a setting": (lambda d: setattr(d.pool, "ceil_mode", True), ["ceil_mode of its pool"]),
    "a gain": (lambda d: setattr(d.counting, "gain", 2.0), ["gain of its counting"]),
    "a mode": (lambda d: d.pool.train(), ["the mode of its pool"]),
    "a forward": (lambda d: setattr(d.pool, "forward", lambda images: images), ["the class of its pool"]),
    "its classes": (lambda d: setattr(d, "class_names", ("Real", "Forged")), ["its class_names"]),
    "its prepare": (lambda d: setattr(d, "prepare", lambda image: None), ["its prepare"]),
    "a new rectifier": (lambda d: setattr(d, "act", nn.ReLU(inplace=True)), []),
    "one rectifier for two": (lambda d: setattr(d, "act", d.other), []),
    "being asked": (lambda d: Queries(d).logits(torch.rand(3, 3, SIZE, SIZE)), []),
    "being asked about one": (lambda d: Queries(d).logits(torch.rand(1, 3, SIZE, SIZE)), []),
    "a box": (lambda d: setattr(d, "box", (1, 1)), []),
}


class Scripted(TwoClassPlanted):
    """The same logits by way of a script, whose class has no forward."""

    def __init__(self) -> None:
        super().__init__()
        self.script = torch.jit.freeze(torch.jit.script(nn.Identity().eval()))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.script(images))


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_script_is_a_part_like_any_other() -> None:
    detector = Scripted().eval()
    before = state_of(detector)
    assert changed(detector, before) == []
    Queries(detector).logits(torch.rand(2, 3, SIZE, SIZE))
    detector.pattern.data.mul_(2)
    assert changed(detector, before) == ["its weights"]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_is_named(change: str) -> None:
    detector = Parts().eval()
    Queries(detector).logits(torch.rand(2, 3, SIZE, SIZE))
    before = state_of(detector)
    assert changed(detector, before) == []
    make, names = CHANGES[change]
    make(detector)
    assert set(changed(detector, before)) == {*names}
    if names:
        with pytest.raises(InputError, match="Parts is no longer as it was loaded: a part, or its own forward, has"):
            require_unchanged(detector, before, "a part")
    else:
        require_unchanged(detector, before, "a part")
