"""captum's attributions are captum's own, asked directly; they add up to the score; what cannot work is told."""

import json
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn
from torch.nn import functional

import xai
from common.errors import InputError
from common.settings import override
from detectors.base import Detector
from detectors.queries import Queries, counting
from tests.toys import LinearDetector
from tests.xai.helpers import DEEPFAKES, PATCH, SmallNetwork, photo, planted
from xai.base import Explainer, Score
from xai.captum_bridge import captum_explainer
from xai.explanation_settings import build_settings, describe_settings
from xai.fills import Mean, composite
from xai.methods import load_explainer, parse_method

SEGMENTS = np.arange(16).reshape(4, 4).repeat(8, axis=0).repeat(8, axis=1).astype(np.int32)
TARGET = 2


class ReluNetwork(Detector):
    """A fixed random network whose activations are modules, with one logit shown as two classes: [z, 0], Fake first."""

    class_names = ("Fake", "Real")
    real = 1
    input_size = 32
    mean = (0.4, 0.5, 0.6)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 14 * 14, 1)
        )
        draws = torch.Generator().manual_seed(2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=draws)

    def normalised(self, images: Tensor) -> Tensor:
        """z of images with the mean colour taken off and divided by 0.25."""
        return self.layers(images)

    def forward(self, images: Tensor) -> Tensor:
        z = self.normalised((images - torch.tensor(self.mean)[:, None, None]) / 0.25)
        return torch.cat([z, torch.zeros_like(z)], dim=1)


def explained(
    explainer: Explainer, detector: Detector, image: Tensor, background: Tensor, target: int, batch_size: int = 16
) -> np.ndarray:
    score = Score(Queries(detector, batch_size), target)
    return explainer(score, image, SEGMENTS, composite(image, background), np.random.default_rng(4))


def log_odds(detector: Detector, target: int) -> Callable[[Tensor], Tensor]:
    """log p - log(1 - p), by its definition."""

    def function(images: Tensor) -> Tensor:
        p = detector(images).double().softmax(dim=1)[:, target]
        return p.log() - (1 - p).log()

    return function


def made(name: str, **settings: object) -> Explainer:
    return override(captum_explainer(name)(), settings, name)


DIRECTLY: dict[str, tuple[dict[str, object], Callable[[Tensor], Tensor]]] = {
    "IntegratedGradients": ({"n_steps": 20, "most_steps": 20}, lambda a: a.sum(dim=0)),
    "InputXGradient": ({}, lambda a: a.sum(dim=0)),
    "Saliency": ({}, lambda a: a.abs().sum(dim=0)),
    "Occlusion": ({"sliding_window_shapes": (3, 9, 7), "strides": (3, 4, 4)}, lambda a: a[0]),
    "FeatureAblation": ({}, lambda a: a[0]),
}
"""Settings, and what becomes of the attributions (3, H, W)."""


@pytest.mark.parametrize("name", DIRECTLY)
def test_it_is_captum_asked_directly(name: str) -> None:
    detector, image, background = SmallNetwork(), photo(32), photo(32, seed=1)
    settings, reduced = DIRECTLY[name]
    found = explained(made(name, **settings), detector, image, background, TARGET)
    given: dict[str, object] = {name: value for name, value in settings.items() if name != "most_steps"}
    if name in ("IntegratedGradients", "Occlusion", "FeatureAblation"):
        given["baselines"] = background[None]
    if name == "FeatureAblation":
        given["feature_mask"] = torch.from_numpy(SEGMENTS).long()[None, None].expand(1, 3, 32, 32)
    function, images = log_odds(detector, TARGET), image[None].requires_grad_()
    if name == "InputXGradient":  # of the difference to the background, whose gradient is the image's
        direct = captum.attr.Saliency(function).attribute(images, abs=False) * (image - background)
    else:
        direct = getattr(captum.attr, name)(function).attribute(images, **given)
    expected = reduced(direct[0].detach()).numpy()
    assert expected.std() > 1e-4
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_pixels_times_gradient_is_captums_on_the_normalised_input() -> None:
    """With the mean colour as fill, whatever units a detector's input has."""
    detector, image = ReluNetwork(), photo(32)
    background = Mean()(image, SEGMENTS, detector.mean)
    normalised = ((image - background) / 0.25)[None].requires_grad_()
    direct = captum.attr.InputXGradient(lambda x: detector.normalised(x)[:, 0]).attribute(normalised)
    found = explained(made("InputXGradient"), detector, image, background, target=0)
    assert np.abs(found - direct[0].sum(dim=0).detach().numpy()).max() < 1e-4


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_modified_gradients_are_captums(name: str) -> None:
    detector, image = ReluNetwork(), photo(32)
    normalised = ((image - torch.tensor(detector.mean)[:, None, None]) / 0.25)[None].requires_grad_()
    direct = getattr(captum.attr, name)(detector.layers).attribute(normalised, target=0)[0] / 0.25
    found = explained(made(name), detector, image, torch.zeros_like(image), target=0)
    plain = explained(made("Saliency"), detector, image, torch.zeros_like(image), target=0)
    assert np.abs(found - direct.abs().sum(dim=0).detach().numpy()).max() < 1e-4 * found.max()
    assert np.abs(found - plain).max() > 0.1 * plain.max()


@pytest.mark.parametrize(("name", "tolerance"), [("IntegratedGradients", 1e-3), ("DeepLift", 1e-4)])
def test_attributions_add_up_to_the_change_of_the_score(name: str, tolerance: float) -> None:
    """Completeness (Sundararajan et al. 2017), and summation to delta (Shrikumar et al. 2017)."""
    detector, image, background = ReluNetwork(), photo(32), photo(32, seed=3)
    settings = {"n_steps": 400} if name == "IntegratedGradients" else {}
    for target in (0, 1):  # of class 1 the logit is constant, and the log-odds are not
        function = log_odds(detector, target)
        change = float((function(image[None]) - function(background[None])).detach())
        found = explained(made(name, **settings), detector, image, background, target)
        assert abs(change) > 1
        assert found.sum() == pytest.approx(change, rel=tolerance)


class Pooling(Detector):
    """An activation that feeds a max pooling directly, with windows that overlap."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 4, 3), nn.ReLU(),
            nn.Flatten(), nn.Linear(4 * 13 * 13, 2),
        )  # fmt: skip
        draws = torch.Generator().manual_seed(6)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=draws)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def test_deep_lift_adds_up_where_captums_own_does_not() -> None:
    """Captum 0.9 loses shares at a max pooling (see xai.deep_lift): when it no longer does, the mend may go."""
    detector, image, background = Pooling(), photo(32), photo(32, seed=3)
    rules = dict(SUPPORTED_NON_LINEAR)
    function = log_odds(detector, 1)
    change = float((function(image[None]) - function(background[None])).detach())
    found = explained(made("DeepLift"), detector, image, background, target=1).sum()
    assert found == pytest.approx(change, rel=1e-3)
    direct = captum.attr.DeepLift(detector).attribute(image[None], background[None], target=1) - captum.attr.DeepLift(
        detector
    ).attribute(image[None], background[None], target=0)  # of two classes the log-odds are a difference
    assert abs(float(direct.detach().sum()) - change) > 0.05 * abs(change)
    assert rules == SUPPORTED_NON_LINEAR
    assert hooks(detector) == 0


def test_of_a_linear_detector_every_attribution_is_known() -> None:
    draws = torch.Generator().manual_seed(1)
    weight = torch.randn(3, 32, 32, generator=draws)
    detector, image, background = LinearDetector(weight, bias=-1.0), photo(32), photo(32, seed=2)
    pixels = (weight * (image - background)).sum(dim=0).numpy()
    segments = np.bincount(SEGMENTS.ravel(), weights=pixels.ravel())[SEGMENTS]

    def found(name: str, **settings: object) -> np.ndarray:
        return explained(made(name, **settings), detector, image, background, target=1)

    for name in ("IntegratedGradients", "InputXGradient", "GradientShap", "DeepLift"):
        assert np.allclose(found(name), pixels, atol=1e-4), name
    assert np.allclose(found("Saliency"), weight.abs().sum(dim=0), atol=1e-5)
    assert np.allclose(found("IntegratedGradients", multiply_by_inputs=False), weight.abs().sum(dim=0), atol=1e-4)
    for name, settings in (
        ("FeatureAblation", {}),
        ("ShapleyValueSampling", {"n_samples": 2}),
        ("KernelShap", {"n_samples": 200}),
    ):
        assert np.allclose(found(name, **settings), segments, atol=2e-3), name
    lime = found("Lime", n_samples=300)
    assert np.corrcoef(lime[::8, ::8].ravel(), segments[::8, ::8].ravel())[0, 1] > 0.99  # a lasso shrinks

    side, step = 8, 4
    shares, windows = np.zeros((32, 32)), np.zeros((32, 32))
    for y in range(0, 32 - side + 1, step):
        for x in range(0, 32 - side + 1, step):
            at = (slice(y, y + side), slice(x, x + side))
            shares[at] += pixels[at].sum()
            windows[at] += 1
    occlusion = found("Occlusion", sliding_window_shapes=(3, side, side), strides=(3, step, step))
    assert np.allclose(occlusion, shares / windows, atol=1e-4)


GRADIENTS = ("IntegratedGradients", "InputXGradient", "Saliency", "GradientShap", "DeepLift")


@pytest.mark.parametrize("name", [*GRADIENTS, "IntegratedGradients_adv", "Occlusion", "Occlusion_adv", "KernelShap"])
def test_the_planted_patch_is_ranked_first(name: str) -> None:
    detector, image = planted()
    overrides = {"segments": {"count": 16}, "adversarial": {"pairs": 40, "steps": 40}}
    if name.startswith("Occlusion"):
        overrides["captum:Occlusion"] = {"sliding_window_shapes": "3, 8, 8", "strides": "3, 4, 4"}
    if name == "KernelShap":
        overrides["captum:KernelShap"] = {"n_samples": 300}
    found = xai.explain(detector, image, f"captum:{name}", target=DEEPFAKES, preset="quick", overrides=overrides)
    assert found.ranking[0] == np.bincount(found.segments[PATCH].ravel()).argmax()


def test_forwards_are_counted_and_go_through_in_chunks() -> None:
    detector, image = SmallNetwork(), photo(32)
    methods = [parse_method(f"captum:{name}") for name in ("Occlusion", "IntegratedGradients", "GradientShap")]
    windows = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 8, 8)}
    settings = build_settings("quick", {"captum:Occlusion": windows}, methods)
    frame = xai.FrameExplanations(detector, image, TARGET, settings, batch_size=8)
    sizes: list[int] = []
    handle = detector.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    with counting(detector) as meter:
        occlusion = frame.explain("captum:Occlusion")
        assert occlusion.forwards == meter.images == 16 + 1
        assert max(sizes) == 8
        sizes.clear()
        steps = frame.explain("captum:IntegratedGradients").forwards
        assert sum(sizes) >= 50
        assert 2 * sum(sizes) - 60 <= steps < 2 * sum(sizes)  # forward and backward, but for the path's places
        assert max(sizes) <= 2  # a gradient keeps its activations: a quarter of the batch
        sizes.clear()
        assert frame.explain("captum:GradientShap").forwards == 2 * (sum(sizes) - 2) == 100  # two check the map
        assert max(sizes) <= 4
    handle.remove()


@pytest.mark.parametrize("name", ["GradientShap", "KernelShap", "ShapleyValueSampling"])
def test_draws_are_the_frames_own(name: str) -> None:
    detector, image, background = SmallNetwork(), photo(32), photo(32, seed=1)
    settings = {"stdevs": 0.05} if name == "GradientShap" else {"n_samples": 30 if name == "KernelShap" else 2}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    def found(seed: int, batch_size: int) -> np.ndarray:
        score = Score(Queries(detector, batch_size), TARGET)
        draws = np.random.default_rng(seed)
        return made(name, **settings)(score, image, SEGMENTS, composite(image, background), draws)

    first = found(0, 16)
    torch.rand(3)
    assert np.allclose(found(0, 3), first, atol=1e-5 * np.abs(first).max())  # no draw follows the batch size
    assert not np.allclose(found(1, 16), first, atol=1e-3 * np.abs(first).max())
    torch.set_rng_state(states[0])
    found(0, 16)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def hooks(detector: Detector) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in detector.modules())


@pytest.mark.parametrize("name", ["GuidedBackprop", "DeepLift", "IntegratedGradients", "LRP"])
def test_the_detector_is_as_it_was(name: str) -> None:
    detector, image = ReluNetwork().train(), photo(32)
    detector.layers[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    if name == "LRP":  # knows no rule for a flattening
        with pytest.raises(InputError, match=r"captum:LRP cannot explain ReluNetwork: .*Flatten"):
            explained(made(name), detector, image, torch.zeros_like(image), target=0)
    else:
        explained(made(name), detector, image, torch.zeros_like(image), target=0)
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())
    assert all(part.training for part in detector.modules())
    assert [p.requires_grad for p in detector.parameters()] == [False, True, True, True]
    assert all(p.grad is None for p in detector.parameters())
    assert hooks(detector) == 0


def test_settings_are_the_librarys_arguments() -> None:
    methods = [
        parse_method(f"captum:{name}") for name in ("IntegratedGradients", "Occlusion_adv", "KernelShap", "Saliency")
    ]
    overrides = {"captum:IntegratedGradients": {"n_steps": "7"}, "captum:Occlusion": {"strides": "3,2,2"}}
    settings = build_settings("published", overrides, methods)
    described = describe_settings(settings)
    assert json.loads(json.dumps(described)) == json.loads(json.dumps(described, default=list))
    assert described["captum:IntegratedGradients"] == {
        "multiply_by_inputs": True,
        "n_steps": 7,
        "method": "gausslegendre",
        "tolerance": 0.01,
        "most_steps": 1000,
    }
    assert described["captum:Occlusion"] == {"sliding_window_shapes": [3, 32, 32], "strides": [3, 2, 2]}
    assert described["captum:KernelShap"] == {"n_samples": 2000}
    assert described["captum:Saliency"] == {"abs": True}
    assert describe_settings(build_settings("quick", methods=methods))["captum:KernelShap"] == {"n_samples": 150}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IntegratedGradient", r"captum has no 'IntegratedGradient' \(did you mean IntegratedGradients\?\); it has: "),
        ("visualization", "captum has no 'visualization'"),
        ("LayerGradCam", "captum:LayerGradCam cannot explain a frame: it needs a layer; for maps of a layer take cam"),
        ("NeuronGradient", "it needs a layer"),
        ("NoiseTunnel", "it needs attribution_method"),
        ("LLMAttribution", "it needs attr_method, tokenizer"),
        ("DeepLiftShap", "take captum:DeepLift"),
        ("ShapleyValues", "take captum:ShapleyValueSampling"),
        ("FeaturePermutation", "take captum:FeatureAblation"),
        ("Saliency_adv", "captum:Saliency hides no pixels, so captum:Saliency_adv would be the same"),
    ],
)
def test_what_cannot_work_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_method(f"captum:{name}")


def test_what_does_not_suit_a_detector_is_refused_before_any_forward() -> None:
    class Smooth(ReluNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.layers[1] = nn.SiLU()

    with counting(detector := Smooth()) as meter:
        for name, message in {
            "GuidedBackprop": r"changes the gradient of ReLUs, and Smooth has none, only SiLU: .* captum:Saliency",
            "Deconvolution": "changes the gradient of ReLUs",
            "DeepLift": "has no rule for SiLU, which Smooth uses: take captum:IntegratedGradients",
        }.items():
            load_explainer(f"captum:{name}").check(ReluNetwork())
            with pytest.raises(InputError, match=message):
                xai.explain(detector, np.zeros((32, 32, 3), np.uint8), f"captum:{name}", preset="quick")
    assert meter.images == 0


def test_a_detector_without_gradients_is_told() -> None:
    class Closed(SmallNetwork):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(images)

    detector, image = Closed(), photo(32)
    with pytest.raises(InputError, match="Closed gives no gradient, which this method needs"):
        explained(made("IntegratedGradients"), detector, image, torch.zeros_like(image), TARGET)
    assert explained(made("FeatureAblation"), detector, image, 0 * image, TARGET).std() > 0
    with pytest.raises(InputError, match="captum:Occlusion cannot explain Closed: "):
        explained(made("Occlusion"), detector, image[:, :16, :16], 0 * image[:, :16, :16], TARGET)


class WithoutHooks(Detector):
    """Calls its layers' forwards, as a compiled network does, so that no hook of theirs is called."""

    class_names, real, input_size = ("Real", "Fake"), 0, 32

    def __init__(self, hooked: bool) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
            )
            self.head = nn.Linear(4, 2)
        self.hooked = hooked

    def forward(self, images: Tensor) -> Tensor:
        made = 4 * images - 2
        for layer in self.layers:
            made = layer(made) if self.hooked else layer.forward(made)
        logits: Tensor = self.head(made)
        return logits


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_a_network_whose_hooks_are_not_called_is_no_plain_gradient_by_another_name(name: str) -> None:
    image = photo(32)
    assert explained(made(name), WithoutHooks(True), image, torch.zeros_like(image), target=1).any()
    with pytest.raises(InputError, match=f"captum:{name} gives the plain gradient of WithoutHooks"):
        explained(made(name), WithoutHooks(False), image, torch.zeros_like(image), target=1)


class Guided(torch.autograd.Function):
    """A ReLU whose gradient is as published: Springenberg et al. 2015 (guided) or Zeiler and Fergus 2014 (not)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, guided: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.guided = guided
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        passed = gradient.clamp_min(0)
        return (passed * (ctx.saved_tensors[0] > 0) if ctx.guided else passed), None


class Branching(Detector):
    """Shortcuts that begin before a ReLU, as Xception's, and one module that runs in two branches and again."""

    class_names, real, input_size = ("Real", "Fake"), 0, 32

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.head, self.activation = nn.Linear(6, 2), activation
        draws = torch.Generator().manual_seed(4)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.4, generator=draws)

    def forward(self, images: Tensor) -> Tensor:
        first = self.one(4 * images - 2)
        joined = self.two(self.activation(first)) + self.three(first) - self.activation(-first)
        answers: Tensor = self.head((self.activation(joined) + 0.3 * joined).mean(dim=(2, 3)))
        return answers


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_a_modified_gradient_keeps_to_the_relus_branch(name: str) -> None:
    """captum's own hook on a ReLU's input changes what else reads it."""
    image = photo(32)
    found = explained(made(name), Branching(nn.ReLU()), image, torch.zeros_like(image), target=1)
    twin = Branching(lambda x: Guided.apply(x, name == "GuidedBackprop"))
    inputs = image[None].clone().requires_grad_()
    (expected,) = torch.autograd.grad(log_odds(twin, 1)(inputs).sum(), inputs)
    assert np.abs(found - expected[0].abs().sum(dim=0).numpy()).max() < 1e-4 * found.max()


class Mixed(Detector):
    """Some of its ReLUs are modules; others are functions of a kind."""

    class_names, real, input_size = ("Real", "Fake"), 0, 32

    def __init__(self, function: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width, 4, 3) for width in (3, 4, 4, 4))
        self.module, self.function, self.head = nn.ReLU(), function, nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        made = images
        for place, layer in enumerate(self.layers):
            made = layer(made)
            made = self.module(made) if self.function is None or place == 2 else self.function(made)
        logits: Tensor = self.head(made.mean(dim=(2, 3)))
        return logits


RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "functional": functional.relu,
    "torch": torch.relu,
    "in place": torch.relu_,
    "method": Tensor.relu,
    "clamp": lambda x: x.clamp(min=0),
    "clamp by a tensor": lambda x: x.clamp(min=torch.tensor(0.0)),
    "clamp_min": lambda x: torch.clamp_min(x, 0.0),
    "threshold": lambda x: functional.threshold(x, 0.0, 0.0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
}
OTHERS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "modules alone": None,
    "relu6": functional.relu6,
    "leaky": functional.leaky_relu,
    "gelu": functional.gelu,
    "clamp to [0, 1]": lambda x: x.clamp(0, 1),
    "clamp at a small number": lambda x: x.clamp(min=1e-6),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("kind", [*RELUS, *OTHERS])
def test_relus_that_are_no_modules_are_told(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    detector = Mixed((RELUS | OTHERS)[kind])
    explainer = load_explainer("captum:GuidedBackprop")
    with counting(detector) as meter:
        explainer.check(detector)
        told = " ".join(capsys.readouterr().err.split())
        explainer.check(detector)
    assert capsys.readouterr().err == ""
    assert meter.images == 0
    said = "captum:GuidedBackprop changes the gradient of 1 of the 4 ReLUs of Mixed, those that are nn.ReLU modules"
    assert (said in told) == (kind in RELUS)
    assert bool(told) == (kind in RELUS)
    assert hooks(detector) == 0
