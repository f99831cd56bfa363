"""Maps that promise to add up say how far they are from it: right sums, wrong ones, and none where none is promised."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xai
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries
from tests.toys import LinearDetector
from tests.xai.helpers import SmallNetwork, photo
from xai.captum_bridge import captum_explainer
from xai.completeness import FLOOR, CompleteExplainer, Completeness
from xai.explanation import Explanation, FrameExplanations
from xai.explanation_settings import build_settings
from xai.methods import load_explainer, parse_method

PROMISING = (
    "captum:IntegratedGradients", "captum:GradientShap", "captum:DeepLift", "captum:ShapleyValueSampling",
    "captum:KernelShap", "SHAP",
)  # fmt: skip
OTHERS = ("LIME", "SOBOL", "RISE", "captum:Saliency", "captum:InputXGradient", "captum:Lime", "captum:Occlusion")


class Normed(Detector):
    """A network that begins with a layer norm, as ConvNeXt does: the hidden frame's features have no variance."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 32
    mean = (0.5, 0.5, 0.5)

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 4, stride=4), nn.GroupNorm(1, 6, eps=epsilon)
        self.body, self.head = nn.Conv2d(6, 6, 3), nn.Linear(6, 2)
        draws = torch.Generator().manual_seed(3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.4, generator=draws)
        nn.init.zeros_(self.stem.bias)

    def forward(self, images: Tensor) -> Tensor:
        features = self.body(self.norm(self.stem((images - 0.5) / 0.25)))
        return self.head(nn.functional.gelu(features).mean(dim=(2, 3)))


def explained(detector: Detector, method: str, **settings: object) -> Explanation:
    chosen = parse_method(method)
    overrides = {"segments": {"count": 16}} | ({chosen.explainer: settings} if settings else {})
    size = detector.input_size
    built = build_settings("quick", overrides, [chosen])
    return FrameExplanations(detector, photo(size), len(detector.class_names) - 1, built, batch_size=16).explain(method)


def log_odds(detector: Detector, image: Tensor) -> float:
    return float(Queries(detector).log_odds(image[None], len(detector.class_names) - 1))


def test_the_error_is_a_share_of_what_is_due() -> None:
    assert Completeness(0.9, 1.0).error == pytest.approx(0.1)
    assert Completeness(-0.22, 0.23).error == pytest.approx(0.45 / 0.23)
    assert Completeness(0.3, 0.0).error == pytest.approx(0.3 / FLOOR)
    assert Completeness(0.0, 0.0).error == 0.0
    assert [Completeness(total, 1.0).broken for total in (1.0, 0.96, 1.04, 0.94, 1.06, -1.0)] == [False] * 3 + [
        True
    ] * 3
    assert str(Completeness(-0.22, 0.23)) == (
        "sums to -0.22 where 0.23 is due, 196 % off; its map is not what it promises"
    )
    assert str(Completeness(0.998, 1.0)) == "sums to 0.998 where 1 is due, 0.2 % off"


@pytest.mark.parametrize("name", PROMISING)
def test_what_promises_states_its_error(name: str) -> None:
    """Against sums taken here, of the map and of the detector's answers."""
    detector, image = (
        LinearDetector(torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1)), -1.0),
        photo(32),
    )
    assert isinstance(load_explainer(name), CompleteExplainer)
    found = explained(detector, name)
    assert found.completeness is not None
    frame = FrameExplanations(detector, image, 1, build_settings("quick", {"segments": {"count": 16}}))
    hidden = frame.fill("blur" if name == "SHAP" else "mean")(torch.zeros(1, 1, 32, 32))[0]
    if name == "SHAP":
        due = float(Queries(detector).probabilities(torch.stack([image, hidden]))[:, 1].diff().neg())
    else:
        due = log_odds(detector, image) - log_odds(detector, hidden)
    assert found.completeness.promised == pytest.approx(due, abs=1e-4)
    by_segment = name in ("captum:ShapleyValueSampling", "captum:KernelShap")
    values = [found.saliency[found.segments == label][0] for label in np.unique(found.segments)]
    total = sum(values) if by_segment else found.saliency.sum(dtype=np.float64)
    assert found.completeness.total == pytest.approx(total, rel=1e-5)
    assert found.completeness.error < 0.01
    assert not found.completeness.broken


def test_lrp_promises_the_score_itself() -> None:
    class Modules(SmallNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.activation, self.pooling = nn.ReLU(), nn.AdaptiveAvgPool2d(4)

        def forward(self, images: Tensor) -> Tensor:
            return self.linear(self.pooling(self.activation(self.convolution(images))).flatten(1))

    detector = Modules()
    found = explained(detector, "captum:LRP")
    assert found.completeness is not None
    assert found.completeness.promised == pytest.approx(log_odds(detector, photo(32)), rel=1e-5)
    assert found.completeness.total == pytest.approx(found.saliency.sum(), rel=1e-4)


class Rectified(Detector):
    """Modules that LRP has rules for, of no bias, which would keep relevance; its logits are its last layer's."""

    class_names = ("Real", "Face2Face", "FaceSwap")
    real = 0
    input_size = 32
    mean = (0.5, 0.5, 0.5)

    def __init__(self, logits: int) -> None:
        super().__init__()
        self.class_names = type(self).class_names[:logits]  # type: ignore[assignment]
        self.first, self.second = nn.Conv2d(3, 6, 3, bias=False), nn.Conv2d(6, 6, 3, bias=False)
        self.above, self.between = nn.ReLU(), nn.ReLU()
        self.pooling, self.head = nn.AdaptiveAvgPool2d(4), nn.Linear(96, logits, bias=False)
        draws = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=draws)

    def forward(self, images: Tensor) -> Tensor:
        features = self.above(self.second(self.between(self.first(images - 0.5))))
        return self.head(self.pooling(features).flatten(1))


@pytest.mark.parametrize("logits", [2, 3])
def test_lrp_of_rectified_layers_is_gradient_times_input(logits: int) -> None:
    """Without biases LRP-0 is so, exactly, and adds up over two logits, whose log-odds are their difference."""
    detector, image = Rectified(logits).eval(), photo(32)
    found, x = explained(detector, "captum:LRP"), image[None].clone().requires_grad_()
    said = detector(x)[0]
    (slope,) = torch.autograd.grad(said[-1] - said[:-1].logsumexp(dim=0), x)
    expected = (slope[0] * (image - 0.5)).sum(dim=0).numpy()
    assert np.abs(found.saliency - expected).max() < 1e-3 * np.abs(expected).max()
    assert found.completeness is not None
    assert logits > 2 or found.completeness.error < 0.01


@pytest.mark.parametrize("joined", [lambda a, b: a + b, lambda a, b: a - 0.5 * b, lambda a, b: a * b.sigmoid()])
def test_lrp_refuses_branches_that_are_joined_by_a_function(joined: Callable[[Tensor, Tensor], Tensor]) -> None:
    class Branching(Rectified):
        def forward(self, images: Tensor) -> Tensor:
            first = self.above(self.first(images - 0.5))
            second = self.between(self.second(first))
            return self.head(self.pooling(joined(second, first[..., 1:-1, 1:-1])).flatten(1))

    lrp = captum_explainer("LRP")()
    lrp.check(Rectified(2))
    with pytest.raises(InputError, match=r"no rule for what Branching adds or multiplies .* 1 in a pass"):
        lrp.check(Branching(2))


@pytest.mark.parametrize("name", OTHERS)
def test_what_promises_nothing_states_nothing(name: str) -> None:
    assert explained(SmallNetwork(), name).completeness is None


def test_gradients_alone_promise_nothing() -> None:
    for name in ("captum:IntegratedGradients", "captum:GradientShap", "captum:DeepLift"):
        assert explained(SmallNetwork(), name, multiply_by_inputs=False).completeness is None


@pytest.mark.parametrize("epsilon", [1e-5, 1e-6, 1e-8])
def test_integrated_gradients_behind_a_layer_norm_add_up(epsilon: float) -> None:
    detector = Normed(epsilon)
    due = log_odds(detector, photo(32)) - log_odds(detector, torch.full((3, 32, 32), 0.5))
    once = explained(detector, "captum:IntegratedGradients", most_steps=50)
    more = explained(detector, "captum:IntegratedGradients")
    assert once.completeness is not None
    assert more.completeness is not None
    assert more.completeness.promised == pytest.approx(due, rel=1e-4)
    assert once.completeness.broken  # what fifty steps miss
    assert "raise captum:IntegratedGradients.most_steps or n_steps" in str(once.completeness)
    assert more.completeness.error <= 0.01
    assert more.completeness.remedy == ""
    assert more.saliency.sum() == pytest.approx(due, rel=0.011)
    assert once.forwards < more.forwards <= 2 * 1000 + 100


def test_where_it_cannot_it_says_so() -> None:
    """Norm upon norm: from the hidden frame the score jumps, within less of the path than float32 can tell apart."""

    class Jumping(Normed):
        def forward(self, images: Tensor) -> Tensor:
            features = self.norm(self.norm(self.norm(self.stem((images - 0.5) / 0.25))))
            return self.head(features.relu().mean(dim=(2, 3)))

    found = explained(Jumping(1e-14), "captum:IntegratedGradients").completeness
    assert found is not None
    assert found.broken
    assert "its map is not what it promises (raise captum:IntegratedGradients.most_steps or n_steps, or " in str(found)
    assert "captum:IntegratedGradients_adv)" in str(found)


def test_deep_lift_states_what_it_loses() -> None:
    """A product of features, as attention has it, is no module: captum's DeepLift passes a gradient through it."""

    class Attending(SmallNetwork):
        def forward(self, images: Tensor) -> Tensor:
            features = self.convolution(images - 0.5).sigmoid() * self.convolution(images)
            return self.linear(nn.functional.adaptive_avg_pool2d(features, 4).flatten(1))

    found = explained(Attending(), "captum:DeepLift").completeness
    assert found is not None
    assert found.broken
    assert found.error > 0.05


def test_settings_of_the_steps_are_checked() -> None:
    for setting, value, message in (
        ("tolerance", "-1", "tolerance must be at least 0"),
        ("tolerance", "nan", "tolerance"),
        ("most_steps", "0", "most_steps must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            explained(SmallNetwork(), "captum:IntegratedGradients", **{setting: float(value)})


def test_the_map_alone_divides_no_frame_for_what_looks_at_no_segment() -> None:
    """SLIC refuses pure noise; what uses no segments explains it all the same, and as `explain` would."""
    noise = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    names = [*PROMISING[:3], "SHAP", "SOBOL", "RISE", "captum:Occlusion", "cam:GradCAM", "RISE_adv"]
    overrides = {
        "segments": {"count": 4, "compactness": 0.001},
        "captum:Occlusion": {"sliding_window_shapes": (3, 8, 8), "strides": (3, 8, 8)},
        "adversarial": {"steps": 2},
    }
    settings = build_settings("quick", overrides, [parse_method(name) for name in names])
    frame = FrameExplanations(SmallNetwork(), noise, 2, settings)
    with pytest.raises(InputError, match="the image falls into"):
        frame.explain("SHAP")
    maps = {name: frame.saliency(name) for name in names}
    for name in ("LIME", "captum:FeatureAblation"):
        settings = build_settings("quick", {"segments": overrides["segments"]}, [parse_method(name)])
        with pytest.raises(InputError, match="the image falls into"):
            FrameExplanations(SmallNetwork(), noise, 2, settings).saliency(name)
    frame.segments = np.arange(16).reshape(4, 4).repeat(8, axis=0).repeat(8, axis=1).astype(np.int32)
    for name, found in maps.items():
        assert np.array_equal(frame.explain(name).saliency, found), name


def test_a_users_own_explainer_can_promise() -> None:
    found = xai.explain(SmallNetwork(), np.zeros((32, 32, 3), np.uint8), "tests.xai.own:Promising", 2)
    assert found.completeness == Completeness(float(found.saliency.sum()), 7.0)
