"""Probes of finite differences that a detector rounds away are said; sound detectors are not blamed."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attacks import NES
from attacks.derivatives import usable_attacks
from attacks.probe_size import BYTES, probes_fault
from detectors import Detector, Queries
from detectors.black_box import STEP, BlackBox

SIDE = 48


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.Softplus(), nn.Conv2d(8, 8, 3, 2, 1), nn.Softplus(), nn.Flatten(),
        nn.Linear(8 * 144, 2),
    )  # fmt: skip


class Smooth(Detector):
    """A small network without a gradient, about as steep as a trained one, that is not sure of either class."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIDE

    def __init__(self, scale: float = 600.0, offset: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.network, self.scale, self.offset = network(seed), scale, offset
        with torch.no_grad():
            self.level = self.network(picture()[None])
        self.tilt = torch.tensor([0.0, 3.0])

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.after(self.scale * (self.network(self.before(images)) - self.level) + self.tilt + self.offset)

    def before(self, images: Tensor) -> Tensor:
        return images

    def after(self, logits: Tensor) -> Tensor:
        return logits


class Rounded(Smooth):
    """Its logits are multiples of a step."""

    step = 0.1

    def after(self, logits: Tensor) -> Tensor:
        return (logits / self.step).round() * self.step


class RoundedFinely(Rounded):
    step = 0.01


class RoundedCoarsely(Rounded):
    step = 0.5


class RoundsInput(Smooth):
    def before(self, images: Tensor) -> Tensor:
        return (images * 255).round() / 255


class Truncates(Smooth):
    """Clamps, and cuts off what is between bytes."""

    def before(self, images: Tensor) -> Tensor:
        return (images.clamp(0, 1) * 255).floor() / 255


class Wraps(Smooth):
    """As `ToPILImage()` makes bytes of a picture."""

    def before(self, images: Tensor) -> Tensor:
        return images.mul(255).to(torch.int16).to(torch.uint8).float() / 255


class Jpeg(Smooth):
    def before(self, images: Tensor) -> Tensor:
        return torch.stack([self._written(image) for image in images])

    def _written(self, image: Tensor) -> Tensor:
        file = io.BytesIO()
        pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, format="JPEG", quality=90)
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255


class Votes(Smooth):
    """Decisions of five, each about another part."""

    def after(self, logits: Tensor) -> Tensor:
        fake = (torch.stack([logits[:, 1] - logits[:, 0] - shift for shift in range(5)]) > 0).float().mean(dim=0)
        return torch.stack([1 - fake, fake], dim=1)


class Constant(Smooth):
    def after(self, logits: Tensor) -> Tensor:
        return 0 * logits + self.tilt


class Stated(Rounded):
    least_noise = STEP


class Service(BlackBox):
    class_names, real, input_size, gives_logits = ("Real", "Fake"), 0, SIDE, True

    def __init__(self) -> None:
        super().__init__()
        self.smooth = Smooth()

    def answers(self, pictures: np.ndarray) -> list[list[float]]:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        rows: list[list[float]] = self.smooth(images).tolist()
        return rows


def picture(seed: int = 0) -> Tensor:
    """A smooth picture of bytes with a black corner and a white one, (3, S, S)."""
    draws = torch.Generator().manual_seed(seed)
    coarse = nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=draws), (SIDE, SIDE), mode="bicubic")[0]
    image = (coarse * 0.8 + 0.1).clamp(0, 1)
    image[:, :6, :6], image[:, -6:, -6:] = 0.0, 1.0
    return (image * 255).round() / 255


def risen(detector: Detector, sigma: float) -> float:
    """How far NES lifts the unrounded log-odds of Real in each of four quarters, a mean."""
    twin, image = Queries(Smooth()), picture()
    regions = torch.zeros(4, SIDE, SIDE, dtype=torch.bool)
    half = SIDE // 2
    for region, (row, column) in zip(regions, ((0, 0), (0, half), (half, 0), (half, half)), strict=True):
        region[row : row + half, column : column + half] = True
    attack = NES(pairs=10, steps=5, sigma=sigma, derivatives="finite", epsilon=5 / 255)
    attacked = attack(detector, image.expand(4, -1, -1, -1), regions, [1, 2, 3, 4]).images
    odds = twin.log_odds(torch.cat([image[None], attacked]), 0)
    return float((odds[1:] - odds[0]).mean())


def warned(detector: Detector, capsys: pytest.CaptureFixture[str], sigma: float = 0.001) -> list[str]:
    """What is warned of where NES is to take finite differences by such probes."""
    attacks = {"nes": NES(sigma=sigma, derivatives="finite")}
    assert usable_attacks(attacks, detector, picture()) == attacks
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("detector", "fault"),
    [
        (Rounded, "move it in jumps"),
        (RoundedFinely, "move it in jumps"),
        (RoundedCoarsely, "do not move it"),
        (Votes, "do not move it"),
        (RoundsInput, "move it in jumps"),
        (Jpeg, "move it in jumps"),
    ],
)
def test_one_that_rounds_is_said_and_fares_better_by_longer_probes(
    detector: type[Smooth], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = warned(detector(), capsys)
    assert told == [
        f"warning: {detector.__name__}: probes of finite differences of standard deviation 0.001 {fault}, as where its "
        "answers or its input are rounded: what nes cannot flip says little; try longer ones (sigma=0.0078), or state "
        "least_noise = 2 / 255 in its class"
    ]
    assert risen(detector(), 8 / 255) > risen(detector(), 0.001)


@pytest.mark.parametrize("detector", [Rounded, RoundedFinely, RoundsInput, Truncates, Jpeg])
def test_what_the_warning_advises_attacks_much_as_the_unrounded_twin_and_is_not_warned_of(
    detector: type[Smooth], capsys: pytest.CaptureFixture[str]
) -> None:
    assert warned(detector(), capsys, BYTES) == []
    assert risen(detector(), BYTES) > 0.65 * risen(Smooth(), 0.001)


def test_answers_too_coarse_for_longer_probes_are_said_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warned(Votes(), capsys, BYTES)
    assert told.endswith("do not move it, as where its answers or its input are rounded: what nes cannot flip says "
                         "little; try longer ones, or attack with torchattacks:Square")  # fmt: skip


def test_bytes_that_wrap_around_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warned(Wraps(), capsys)
    assert "move it in jumps" in told
    assert told.endswith("and clamp the pictures in its forward, as those lead it astray outside of [0, 1]")
    told = warned(Wraps(), capsys, BYTES)
    assert len(told) == 1
    assert "Wraps answers otherwise for pixels 0.024 below 0 and above 1 (log-odds of Real" in told[0]
    assert "clamp the pictures in its forward" in told[0]


@pytest.mark.parametrize(
    "detector",
    [Smooth(), Smooth(6000), Smooth(1), Smooth(1e-3), Smooth(600, 1e3), Smooth(1, 1e3), Smooth(10, 1e4), Constant(),
     Stated(), Service(), *(Smooth(600, seed=seed) for seed in range(1, 6))],
)  # fmt: skip
def test_what_is_smooth_constant_or_stated_is_not_blamed(
    detector: Detector, capsys: pytest.CaptureFixture[str]
) -> None:
    assert warned(detector, capsys, max(0.001, detector.least_noise)) == []


@pytest.mark.parametrize("layer", [nn.ReLU, nn.GELU])
@pytest.mark.parametrize("seed", range(4))
def test_kinks_of_random_networks_are_no_jumps(layer: type[nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    kinked = Smooth()
    kinked.network = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), layer(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, 1, 1), layer(),
        nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, 1, 1), layer(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 2),
    ).eval()  # fmt: skip
    assert probes_fault(kinked, picture(seed), 0.001) is None


@pytest.mark.parametrize(("detector", "most"), [(Smooth(), 108), (Stated(), 72), (RoundedCoarsely(), 72)])
def test_the_passes_are_few(detector: Detector, most: int) -> None:
    asked = list[int]()
    detector.register_forward_pre_hook(lambda module, inputs: asked.append(len(inputs[0])))
    probes_fault(detector, picture(), max(0.001, detector.least_noise))
    assert sum(asked) == most
