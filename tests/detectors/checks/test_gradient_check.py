"""A gradient is blamed for being absent, zero, not finite or another's, and for nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import detectors
from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from detectors import Detector
from detectors.checks.gradient_check import GradientFault, gradient_fault
from detectors.half_precision import require_float32
from detectors.queries import counting
from tests.toys import LinearDetector, LinearProbability, PatchDetector
from xai.explanation_settings import build_settings, check_settings
from xai.methods import parse_method

SIZE = 32


class Behind(Detector):
    """A detector behind something that is done to its input."""

    def __init__(self, inner: Detector, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.change = inner, change
        self.input_size, self.class_names, self.real = inner.input_size, inner.class_names, inner.real

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(self.change(images))
        return logits


class Network(Detector):
    """A timm network with random weights."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 96

    def __init__(self, name: str) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.network = timm.create_model(name, num_classes=2)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - 0.5) / 0.25)
        return logits


class Inside(Detector):
    """A detector whose forward runs inside a context."""

    def __init__(self, inner: Detector, context: Callable[[], object]) -> None:
        super().__init__()
        self.inner, self.context = inner, context
        self.input_size, self.class_names, self.real = inner.input_size, inner.class_names, inner.real

    def forward(self, images: Tensor) -> Tensor:
        with self.context():  # type: ignore[attr-defined]
            logits: Tensor = self.inner(images)
        return logits


class _Through(torch.autograd.Function):
    """Rounds to 8 bits, with the gradient of doing nothing."""

    @staticmethod
    def forward(context: object, images: Tensor) -> Tensor:
        return (images * 255).round() / 255

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient


class _Doubled(_Through):
    """Does nothing, with twice the gradient."""

    @staticmethod
    def forward(context: object, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


class _Drawn(_Doubled):
    """Does nothing, with a gradient that is drawn about the true one."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient * (1 + 0.2 * torch.randn_like(gradient))


class _Summed(_Doubled):
    """Does nothing, with the gradients of a batch added up."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient.sum(dim=0, keepdim=True).expand_as(gradient)


class _FirstAlone(_Doubled):
    """Does nothing, with a gradient for the first of a batch alone."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return torch.cat([gradient[:1], 0 * gradient[1:]])


class _EvenAlone(_Doubled):
    """Does nothing, without a gradient for the last of an odd batch."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        odd = len(gradient) % 2 and len(gradient) > 1
        return torch.cat([gradient[:-1], 0 * gradient[-1:]]) if odd else gradient


class _FirstHalf(_Doubled):
    """Does nothing, without a gradient for the second half of an even batch."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        half = len(gradient) // 2
        return gradient if len(gradient) % 2 else torch.cat([gradient[:half], 0 * gradient[half:]])


class _ByTheFirst(_Doubled):
    """Does nothing, with a gradient that is cut off where the first of the batch is dark."""

    @staticmethod
    def forward(context: Any, images: Tensor) -> Tensor:  # type: ignore[override]
        context.bright = images[:1] > 0.5
        return images.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * context.bright


class _OneWay(_Doubled):
    """Does nothing, and has no gradient written."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        raise NotImplementedError("no way back")


class _Silent(_Doubled):
    """The same, without a word."""

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        raise NotImplementedError


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Noise on the grid of 8 bits, as pictures are, with black and white pixels."""
    noise = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return (1.4 * noise - 0.2).clamp(0, 1).mul(255).round().div(255)


@pytest.fixture(scope="module")
def linear() -> LinearDetector:
    return LinearDetector(torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))


def half_detached(images: Tensor) -> Tensor:
    """The images, their right half cut off from the gradient."""
    left, right = images.chunk(2, dim=3)
    return torch.cat([left, right.detach()], dim=3)


FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], str, bool]] = {
    "detached": (lambda x: x.detach(), "it gives no gradient", False),
    "bytes": (lambda x: (x * 255).byte().float() / 255, "it gives no gradient", False),
    "numpy": (
        lambda x: torch.from_numpy(x.numpy().copy()),
        "it cannot be differentiated (Can't call numpy()",
        False,
    ),
    "no way back": (_OneWay.apply, "it cannot be differentiated (no way back)", False),
    "silent": (_Silent.apply, "it cannot be differentiated (NotImplementedError)", False),
    "rounded": (lambda x: (x * 255).round() / 255, "its gradient is zero", False),
    "floored": (lambda x: (x * 255).floor() / 255, "its gradient is zero", False),
    "not a number": (lambda x: x + 0 * (x * 0).sqrt(), "its gradient is not finite", False),
    "straight through": (_Through.apply, "its gradient disagrees with finite differences", True),
    "doubled": (_Doubled.apply, "its gradient disagrees with finite differences (relative difference 0.50)", True),
    "drawn": (_Drawn.apply, "its gradient is another one the second time", True),
    "summed": (_Summed.apply, "its gradient is another one the second time, beside other pictures", True),
    "first alone": (_FirstAlone.apply, "its gradient is another one the second time, beside other pictures", True),
    "even alone": (_EvenAlone.apply, "its gradient is another one the second time, beside other pictures", True),
    "first half": (_FirstHalf.apply, "its gradient is another one the second time, beside other pictures", True),
    "by the first": (_ByTheFirst.apply, "its gradient is another one the second time, beside other pictures", True),
    "half detached": (half_detached, "its gradient disagrees with finite differences (relative difference 0.", True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_found(name: str, image: Tensor, linear: LinearDetector) -> None:
    change, reason, misleads = FAULTS[name]
    fault = gradient_fault(Behind(linear, change), image)
    assert fault is not None
    assert fault.reason.startswith(reason)
    assert fault.misleads == misleads


def test_gradient_checkpoints_around_another_detector_are_sound(image: Tensor, linear: LinearDetector) -> None:
    """torch ends what it computes again by an exception, inside of the inner detector's forward."""

    class Checkpointed(Behind):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = checkpoint(self.inner, images, use_reentrant=False)
            return logits

    assert gradient_fault(Checkpointed(linear, lambda x: x), image) is None


def test_a_class_that_is_masked_off_hides_no_fault(image: Tensor, linear: LinearDetector) -> None:
    class Masked(Behind):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return torch.cat([logits, torch.full_like(logits[:, :1], -1e9)], dim=1)

    for name in ("rounded", "straight through"):
        change, reason, _ = FAULTS[name]
        detector = Masked(linear, change)
        detector.class_names = (*linear.class_names, "Unused")
        fault = gradient_fault(detector, image)
        assert fault is not None
        assert fault.reason.startswith(reason)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_forward_without_gradients_is_found(
    context: Callable[[], object], image: Tensor, linear: LinearDetector
) -> None:
    assert gradient_fault(Inside(linear, context), image) == GradientFault("it gives no gradient")


@pytest.mark.parametrize("change", [lambda x: x, lambda x: x.clamp(0, 1), lambda x: x.double().float()])
@pytest.mark.parametrize("bias", [0.0, 200.0, -200.0, 1e4])
def test_a_true_gradient_is_not_blamed_where_probabilities_are_0_or_1(
    change: Callable[[Tensor], Tensor], bias: float, image: Tensor, linear: LinearDetector
) -> None:
    assert gradient_fault(Behind(LinearDetector(linear.weight, bias), change), image) is None


def test_detectors_that_hardly_move_are_not_blamed(image: Tensor, linear: LinearDetector) -> None:
    flat = LinearDetector(1e-7 * linear.weight, 30.0)  # moves by less than a logit's rounding
    constant = LinearDetector(0 * linear.weight, 3.0)
    saturated = Behind(linear, lambda x: x)
    saturated.register_forward_hook(lambda _module, _inputs, logits: logits.clamp(-1e-3, 1e-3))
    without_weights = PatchDetector(SIZE, slice(4, 9), slice(4, 9))
    curved = LinearProbability(1e-4 * linear.weight.detach(), 0.5)
    for detector in (flat, constant, saturated, without_weights, curved):
        assert gradient_fault(detector, image) is None


@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18", "test_vit", "test_efficientnet"])
def test_curvature_and_kinks_are_no_fault(name: str) -> None:
    """ReLU networks of random weights differ from differences of sigma 0.001 by up to 0.7, and have true gradients."""
    network = Network(name) if name != "test_vit" else Sized(name)
    image = network.prepare(DemoFrames(1)[0].image)
    assert gradient_fault(network, image) is None
    assert gradient_fault(Behind(network, half_detached), image) is not None


class Sized(Network):
    """One that takes its images at another size."""

    input_size = 160


class Colour(Detector):
    """Says fake where there is more red than blue, a hundredth as much where it is bright; `seen` looks otherwise."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def __init__(self, seen: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, images: Tensor) -> Tensor:
        seen = self.seen(images)
        score = 20 * (seen[:, 0] - seen[:, 2] + 0.01 * seen.mean(dim=1)).mean(dim=(1, 2))
        return torch.stack([torch.zeros_like(score), score], dim=1)


class _ThroughBgr(_Through):
    """Does nothing, with the gradient of another order of channels."""

    @staticmethod
    def forward(context: object, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient.flip(1)


def luma_alone(images: Tensor) -> Tensor:
    """Nothing changed, but the gradient of the colours is cut off."""
    grey = images.mean(dim=1, keepdim=True)
    return grey + (images - grey).detach()


@pytest.mark.parametrize(("seen", "by"), [(_ThroughBgr.apply, "2.00"), (luma_alone, "1.00")])
def test_a_gradient_that_is_wrong_in_its_colours_alone_is_found(
    seen: Callable[[Tensor], Tensor], by: str, image: Tensor
) -> None:
    assert gradient_fault(Colour(torch.clone), image) is None
    fault = gradient_fault(Colour(seen), image)
    assert fault == GradientFault(f"its gradient disagrees with finite differences (relative difference {by})", True)


class Residual(Detector):
    """A high-pass filter without bias, ReLU and max pooling, as forensic networks begin with; where nothing varies
    all of a pool is alike, and so is the filter's answer to 0, the kink of ReLU."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def __init__(self, change: Callable[[Tensor], Tensor] = torch.clone) -> None:
        super().__init__()
        self.change = change

    def forward(self, images: Tensor) -> Tensor:
        grey = self.change(images).mean(dim=1, keepdim=True)
        kernel = torch.tensor([[[[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]]]])
        residual = nn.functional.conv2d(grey, kernel, padding=1)
        pooled = nn.functional.max_pool2d(torch.cat([residual, -residual], dim=1).relu(), 2)
        score = 40 * pooled.mean(dim=(1, 2, 3)) - 1
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize("border", [0.0, 0.5, 1.0])
def test_where_pixels_are_alike_exactly_a_true_gradient_is_not_blamed(border: float, image: Tensor) -> None:
    framed = torch.full_like(image, border)
    framed[:, 8:24, 8:24] = image[:, 8:24, 8:24]
    assert gradient_fault(Residual(), framed) is None
    for change, misleads in ((half_detached, True), (_Through.apply, True), (torch.detach, False)):
        fault = gradient_fault(Residual(change), framed)  # some processors round a still area otherwise in a batch
        assert fault is not None
        assert fault.misleads == misleads


def test_the_end_of_a_relu_is_no_fault(image: Tensor) -> None:
    class Counted(Detector):
        """Evidence counts from a threshold on, which lies so far above this image."""

        class_names, real, input_size = ("Real", "Fake"), 0, SIZE

        def __init__(self, above: float, change: Callable[[Tensor], Tensor] = torch.clone) -> None:
            super().__init__()
            self.threshold, self.change = float(image.clamp(8 / 255, 247 / 255).mean()) + above, change

        def forward(self, images: Tensor) -> Tensor:
            score = 1e3 * (self.change(images).mean(dim=(1, 2, 3)) - self.threshold).relu()
            return torch.stack([torch.zeros_like(score), score], dim=1)

    for above in (1e-5, 3e-6, 1e-4, -1e-3):  # probes of 0.001 move the mean by some 2e-5
        assert gradient_fault(Counted(above), image) is None
    assert gradient_fault(Counted(-1e-3, lambda x: x.detach() + 0 * x), image) == GradientFault("its gradient is zero")


@pytest.mark.parametrize("name", ["demo", "demo-hardened"])
def test_the_demo_networks_pass_and_are_left_as_they_were(name: str) -> None:
    detector = detectors.load(name, optimise=name == "demo")
    image = detector.prepare(DemoFrames(1)[0].image)
    weight = next(detector.parameters())
    weight.requires_grad_(True)
    weight.grad = torch.ones_like(weight)
    detector.train()
    with counting(detector) as meter:
        assert gradient_fault(detector, image) is None
    assert (meter.images, meter.calls) == (57, 8)  # 37 forward; one, five and four, there and back
    require_float32(detector, image)
    assert detector.training
    assert weight.requires_grad
    assert torch.equal(weight.grad, torch.ones_like(weight))
    with counting(detector) as meter:
        gradient_fault(Behind(detector, _Through.apply), image)
    assert meter.images == 57 + 135


def test_what_the_caller_has_switched_does_not_matter(image: Tensor, linear: LinearDetector) -> None:
    with torch.inference_mode():
        assert gradient_fault(linear, image) is None
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert gradient_fault(Behind(Convolved(), lambda x: x), image) is None
        require_float32(Convolved(), image)


class Convolved(Detector):
    """One convolution, in whatever type is asked for, with logits in float32."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def __init__(self, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.layer = nn.Conv2d(3, 2, 3)
        self.to(kind)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layer(images.to(self.layer.weight.dtype))
        return result.mean(dim=(2, 3)).float()


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_detector_that_computes_in_half_precision_is_refused(kind: str, image: Tensor) -> None:
    dtype = getattr(torch, kind)
    within = Inside(Convolved(), lambda: torch.autocast("cpu", dtype))
    for detector in (Convolved(dtype), within, Behind(Convolved(), lambda x: x.to(dtype).float())):
        with pytest.raises(InputError, match=rf"{type(detector).__name__} computes in {kind}, .*call \.float\(\)"):
            require_float32(detector, image)


def test_weights_that_are_only_stored_in_half_precision_are_not(image: Tensor) -> None:
    class Stored(Convolved):
        def forward(self, images: Tensor) -> Tensor:
            weight, bias = self.layer.weight.float(), self.layer.bias
            assert bias is not None
            result: Tensor = nn.functional.conv2d(images, weight, bias.float())
            return result.mean(dim=(2, 3))

    require_float32(Stored(torch.float16), image)
    assert gradient_fault(Stored(torch.float16), image) is None


@pytest.mark.parametrize(("name", "misleads"), [("straight through", True), ("rounded", True), ("none", False)])
def test_maps_by_a_gradient_that_misleads_are_warned_of_once(
    name: str, misleads: bool, linear: LinearDetector, capsys: pytest.CaptureFixture[str]
) -> None:
    change = FAULTS[name][0] if misleads else torch.clone
    detector = Behind(linear, change)
    settings = build_settings("quick", {}, [parse_method("captum:Saliency"), parse_method("LIME")])
    check_settings(settings, detector)
    told = " ".join(capsys.readouterr().err.split())
    assert ("what follows it (captum:Saliency) may not show what moves the verdict" in told) == misleads
    check_settings(settings, detector)
    check_settings(build_settings("quick", {}, [parse_method("LIME")]), Behind(linear, change))
    assert capsys.readouterr().err == ""
