"""PGD and FGSM against torchattacks, closed forms, and what a larger region or budget must be able to do."""

import pytest
import torch
import torchattacks
from torch import Tensor

from attacks.pgd import FGSM, PGD
from common.errors import InputError
from common.settings import override
from detectors.answers import NotFiniteError
from detectors.base import Detector
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries, counting
from tests.attacks.nets import EPSILON, SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector


class Bump(Detector):
    """Real where the mean brightness lies in a narrow window; the slope towards it is steep on either side."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.mean(dim=(1, 2, 3))
        outside = (brightness - (self.low + self.high) / 2).abs() - (self.high - self.low) / 2
        return torch.stack([torch.zeros_like(outside), 200 * outside], dim=1)


def library(name: str, detector: Detector, images: Tensor, **settings: float) -> Tensor:
    attack = getattr(torchattacks, name)(detector, eps=EPSILON, **settings)
    attack.set_mode_targeted_by_label(quiet=True)
    attacked: Tensor = attack(images, torch.full((len(images),), detector.real))
    return attacked


def test_pgd_takes_the_steps_of_torchattacks() -> None:
    """From the image itself, on the whole frame, where nothing flips: the two must walk alike, and ends are best."""
    detector, images = ConvDetector(real_bias=-80.0), some_images(4, spread=0.6)
    ours = PGD(alpha=1 / 255, steps=6, random_start=False)(detector, images, everywhere(4), range(4))
    theirs = library("PGD", detector, images, alpha=1 / 255, steps=6, random_start=False)
    assert not ours.flipped.any()
    assert ((ours.images - theirs).abs() < 1e-6).float().mean() > 0.999  # a slope of nearly 0 may round either way
    assert ours.steps.tolist() == [6] * 4


def test_the_largest_size_of_fgsm_is_that_of_torchattacks() -> None:
    detector, images = ConvDetector(real_bias=-80.0), some_images(4, spread=0.6)
    ours = FGSM()(detector, images, everywhere(4), range(4))
    theirs = library("FGSM", detector, images)
    assert not ours.flipped.any()
    assert ((ours.images - theirs).abs() < 1e-6).float().mean() > 0.999
    assert ours.steps.tolist() == [1] * 4


def test_pgd_stops_at_the_flip_and_counts() -> None:
    """log-odds of 3 pixels' worth: every step of 1/255 adds 3 / 255 on the one pixel that counts."""
    weight = torch.zeros(3, SIZE, SIZE)
    weight[:, 4, 4] = -1.0
    region = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    region[0, 4, 4] = True
    images = torch.full((1, 3, SIZE, SIZE), 0.5)
    for wanted in (1, 7, 16):
        detector = LinearDetector(weight, bias=1.5 + 3 * (wanted - 0.5) / 255)
        with counting(detector) as meter:
            result = PGD(random_start=False)(detector, images, region, [0])
        assert (result.flipped.tolist(), result.steps.tolist()) == ([True], [wanted])
        assert result.forwards.tolist() == [2 * wanted + 1] == [meter.images]  # the image and each step, twice but once
        assert result.queries.tolist() == [-1]
        assert (result.images - images).abs().max().item() == pytest.approx(wanted / 255, abs=1e-6)
    stuck = PGD(random_start=False)(LinearDetector(weight, bias=2.0), images, region, [0])
    assert (stuck.flipped.tolist(), stuck.steps.tolist(), stuck.forwards.tolist()) == ([False], [40], [81])


def test_the_start_is_uniform_in_the_ball_on_the_region_alone() -> None:
    class Flat(LinearDetector):
        """No slope anywhere, so that what PGD ends with is its start."""

    class Noticing(Flat):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.detach().clone())
            return super().forward(images)

    seen: list[Tensor] = []
    detector = Noticing(torch.zeros(3, SIZE, SIZE), bias=1.0)
    images, regions = torch.full((2, 3, SIZE, SIZE), 0.5), squares((0, 0), (12, 14), side=16)
    PGD(steps=1)(detector, images, regions, [3, 4])
    start = seen[1] - images
    for change, region in zip(start, regions, strict=True):
        inside = change[:, region]
        assert not change[:, ~region].any()
        assert inside.abs().max() <= EPSILON + 1e-6
        assert inside.std().item() == pytest.approx(2 * EPSILON / 12**0.5, rel=0.1)
        assert not torch.equal(inside[0], inside[1])  # every channel has its own
    assert not torch.equal(start[0][:, regions[0]], start[1][:, regions[1]])


def test_a_verdict_on_the_way_is_not_walked_past() -> None:
    """Steps of a quarter of the ball jump back and forth over Real; the sizes of FGSM and short steps meet it."""
    images = torch.full((1, 3, SIZE, SIZE), 0.5)
    detector = Bump(0.5 - 6.2 / 255, 0.5 - 4.8 / 255)
    assert FGSM()(detector, images, everywhere(1), [0]).flipped.item()
    assert PGD()(detector, images, everywhere(1), [0]).flipped.item()
    published = library("FGSM", detector, images)
    assert Queries(detector).logits(published).argmax(1).item() != detector.real
    result = PGD(alpha=4 / 255, steps=10, random_start=False)(detector, images, everywhere(1), [0])
    assert not result.flipped.item()
    nearest = 4 / 255  # of 0, 4, 8, ... the one that is nearest to the window
    assert (images - result.images).mean().item() == pytest.approx(nearest, abs=1e-6)


@pytest.mark.parametrize("attack", [PGD(), FGSM()])
def test_an_attack_that_only_does_harm_leaves_the_image(attack: PGD | FGSM) -> None:
    class Trap(Detector):
        """The slope says darker, and darker by a step is where Fake is surest."""

        class_names, real, input_size = ("Real", "Fake"), 0, SIZE

        def forward(self, images: Tensor) -> Tensor:
            darker = (0.5 - images).clamp(min=0).flatten(1).sum(1)
            z = 1 - 1e-3 * (images - 0.5).flatten(1).sum(1) * -1 + 100 * (darker > 0.2)
            return torch.stack([torch.zeros_like(z), z], dim=1)

    images = torch.full((1, 3, SIZE, SIZE), 0.5)
    result = attack(Trap(), images, everywhere(1), [0])
    assert not result.flipped.item()
    assert torch.equal(result.images, images)


@pytest.mark.parametrize(
    ("attack", "setting"), [(PGD(), "alpha"), (PGD(), "steps"), (FGSM(), "grid")], ids=["alpha", "steps", "grid"]
)
def test_settings_must_be_above_zero(attack: PGD | FGSM, setting: str) -> None:
    with pytest.raises(InputError, match=f"{setting} must be above 0"):
        override(attack, {setting: "0"}, "attack")


def test_a_detector_without_gradients_is_refused_in_one_line() -> None:
    class Silent(ConvDetector):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(images)

    class Broken(ConvDetector):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + (images - images).abs().pow(0.5).flatten(1).sum(1, keepdim=True)

    for detector, words in ((Silent(), "Silent gives no gradient"), (Broken(), "Broken gives a gradient that is not")):
        for attack in (PGD(), FGSM()):
            with pytest.raises(InputError, match=words):
                attack(detector, some_images(2), everywhere(2), [0, 1])


def test_an_answer_that_is_not_finite_is_refused() -> None:
    class Overflowing(ConvDetector):
        """Its logits are NaN wherever it is attacked by more than a little."""

        def forward(self, images: Tensor) -> Tensor:
            far = (images - 0.5).abs().amax(dim=(1, 2, 3), keepdim=False) > 0.02
            return torch.where(far[:, None], torch.nan, super().forward(images))

    images = torch.full((2, 3, SIZE, SIZE), 0.5)
    for attack in (PGD(alpha=8 / 255, random_start=False, steps=1), FGSM()):
        with pytest.raises(NotFiniteError, match="for 2 of 2 pictures"):
            attack(Overflowing(real_bias=-60.0), images, everywhere(2), [0, 1])


def test_a_gradient_that_nobody_wants_may_be_anything() -> None:
    """The second image's slope is infinite, and only the first one's is asked for."""

    class Kinked(LinearDetector):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + images.flatten(1).sum(1, keepdim=True).abs().sqrt()

    detector = Kinked(torch.ones(3, SIZE, SIZE), bias=5.0)
    images = torch.stack([torch.full((3, SIZE, SIZE), 0.5), torch.zeros(3, SIZE, SIZE)])
    with differentiable(torch.device("cpu")), untouched(detector):
        answer = slope(Queries(detector, 8), images, detector.real, torch.tensor([False, True]))
    assert answer.gradients[0].isfinite().all()
    assert answer.gradients[0].any()
    assert not answer.gradients[1].any()
