"""What a detector computes with and does not own is found wherever it is kept, and no more than that."""

import weakref

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import _get_current_dispatch_mode

from common.errors import InputError
from detectors import load
from detectors.base import Detector
from detectors.checks.foreign_tensors import LEAST, _Watch, foreign_tensors
from detectors.randomised import randomised
from tests.xai.helpers import SmallNetwork

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
KEPT: dict[str, nn.Module] = {}


class Folded(SmallNetwork):
    """Its convolution's weights are a plain tensor, as where a norm is folded into them."""

    def __init__(self) -> None:
        super().__init__()
        self.folded = 2 * self.convolution.weight.detach()
        self.few = torch.rand(LEAST - 1)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.conv2d(images - 0.5, self.folded, self.convolution.bias, stride=2).relu()
        return self.linear(functional.adaptive_avg_pool2d(features, 4).flatten(1)) + self.few[:3]


class Averaged(SmallNetwork):
    """Asked with averages of its weights, which are in a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.average = {"kept": [{name: value.detach().clone() for name, value in self.named_parameters()}]}

    def forward(self, images: Tensor) -> Tensor:
        return torch.func.functional_call(SmallNetwork(), self.average["kept"][0], (images,))


class Shared(SmallNetwork):
    """Its convolution is that of a global, made once for all."""

    def forward(self, images: Tensor) -> Tensor:
        features = KEPT.setdefault("convolution", nn.Conv2d(3, 8, 5, stride=2))(images - 0.5).relu()
        return self.linear(functional.adaptive_avg_pool2d(features, 4).flatten(1))


class InFunction(SmallNetwork):
    """Its convolution's weights are in a function's closure."""

    def __init__(self) -> None:
        super().__init__()
        weight = self.convolution.weight.detach().clone()
        self.features = lambda images: functional.conv2d(images, weight, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(functional.adaptive_avg_pool2d(self.features(images), 4).flatten(1))


class Transposed(SmallNetwork):
    """Its head's weights are a plain tensor, which is made ready in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = self.linear.weight.detach().clone()

    def forward(self, images: Tensor) -> Tensor:
        features = functional.adaptive_avg_pool2d(self.convolution(images - 0.5).relu(), 4).flatten(1)
        return features @ (2 * self.ready).t() + self.linear.bias


class Placed(SmallNetwork):
    """Adds a table of positions that was kept, and numbers that are made in each pass; computes with what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = {32: torch.linspace(0, 1, 32).repeat(3, 32, 1)}

    def forward(self, images: Tensor) -> Tensor:
        images = images + 0.1 * self.tables[32] + torch.tensor([[0.01 * n for n in range(32)] for _ in range(32)])
        smooth = torch.from_numpy(np.full((3, 1, 5, 5), 0.04, np.float32))
        return super().forward(functional.conv2d(images, smooth, padding=2, groups=3))


class Head(nn.Module):
    """Reaches the convolution of its network by a weak reference."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(8 * 16, 3)
        self.network = weakref.ref(network)

    def forward(self, images: Tensor) -> Tensor:
        features = self.network().convolution(images - 0.5).relu()  # type: ignore[union-attr, operator]
        return self.linear(functional.adaptive_avg_pool2d(features, 4).flatten(1))


class ByWeakReference(SmallNetwork):
    """Asked by its head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Head(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (Folded, {(8, 3, 5, 5)}),
        (Averaged, {(8, 3, 5, 5), (128, 3)}),
        (Shared, {(8, 3, 5, 5)}),
        (InFunction, {(8, 3, 5, 5)}),
        (Transposed, {(128, 3)}),
        (Placed, set()),
        (SmallNetwork, set()),
        (ByWeakReference, set()),
    ],
)
def test_what_no_attribute_of_torch_holds_is_found(kind: type[Detector], shapes: set[tuple[int, ...]]) -> None:
    detector = kind().eval()
    detector(IMAGES)  # what is made at the first call
    assert set(foreign_tensors(detector, IMAGES)) == shapes


class Timm(Detector):
    """A network of timm."""

    class_names, real, input_size = ("Real", "Fake"), 0, 64

    def __init__(self, network: str) -> None:
        super().__init__()
        self.network = timm.create_model(network, num_classes=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


@pytest.mark.parametrize("network", ["test_efficientnet", "resnet10t", "mobilenetv3_small_050", "legacy_xception"])
def test_sound_networks_have_none(network: str) -> None:
    detector = Timm(network).eval()
    assert foreign_tensors(detector, IMAGES.repeat(1, 1, 2, 2)) == []
    assert foreign_tensors(detector, IMAGES.repeat(1, 1, 2, 2)) == []


def test_it_is_said_when_one_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    load(f"{__name__}:Folded")
    said = "computes with tensors that are none of its parameters or buffers (1, such as one of (8, 3, 5, 5))"
    assert said in capsys.readouterr().err
    load(f"{__name__}:ByWeakReference")
    assert "none of its parameters" not in capsys.readouterr().err


def test_a_copy_that_reaches_its_originals_weights_is_refused() -> None:
    with pytest.raises(InputError, match="computes with its own weights in a copy whose weights are drawn anew"):
        randomised(ByWeakReference().eval(), seed=0)
    assert isinstance(randomised(SmallNetwork().eval(), seed=0), SmallNetwork)


class Unwatched(SmallNetwork):
    """Answers nothing while a pass through it is watched, as what leaves torch for an engine may."""

    def forward(self, images: Tensor) -> Tensor:
        if isinstance(_get_current_dispatch_mode(), _Watch):
            raise RuntimeError("no engine")
        return super().forward(images)


def test_one_that_cannot_be_watched_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    load(f"{__name__}:Unwatched")
    said = capsys.readouterr().err
    assert f"detector {__name__}:Unwatched cannot be watched (ForwardError: " in said
    assert said.count("whether it computes with weights that are none of its own") == 1
    assert isinstance(randomised(Unwatched().eval(), seed=0), Unwatched)
