"""What a detector says of itself is checked when it is loaded: types, ranges and names."""

import functools
import random
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.black_box import BlackBox
from detectors.checks.contract import check_contract
from detectors.checks.gradient_check import gradient_fault
from detectors.queries import Queries
from tests.lying_detectors import ViewsFeatures
from tests.scoring.stand_ins import PlantedDetector, TwoClassPlanted


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("class_names", ("Real", "Fake", "Fake", "Fake", "Fake")),
        ("class_names", ("Real",)),
        ("class_names", 2),
        ("class_names", "Real"),
        ("class_names", ("Real", 1)),
        ("real", "0"),
        ("real", True),
        ("input_size", 48.0),
        ("input_size", 0),
        ("mean", (float("nan"),) * 3),
        ("mean", (127,) * 3),
        ("mean", 0.5),
        ("std", (0.0, 0.5, 0.5)),
    ],
)
def test_an_attribute_that_cannot_be_is_named(attribute: str, value: Any) -> None:
    detector = TwoClassPlanted()
    setattr(detector, attribute, value)
    with pytest.raises(InputError, match=f"detector own: its {attribute} is .*; expected "):
        check_contract(detector, "own")


def test_a_sound_detector_passes() -> None:
    check_contract(PlantedDetector().eval(), "own")


def test_pictures_lie_in_memory_as_its_forward_needs_them() -> None:
    detector = ViewsFeatures().eval()
    assert detector.memory_format == torch.channels_last
    check_contract(detector, "own")
    assert detector.memory_format == torch.contiguous_format
    images = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Queries(detector).logits(images), Queries(PlantedDetector().eval()).logits(images))
    assert gradient_fault(detector, images[0]) is None


def test_a_view_of_pictures_and_channels_in_one_needs_more_than_one_picture_to_be_seen() -> None:
    class PerChannel(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            each = images.view(-1, 1, *images.shape[2:])  # as filters of single channels do
            return super().forward(each.view(images.shape))

    detector = PerChannel().eval()
    check_contract(detector, "own")
    assert detector.memory_format == torch.contiguous_format


@pytest.mark.parametrize("fails", ["once", "always"])
def test_one_that_fails_for_another_reason_is_refused_as_ever(fails: str) -> None:
    class Fails(PlantedDetector):
        asked = 0

        def forward(self, images: Tensor) -> Tensor:
            Fails.asked += 1
            if fails == "always" or Fails.asked == 1:
                raise RuntimeError("no face")
            return super().forward(images)

    detector = Fails().eval()
    with pytest.raises(InputError, match=r"detector own fails on images \(N, 3, 48, 48\) in float32 .*no face"):
        check_contract(detector, "own")
    assert detector.memory_format == torch.channels_last


def test_no_answer_to_pictures_of_one_colour_is_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    class Standardised(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            spread = images.std(dim=(1, 2, 3), keepdim=True)
            return super().forward((images - images.mean(dim=(1, 2, 3), keepdim=True)) / spread)

    check_contract(Standardised().eval(), "own")
    said = " ".join(capsys.readouterr().err.split())
    assert "detector own gives logits that are not finite for pictures of one colour" in said


def test_no_answer_to_black_and_white_pixels_is_refused() -> None:
    class Logarithm(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 0 * images.log().amin(dim=(1, 2, 3))[:, None]

    with pytest.raises(InputError, match="gives logits that are not finite for 3 of 3 pictures"):
        check_contract(Logarithm().eval(), "own")


def test_a_call_of_its_own_is_refused() -> None:
    class Calls(PlantedDetector):
        def __call__(self, images: Tensor) -> Tensor:
            return self.forward(images)

    with pytest.raises(InputError, match="a __call__ of its own"):
        check_contract(Calls(), "own")


class Predictor:
    """As a library's object round a network is."""

    def __init__(self, part: nn.Module) -> None:
        self.models = [part]

    def predict(self, images: Tensor) -> Tensor:
        found: Tensor = self.models[0](images)
        return found


@pytest.mark.parametrize(
    "hold",
    [
        lambda part: [part],
        lambda part: (None, part),
        lambda part: {"first": part},
        Predictor,
        lambda part: Predictor(part).predict,
        lambda part: lambda images: part(images),
        lambda part: part.forward,
        lambda part: functools.partial(type(part).forward, part),
    ],
)
def test_a_network_that_torch_does_not_see_is_refused(hold: Callable[[nn.Module], object]) -> None:
    class Hides(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.parts = hold(PlantedDetector())

    with pytest.raises(InputError, match="keeps a network in 'parts' where torch does not see it"):
        check_contract(Hides().eval(), "own")


def test_parts_that_are_named_twice_or_have_no_weights_are_not() -> None:
    class Lists(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(3, 3, 1))
            self.parts = [self, self.inner, self.inner[0], nn.ReLU()]
            self.run = lambda images: self.inner(images)
            self.run_inner = self.inner.forward

    check_contract(Lists().eval(), "own")


def test_a_traced_network_is_seen() -> None:
    class Traced(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            with warnings.catch_warnings(action="ignore"):
                self.inner = torch.jit.trace(nn.Conv2d(3, 3, 1), torch.rand(1, 3, 8, 8))

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 1e-3 * self.inner(images).mean()

    check_contract(Traced().eval(), "own")


def test_a_black_box_may_hold_a_network() -> None:
    class Holds(BlackBox):
        input_size, class_names, real = 48, ("Real", "Fake"), 0

        def __init__(self) -> None:
            super().__init__()
            self.network = Predictor(TwoClassPlanted().eval())

        def answers(self, pictures: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
            return (self.network.predict(images).detach() / 20).softmax(1).double().numpy()

    check_contract(Holds().eval(), "own")


@pytest.mark.parametrize("taken", ["prepare", "prepare_mask", "mean", "std", "label_of", "antialias"])
def test_a_network_by_a_name_of_the_class_is_refused(taken: str) -> None:
    detector = PlantedDetector().eval()
    setattr(detector, taken, nn.Identity())
    with pytest.raises(InputError, match=f"detector own sets '{taken}' to a network or tensor, which what its class"):
        check_contract(detector, "own")


class RealLast(TwoClassPlanted):
    """Its classes the other way round."""

    class_names, real = ("Fake", "Real"), 1

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).flip(1)


@pytest.mark.parametrize(
    ("label_of", "sound"),
    [
        (lambda family: int(family == "Real"), True),
        (lambda family: {"Real": 1, "Face2Face": 0}[family], True),
        (lambda family: None, True),
        (lambda family: {"Face2Face": 0, "Deepfakes": 0}.get(family, 1), False),
        (lambda family: 0 if family in CLASS_NAMES[1:] else 1, False),  # what it does not know is real
        (lambda family: int(family != "Real"), False),
        (lambda family: 0, False),
        (lambda family: 1, False),
    ],
)
def test_labels_agree_with_the_order_of_the_classes(label_of: Callable[[str], int | None], sound: bool) -> None:
    detector = RealLast().eval()
    detector.__dict__["label_of"] = label_of
    if sound:
        check_contract(detector, "own")
        return
    with pytest.raises(
        InputError, match=r"detector own: its label_of gives [\w ]+ the class \d, which is \w+ in its class_"
    ):
        check_contract(detector, "own")


def test_labels_of_another_order_of_families_are_refused() -> None:
    class Alphabet(PlantedDetector):
        def label_of(self, family: str | None) -> int | None:
            return {"Real": 0, "Deepfakes": 1, "Face2Face": 2, "FaceSwap": 3, "NeuralTextures": 4}.get(str(family))

    with pytest.raises(InputError, match="its label_of gives NeuralTextures the class 4, which is FaceSwap in its"):
        check_contract(Alphabet().eval(), "own")


def test_buffers_that_change_with_every_question_are_refused() -> None:
    class Observes(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("highest", torch.zeros(()))

        def forward(self, images: Tensor) -> Tensor:
            self.highest.fill_(max(float(self.highest), float(images.max())))  # type: ignore[operator, arg-type]
            return super().forward(images)

    with pytest.raises(InputError, match="detector own changes its weights or buffers whenever it is asked"):
        check_contract(Observes().eval(), "own")


def test_weights_that_are_loaded_at_the_first_question_are_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Lazy(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.zeros(2), requires_grad=False)

        def forward(self, images: Tensor) -> Tensor:
            self.gain.data.fill_(1.0)
            return super().forward(images) * self.gain[0]

    check_contract(Lazy().eval(), "own")
    assert "detector own has changed its weights with the first pictures that it was asked" in capsys.readouterr().err


def test_one_that_sets_itself_up_by_noise_is_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    class ActNorm(PlantedDetector):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("centre", torch.full((3, 1, 1), torch.nan))

        def forward(self, images: Tensor) -> Tensor:
            if bool(self.centre.isnan().any()):  # type: ignore[operator]
                self.centre.copy_(images.mean(dim=(0, 2, 3)).view(3, 1, 1))  # type: ignore[operator]
            return super().forward(images - self.centre)  # type: ignore[operator]

    detector = ActNorm().eval()
    check_contract(detector, "own")
    assert "has changed its weights with the first pictures" in capsys.readouterr().err
    check_contract(detector, "own")
    check_contract(PlantedDetector().eval(), "own")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seed", [torch.manual_seed, np.random.seed, random.seed])
def test_a_detector_that_seeds_a_global_generator_is_refused(seed: Callable[[int], object]) -> None:
    class Seeds(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            seed(0)
            return super().forward(images)

    with pytest.raises(InputError, match="seeds a global generator"):
        check_contract(Seeds().eval(), "own")


def test_one_that_draws_in_vain_is_not() -> None:
    class Draws(PlantedDetector):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 0 * torch.rand(())

    check_contract(Draws().eval(), "own")


def test_probabilities_in_place_of_logits_are_refused() -> None:
    class Softmaxed(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).softmax(dim=1)

    with pytest.raises(InputError, match="detector own answers probabilities, which add up to 1, and not logits"):
        check_contract(Softmaxed().eval(), "own")


def test_shares_of_a_hundred_are_no_logits_either() -> None:
    class Percent(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return 100 * super().forward(images).softmax(dim=1)

    with pytest.raises(InputError, match="answers probabilities, which add up to 100, and not logits"):
        check_contract(Percent().eval(), "own")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda logits: (logits / 100).sigmoid(), "answers numbers from .* to .* for pictures of noise"),
        (lambda logits: logits * 0 + torch.tensor([3.0, -2.0]), "answers three different pictures of noise alike"),
        (lambda logits: logits * 1e-12 + 3, "answers three different pictures of noise alike"),
        (lambda logits: 1e12 * logits, "answers pictures of noise with logits that are .* and more apart"),
        (lambda logits: (100 * logits).round(), "answers whole numbers from .* to .* for pictures of noise"),
        (lambda logits: 10 * logits.softmax(dim=1), "answers numbers that add up to 10 for every picture of noise"),
        (lambda logits: -logits.softmax(dim=1), "answers numbers that add up to -1 for every picture of noise"),
        (lambda logits: logits - logits.mean(dim=1, keepdim=True), ""),
        (lambda logits: 1e-6 * logits, ""),
        (lambda logits: 1e-8 * logits + 1, "answers three different pictures of noise alike"),
        (lambda logits: logits, ""),
    ],
)
def test_answers_that_may_be_no_verdicts_are_remarked_on(
    answer: Callable[[Tensor], Tensor], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return answer(super().forward(images))

    check_contract(Odd().eval(), "own")
    told = capsys.readouterr().err
    assert re.search(f"warning: detector own {words}", told) if words else told == ""


@pytest.mark.parametrize("off", [-1e4, -1e9, torch.finfo(torch.float32).min])
@pytest.mark.parametrize(
    ("scale", "words"), [(1.0, ""), (0.01, ""), (0.0, "answers three different pictures of noise alike")]
)
def test_classes_that_are_masked_off_are_not_what_others_are_measured_by(
    off: float, scale: float, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Masked(TwoClassPlanted):
        class_names = (*TwoClassPlanted.class_names, "A", "B")

        def forward(self, images: Tensor) -> Tensor:
            logits = scale * super().forward(images) - torch.tensor([0.0, 3.0])
            return torch.cat([logits, (off - logits[:, :1]).clamp(min=off), off + 0 * logits[:, :1]], dim=1)

    check_contract(Masked().eval(), "own")
    told = capsys.readouterr().err
    assert f"detector own {words}" in told if words else told == ""


@pytest.mark.parametrize("shape", ["whole", "part"])
def test_one_that_writes_over_its_pictures_is_refused(shape: str) -> None:
    class Writes(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                (images if shape == "whole" else images[:, :, -1]).mul_(0.5)
            return super().forward(images)

    with pytest.raises(InputError, match="detector own writes over the pictures that it is given"):
        check_contract(Writes().eval(), "own")


@pytest.mark.parametrize("other", ["real", "REAL", "Real faces", "1_real", "Original", "pristine", "bona fide"])
def test_a_second_class_that_reads_as_real_is_refused(other: str) -> None:
    """A flip to it would count as none, and a frame of it as fake."""
    detector = TwoClassPlanted().eval()
    detector.class_names = ("Real", other)
    with pytest.raises(InputError, match="reads as real, too, and would count as fake"):
        check_contract(detector, "own")
    for name in ("Fake", "Deepfakes", "RealNVP", "Unreal", "Surreal art"):
        detector.class_names = ("Real", name)
        check_contract(detector, "own")
