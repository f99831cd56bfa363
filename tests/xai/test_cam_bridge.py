"""Class activation maps are their papers' formulas at the layer that decides, and captum's where captum has them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import base_cam, eigen_cam
from sklearn.decomposition import KernelPCA
from torch import Tensor, nn
from torch.nn import functional

import detectors
import xai
from common.errors import InputError
from common.settings import override
from detectors import sbi, xception
from detectors.base import Detector
from detectors.caddm import CaddmConfig, CaddmDetector
from detectors.checks.map_place import ASIDE, hooked, require_in_place
from detectors.gradients import differentiable, untouched
from detectors.layers import as_maps, feature_layer
from detectors.queries import Queries, counting
from detectors.timm_network import TimmConfig, TimmDetector
from tests.xai.helpers import photo
from xai.base import Explainer, Score
from xai.cam_bridge import cam_explainer
from xai.fills import composite
from xai.methods import load_explainer, parse_method

SEGMENTS = np.zeros((32, 32), dtype=np.int32)  # maps do not look at them
TARGET = 2


class Pooled(Detector):
    """Two convolutions, mean pooling, a linear layer; three classes."""

    class_names = ("Real", "Face2Face", "Deepfakes")
    real = 0
    input_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.end = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 3)
        draws = torch.Generator().manual_seed(8)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=draws)

    def features(self, images: Tensor) -> Tensor:
        return self.end(self.last(self.act(self.stem(images - 0.5))))

    def judged(self, features: Tensor) -> Tensor:
        """The log-odds of TARGET, by their definition."""
        p = self.head(features.mean(dim=(2, 3))).double().softmax(dim=1)[:, TARGET]
        return p.log() - (1 - p).log()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))


def made(name: str, **settings: object) -> Explainer:
    return override(cam_explainer(name)(), settings, name)


def mapped(
    explainer: Explainer, detector: Detector, image: Tensor, background: Tensor, target: int = TARGET
) -> np.ndarray:
    score = Score(Queries(detector, batch_size=4), target)
    return explainer(score, image, SEGMENTS, composite(image, background), np.random.default_rng(4))


def finished(small: Tensor, size: int = 32) -> np.ndarray:
    """A small map (h, w) as the package hands it out: at least 0, scaled to [0, 1], enlarged bilinearly."""
    small = small.detach().float().relu()
    large = functional.interpolate(small[None, None], (size, size), mode="bilinear", align_corners=False)[0, 0]
    return ((large - large.min()) / (large.max() - large.min())).numpy()


@pytest.fixture(name="toy")
def _toy() -> tuple[Pooled, Tensor, Tensor]:
    return Pooled(), photo(32), photo(32, seed=5)


def test_grad_cam_is_captums(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    detector, image, background = toy
    for layer in ("end", "stem"):
        direct = LayerGradCam(lambda x: detector.judged(detector.features(x)), detector.get_submodule(layer))
        expected = finished(direct.attribute(image[None].requires_grad_(), relu_attributions=True)[0, 0])
        assert expected.std() > 0.05  # and what follows "stem" works in place on what was kept of it
        assert np.abs(mapped(made("GradCAM", layer=layer), detector, image, background) - expected).max() < 1e-4
    assert np.array_equal(
        mapped(made("GradCAM"), detector, image, background), mapped(made("GradCAM", layer="end"), *toy)
    )


def test_other_maps_are_their_papers_formulas(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    detector, image, background = toy
    features = detector.features(image[None]).detach().requires_grad_()
    (g,) = torch.autograd.grad(detector.judged(features).sum(), features)
    g, a = g[0].float(), features.detach()[0]
    alpha = torch.where(g != 0, g**2 / (2 * g**2 + a.sum(dim=(1, 2), keepdim=True) * g**3 + 1e-6), 0)
    formulas = {
        "HiResCAM": (g * a).sum(dim=0),  # Draelos and Carin 2020
        "LayerCAM": (g.relu() * a).sum(dim=0),  # Jiang et al. 2021
        "GradCAMPlusPlus": ((alpha * g.relu()).sum(dim=(1, 2), keepdim=True) * a).sum(dim=0),  # Chattopadhay 2018
    }
    for name, small in formulas.items():
        assert np.abs(mapped(made(name), detector, image, background) - finished(small)).max() < 1e-3, name


@pytest.mark.parametrize("bias", [9.0, -9.0])
def test_ablation_cam_weighs_a_channel_by_what_the_score_loses_without_it(
    toy: tuple[Pooled, Tensor, Tensor], bias: float
) -> None:
    """Desai and Ramaswamy 2020; also where the log-odds are below zero, by which the package divides."""
    detector, image, background = toy
    with torch.no_grad():
        detector.head.bias[TARGET] += bias
        a = detector.features(image[None])
        without = torch.stack([a[0] * (torch.arange(6) != channel)[:, None, None] for channel in range(6)])
        loss = detector.judged(a) - detector.judged(without)
        assert (float(detector.judged(a)) < 0) == (bias < 0)
    expected = finished((loss[:, None, None] * a[0]).sum(dim=0))
    found = mapped(made("AblationCAM"), detector, image, background)
    assert expected.std() > 0.05
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("layer", ["last", "stem"])
def test_ablation_cam_sets_channels_to_zero_whatever_the_layer_gives(
    toy: tuple[Pooled, Tensor, Tensor], layer: str
) -> None:
    """The package takes -1e7 where a layer's output has values below 0, and what follows it here works in place."""
    detector, image, background = toy
    detector.act, detector.end = nn.SiLU(inplace=True), nn.SiLU(inplace=True)
    rest = detector.end if layer == "last" else lambda a: detector.end(detector.last(detector.act(a)))
    with torch.no_grad():
        a = detector.stem(image[None] - 0.5)
        a = a if layer == "stem" else detector.last(detector.act(a))
        without = torch.stack([a[0] * (torch.arange(a.shape[1]) != k)[:, None, None] for k in range(a.shape[1])])
        loss = detector.judged(rest(a.clone())) - detector.judged(rest(without))
    expected = finished((loss[:, None, None] * a[0]).sum(dim=0))
    assert a.min() < 0
    assert expected.std() > 0.05
    assert np.abs(mapped(made("AblationCAM", layer=layer), detector, image, background) - expected).max() < 1e-3


def test_ablation_cam_of_several_pictures_compares_each_with_itself(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    """`aug_smooth` mirrors and darkens: where that lowers the log-odds by more than 1, the map was upside down."""
    detector, image, background = toy
    with torch.no_grad():
        detector.head.weight *= 20
        differences = [factor * turned for turned in (image - background, (image - background).flip(2))
                       for factor in (0.9, 1.0, 1.1)]  # fmt: skip
        pictures = [(background + difference)[None] for difference in differences]
        odds = torch.cat([detector.judged(detector.features(picture)) for picture in pictures])
        assert float(odds.min() - odds[0]) < -1
        single = []
        for number, picture in enumerate(pictures):
            a = detector.features(picture)
            without = torch.stack([a[0] * (torch.arange(6) != channel)[:, None, None] for channel in range(6)])
            loss = detector.judged(a) - detector.judged(without)
            small = finished((loss[:, None, None] * a[0]).sum(dim=0))
            single.append(small[:, ::-1] if number >= 3 else small)
    expected = np.mean(single, axis=0)
    found = mapped(made("AblationCAM", aug_smooth=True), detector, image, background)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("is_inplace", [False, True])
def test_shapley_cam_is_the_same_where_what_follows_its_layer_works_in_place(
    is_inplace: bool, toy: tuple[Pooled, Tensor, Tensor]
) -> None:
    detector, image, background = toy
    detector.end = nn.ReLU(inplace=is_inplace)
    a = detector.last(detector.act(detector.stem(image[None] - 0.5))).detach().requires_grad_()
    score = detector.judged(a.relu()).sum()
    (g,) = torch.autograd.grad(score, a, create_graph=True)
    (product,) = torch.autograd.grad(g, a, grad_outputs=a.detach())
    weights = (g - 0.5 * product).detach().mean(dim=(2, 3), keepdim=True)
    expected = finished((weights * a.detach()).sum(dim=1)[0])
    assert np.abs(mapped(made("ShapleyCAM", layer="last"), detector, image, background) - expected).max() < 1e-3


COMPONENTS = {
    "EigenCAM": ({}, lambda a, g: a),  # Muhammad and Yeasin 2020
    "EigenGradCAM": ({}, lambda a, g: g * a),
    "KPCA_CAM": ({"kernel": "linear"}, lambda a, g: a),
    "GradCAM": ({"eigen_smooth": True}, lambda a, g: g.mean(axis=(1, 2), keepdims=True) * a),
    "LayerCAM": ({"eigen_smooth": True}, lambda a, g: np.maximum(g, 0) * a),
}


@pytest.mark.parametrize("chance", [1, -1])
@pytest.mark.parametrize("name", COMPONENTS)
def test_components_rise_where_the_sum_does_whichever_sign_they_come_with(
    name: str, chance: int, toy: tuple[Pooled, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps that are principal components, by the eigenvectors of the covariance; libraries give them either sign."""
    detector, image, background = toy
    settings, weighted = COMPONENTS[name]
    features = detector.features(image[None]).detach().requires_grad_()
    (g,) = torch.autograd.grad(detector.judged(features).sum(), features)
    a = features.detach()[0].double().numpy()
    maps = weighted(a, g[0].double().numpy())
    points = maps.reshape(len(maps), -1).T
    points = points - points.mean(axis=0)
    component = (points @ np.linalg.eigh(points.T @ points)[1][:, -1]).reshape(maps.shape[1:])
    component *= np.sign((component * (maps.sum(axis=0) - maps.sum(axis=0).mean())).sum())
    svd, kernel = np.linalg.svd, KernelPCA.fit_transform

    def turned(matrix: np.ndarray, **settings: Any) -> tuple[np.ndarray, ...]:
        left, values, right = svd(matrix, **settings)
        return chance * left, values, chance * right

    monkeypatch.setattr(np.linalg, "svd", turned)
    monkeypatch.setattr(KernelPCA, "fit_transform", lambda self, points: chance * kernel(self, points))
    found = mapped(made(name, **settings), detector, image, background)
    expected = finished(torch.from_numpy(component))
    assert expected.std() > 0.05
    assert np.abs(found - expected).max() < 1e-3


def test_grad_cam_is_as_it_was_when_a_map_is_made() -> None:
    before = eigen_cam.get_2d_projection, base_cam.get_2d_projection
    detector, image = Pooled(), photo(32)
    mapped(made("EigenCAM"), detector, image, torch.zeros_like(image))
    assert (eigen_cam.get_2d_projection, base_cam.get_2d_projection) == before


def test_score_cam_hides_what_a_channel_does_not_see_in_the_fill(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    """Wang et al. 2020."""
    detector, image, background = toy
    with torch.no_grad():
        a = detector.features(image[None])
        large = nn.UpsamplingBilinear2d((32, 32))(a)[0]
        low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
        masks = ((large - low) / (high - low + 1e-8))[:, None]
        scores = detector.judged(detector.features(masks * image + (1 - masks) * background))
    expected = finished((scores.softmax(dim=0)[:, None, None] * a[0]).sum(dim=0))
    assert np.abs(mapped(made("ScoreCAM"), detector, image, background) - expected).max() < 1e-3
    assert np.abs(mapped(made("ScoreCAM"), detector, image, torch.zeros_like(image)) - expected).max() > 1e-2


class Spotter(Detector):
    """Says fake where anything stands out from its surroundings: a fixed filter, squared, its mean over the image."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 64

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Conv2d(3, 2, 9, stride=4, padding=4, padding_mode="replicate", bias=False)
        kernel = torch.full((9, 9), -1 / 56)
        kernel[2:7, 2:7] = 1 / 25
        with torch.no_grad():
            self.filter.weight.copy_((torch.tensor([1.0, -1.0])[:, None, None, None] * kernel).expand(2, 3, 9, 9))
        self.act = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        fake = 400 * (self.act(self.filter(images)) ** 2).mean(dim=(1, 2, 3)) - 2
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


@pytest.mark.parametrize("name", ["GradCAM", "GradCAMPlusPlus", "LayerCAM", "HiResCAM", "ScoreCAM", "ScoreCAM_adv"])
def test_the_planted_patch_is_ranked_first(name: str) -> None:
    y, x = np.mgrid[:64, :64] / 63
    image = np.stack([100 + 60 * x, 120 + 30 * y, 90 + 40 * x + 20 * y], axis=-1)
    image[18:26, 34:42] += 40
    found = xai.explain(
        Spotter(), image.astype(np.uint8), f"cam:{name}", preset="quick", overrides={"segments": {"count": 16}}
    )
    assert found.ranking[0] == np.bincount(found.segments[18:26, 34:42].ravel()).argmax()


def timm_detector(network: str, size: int = 64, **settings: object) -> TimmDetector:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        made = TimmDetector(TimmConfig(network, ("Real", "Fake"), 2, size, **settings))  # type: ignore[arg-type]
        nn.init.normal_(made.network.get_classifier().weight, std=0.1)  # some are zero at first, and decide nothing
    return made.eval()


def found_layer(detector: Detector, layer: str | None = None) -> str:
    with differentiable(torch.device("cpu")), untouched(detector):
        return feature_layer(detector, layer, "--layer", transformers=True)


def test_the_layer_of_every_detector_here() -> None:
    assert found_layer(detectors.load("demo")) == "network.bn2"
    assert found_layer(CaddmDetector(CaddmConfig("resnet34")).eval()).startswith("network.backbone.layer4")
    for config, layer in ((sbi.CONFIG, "network.bn2"), (xception.CONFIG, "network.act4")):
        detector = timm_detector(config.network)
        assert found_layer(detector) == layer


@pytest.mark.parametrize(
    ("network", "size", "layer", "shape"),
    [
        ("vit_tiny_patch16_224", 224, "network.blocks.10", (192, 14, 14)),  # no patch leaves the last for the verdict
        ("swin_tiny_patch4_window7_224", 224, "network.norm", (768, 7, 7)),
        ("convnext_atto", 64, "network.norm_pre", (320, 2, 2)),
    ],
)
def test_transformers_have_maps_too(network: str, size: int, layer: str, shape: tuple[int, ...]) -> None:
    detector = timm_detector(network, size)
    assert found_layer(detector) == layer
    seen: list[Tensor] = []
    handle = detector.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    detector(photo(size)[None])
    handle.remove()
    maps = as_maps(seen[0])
    assert maps is not None
    assert tuple(maps.shape[1:]) == shape
    image = photo(size)
    found = mapped(made("GradCAM"), detector, image, torch.zeros_like(image), target=1)
    assert found.shape == (size, size)
    assert found.std() > 0.01


class Attending(Detector):
    """Patches that attend to each other by torch's fused attention, or by its formula; then means, a linear layer."""

    class_names = ("Real", "Face2Face", "Deepfakes")
    real = 0
    input_size = 32

    def __init__(self, fused: bool, differentiable_twice: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.mixed, self.end, self.head = nn.Linear(8, 24), nn.Identity(), nn.Linear(8, 3)
        self.fused, self.twice = fused, differentiable_twice
        draws = torch.Generator().manual_seed(3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7, generator=draws)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.end(self.patches(images - 0.5))
        query, key, value = self.mixed(maps.flatten(2).transpose(1, 2))[:, None].chunk(3, dim=3)
        if self.fused:
            attended = functional.scaled_dot_product_attention(query, key, value)
        else:
            attended = (query @ key.transpose(2, 3) / 8**0.5).softmax(dim=3) @ value
        tokens = attended[:, 0].mean(dim=1)
        return self.head(tokens if self.twice else OnceDifferentiable.apply(tokens))


class OnceDifferentiable(torch.autograd.Function):
    """x squared, whose gradient has no gradient: as fused kernels are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return Doubled.apply(*ctx.saved_tensors, gradient)


class Doubled(torch.autograd.Function):
    """2 x gradient, with no derivative of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor) -> Tensor:
        return 2 * x * gradient

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise NotImplementedError("derivative for kernel_backward is not implemented")


def test_second_derivatives_go_through_fused_attention() -> None:
    """ShapleyCAM differentiates gradients, which fused kernels do not allow; its weights are those of the formula."""
    image, background = photo(32), photo(32, seed=5)
    fused, plain = Attending(fused=True), Attending(fused=False)
    explainer = made("ShapleyCAM", layer="end")
    explainer.check(fused)
    found = mapped(explainer, fused, image, background)
    assert np.abs(found - mapped(explainer, plain, image, background)).max() < 1e-4
    features = plain.end(plain.patches(image[None] - 0.5)).detach().requires_grad_()
    query, key, value = plain.mixed(features.flatten(2).transpose(1, 2)).chunk(3, dim=2)
    tokens = ((query @ key.transpose(1, 2) / 8**0.5).softmax(dim=2) @ value).mean(dim=1)
    p = plain.head(tokens).softmax(dim=1)[:, TARGET]
    (g,) = torch.autograd.grad((p.log() - (1 - p).log()).sum(), features, create_graph=True)
    (hvp,) = torch.autograd.grad(g, features, features.detach())
    small = ((g - hvp / 2).mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)[0]
    assert np.abs(found - finished(small)).max() < 1e-3
    assert found.std() > 0.05


def test_a_detector_without_second_derivatives_is_refused_before_any_frame() -> None:
    detector, fill = Attending(fused=False, differentiable_twice=False), photo(32, seed=5)
    first_order = made("GradCAM", layer="end")
    first_order.check(detector)
    assert mapped(first_order, detector, photo(32), fill).any()
    with pytest.raises(InputError, match="cam:ShapleyCAM cannot explain Attending: derivative for kernel_backward"):
        made("ShapleyCAM", layer="end").check(detector)


class Moved(Detector):
    """A network that is given the image otherwise than it is."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 96

    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = timm.create_model("resnet10t", num_classes=2)
        self.move = move

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.network(self.move(images))
        return answers


@pytest.mark.parametrize("layer", [None, "network.layer3"])
@pytest.mark.parametrize(
    ("move", "words"),
    [
        (lambda images: images.flip(3), "sees the image elsewhere than it is"),
        (lambda images: images.flip(2), "sees the image elsewhere than it is"),
        (lambda images: images.rot90(1, (2, 3)), "sees the image elsewhere than it is"),
        (lambda images: images.rot90(2, (2, 3)), "sees the image elsewhere than it is"),
        (lambda images: images.transpose(2, 3), "sees the image elsewhere than it is"),
        (lambda images: images.roll(48, 3), "sees the image elsewhere than it is"),
        (lambda images: images[:, :, 6:-6, 6:-6], "does not see the image's border"),
        (lambda images: images, None),
        (lambda images: functional.interpolate(images, (128, 128), mode="bilinear"), None),
        (lambda images: functional.pad(images, (4, 4, 4, 4), mode="reflect"), None),
    ],
)
def test_a_map_lies_over_the_image(move: Callable[[Tensor], Tensor], words: str | None, layer: str | None) -> None:
    if words is None:
        assert found_layer(Moved(move).eval(), layer) == (layer or "network.layer4")
        return
    with pytest.raises(InputError, match=words):
        found_layer(Moved(move).eval(), layer)


class Alike(Detector):
    """A map of 2 x 2 whose places all see all of the image, as in deep layers at 64 pixels: what leans is chance."""

    class_names, real, input_size = ("Real", "Fake"), 0, 64

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.mixed, self.last, self.head = nn.Linear(3 * 64, 14 * 4), nn.Identity(), nn.Linear(14, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.mixed(functional.avg_pool2d(images, 8).flatten(1)).view(-1, 14, 2, 2)
        answers: Tensor = self.head(self.last(maps).mean(dim=(2, 3)))
        return answers


def test_chance_in_four_places_is_no_ground_to_refuse() -> None:
    lowest = 0.0
    for seed in range(8):
        detector, image = Alike(seed).eval(), photo(64, seed)[None]
        lowest = min(lowest, require_in_place(detector, "last", image, 1 - image, as_maps, "image"))
        assert found_layer(detector) == "last"
    assert lowest < -ASIDE  # what a map of more places would be refused for


@pytest.mark.parametrize("move", [lambda images: images.flip(3), lambda images: images.transpose(2, 3)])
def test_four_places_that_follow_the_image_are_held_to_it(move: Callable[[Tensor], Tensor]) -> None:
    detector = Moved(move).eval()
    detector.input_size = 64
    with pytest.raises(InputError, match="sees the image elsewhere than it is"):
        found_layer(detector)


def padded(images: Tensor) -> Tensor:
    """Zeros below and to the right, a third of the side."""
    return functional.pad(images, (0, 32, 0, 32))


def letterboxed(images: Tensor) -> Tensor:
    """In the middle of zeros of twice the side."""
    return functional.pad(images, (48, 48, 48, 48))


def coefficients(images: Tensor) -> Tensor:
    """Haar wavelet coefficients, four small pictures as one."""
    a, b, c, d = (images[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    low, high = torch.cat([a + b + c + d, a - b + c - d], dim=3), torch.cat([a + b - c - d, a - b - c + d], dim=3)
    return torch.cat([low, high], dim=2) / 2


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (padded, "goes on where the image has ended"),
        (letterboxed, "goes on where the image has ended"),
        (coefficients, "in another order than it is"),
        (lambda images: images.roll((24, 24), (2, 3)), "elsewhere than it is|in another order than it is"),
        (lambda images: images * torch.linspace(-1, 1, 96).abs().lt(0.6), None),  # a mask, which moves nothing
        (lambda images: images * torch.hann_window(96) * torch.hann_window(96)[:, None], None),
    ],
)
@pytest.mark.parametrize("layer", ["network.layer1", "network.layer2"])
def test_a_map_follows_the_images_cells(move: Callable[[Tensor], Tensor], words: str | None, layer: str) -> None:
    detector = Moved(move).eval()
    if words is None:
        assert found_layer(detector, layer) == layer
        return
    with pytest.raises(InputError, match=words):
        found_layer(detector, layer)


class Ordered(Detector):
    """A vision transformer whose patches are put into another order before its blocks."""

    class_names, real, input_size = ("Real", "Fake"), 0, 64

    def __init__(self, order: Tensor, **settings: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = timm.models.VisionTransformer(
            img_size=64, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=2, **settings
        )
        self.order = order
        self.network.pos_drop.register_forward_hook(lambda _module, _inputs, tokens: self.ordered(tokens))

    def ordered(self, tokens: Tensor) -> Tensor:
        first = tokens.shape[1] - 64
        return torch.cat([tokens[:, :first], tokens[:, first:][:, self.order]], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.network(2 * images - 1)
        return answers


WINDOWS = torch.arange(64).view(2, 4, 2, 4).transpose(1, 2).flatten()
SHUFFLED = torch.randperm(64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("order", "settings", "fits"),
    [
        (WINDOWS, {}, False),
        (SHUFFLED, {}, False),
        (torch.arange(64), {}, True),
        (torch.arange(64), {"reg_tokens": 4}, True),
    ],
)
def test_tokens_lie_as_the_patches_do(order: Tensor, settings: dict[str, Any], fits: bool) -> None:
    detector = Ordered(order, **settings).eval()
    if fits:
        assert found_layer(detector) == "network.blocks.0"
        return
    with pytest.raises(InputError, match=r"in another order than it is|elsewhere than it is"):
        found_layer(detector)


@pytest.mark.parametrize(
    ("network", "size"),
    [
        ("resnet18", 128),
        ("convnext_atto", 128),
        ("mobilenetv3_small_050", 128),
        ("efficientnet_lite0", 128),
        ("densenet121", 96),
        ("regnetx_002", 160),  # 5 x 5 at the end, moved by half a place
        ("fastvit_t8", 128),
    ],
)
def test_sound_layers_are_left(network: str, size: int) -> None:
    """Every feature map of 4 x 4 or more that a module with parts of its own gives."""
    detector = timm_detector(network, size)
    detector.requires_grad_(False)
    probe = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    maps: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        made = as_maps(output) if isinstance(output, Tensor) and len(output) == 1 else None
        if made is not None and min(made.shape[2:]) >= 4:
            maps[name] = made

    blocks = [name for name, part in detector.named_modules() if name and any(part.children()) and "attn" not in name]
    with hooked(detector, blocks, keep):
        detector(probe)
    for name in list(maps)[:: -max(1, len(maps) // 3)]:
        follows = require_in_place(detector, name, probe, 1 - probe, as_maps, "image", cells=True)
        assert follows > -0.1


class Tokens(Moved):
    """Makes tokens of its map and a map of these again, as many do, by a transpose or, wrongly, without."""

    def __init__(self, transposed: bool) -> None:
        super().__init__(lambda images: images)
        self.transposed, self.last = transposed, nn.Conv2d(128, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        network = self.network
        maps = network.layer2(network.layer1(network.maxpool(network.act1(network.bn1(network.conv1(images))))))
        tokens = maps.flatten(2).transpose(1, 2)
        again = tokens.transpose(1, 2).reshape(maps.shape) if self.transposed else tokens.reshape(maps.shape)
        answers: Tensor = self.last(again).mean(dim=(2, 3))
        return answers


@pytest.mark.parametrize("transposed", [True, False])
def test_a_map_that_follows_no_place_is_said(transposed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found_layer(Tokens(transposed).eval(), "last")
    told = capsys.readouterr().err
    assert ("the layer 'last' hardly follows where the image changes" in told) == (not transposed)
    assert ("name another layer by --layer" in told) == (not transposed)


def test_outputs_as_maps() -> None:
    plain = torch.rand(2, 5, 3, 3)
    assert as_maps(plain) is plain
    assert torch.equal(as_maps(plain.permute(0, 2, 3, 1)), plain)
    tokens = torch.cat([torch.rand(2, 2, 5), plain.flatten(2).transpose(1, 2)], dim=1)  # two others first
    assert torch.equal(as_maps(tokens), plain)
    assert as_maps(torch.rand(2, 5, 1, 1)) is None
    assert as_maps(torch.rand(2, 40, 5)) is not None  # 36 and 4
    assert as_maps(torch.rand(2, 48, 5)) is None
    assert as_maps(torch.rand(2, 5)) is None


def test_a_map_costs_what_it_asks(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    detector, image, background = toy
    explainer = made("GradCAM")
    explainer.check(detector)
    with counting(detector) as meter:
        mapped(explainer, detector, image, background)
        assert meter.images == 2  # forward and backward
        mapped(made("ScoreCAM"), detector, image, background)
        assert meter.images == 2 + 1 + 6
    picture = (image.permute(1, 2, 0) * 255).byte().numpy()
    overrides = {"segments": {"count": 8}}
    assert xai.explain(Pooled(), picture, "cam:GradCAM", preset="quick", overrides=overrides).forwards == 2


def test_random_maps_follow_the_frames_draws(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    first = mapped(made("RandomCAM"), *toy)
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(mapped(made("RandomCAM"), *toy), first)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("name", ["GradCAM", "ScoreCAM", "AblationCAM", "ShapleyCAM", "EigenCAM", "KPCA_CAM"])
def test_the_detector_is_as_it_was(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    detector, image = Pooled().train(), photo(32)
    parts = dict(detector.named_modules())
    mapped(made(name), detector, image, torch.zeros_like(image))
    assert dict(detector.named_modules()) == parts
    assert all(part.training for part in parts.values())
    assert all(p.grad is None and p.requires_grad for p in detector.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in parts.values())
    assert capfd.readouterr() == ("", "")  # no bars of its own


def test_a_map_that_fails_leaves_the_detector_whole(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    detector, image, background = toy
    explainer, end, calls = made("AblationCAM"), detector.end, 0
    explainer.check(detector)

    def fail(_module: nn.Module, _inputs: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # while another layer stands in the place of `end`
            assert detector.end is not end
            raise RuntimeError("out of memory")

    handle = detector.register_forward_pre_hook(fail)
    with pytest.raises(InputError, match="cam:AblationCAM cannot explain Pooled: out of memory"):
        mapped(explainer, detector, image, background)
    handle.remove()
    assert detector.end is end


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GradCam", r"grad-cam has no 'GradCam' \(did you mean GradCAM\?\); it has: AblationCAM, "),
        ("SESS", "cam:SESS is no map of one class at one layer; there are: AblationCAM, "),
        ("FinerCAM", "is no map of one class"),
        ("FullGrad", "is no map of one class"),
        ("numpy", "has no 'numpy'"),
        ("GradCAM_adv", "cam:GradCAM hides no pixels"),
    ],
)
def test_what_cannot_work_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_method(f"cam:{name}")


def test_layers_that_cannot_be_weighed_are_refused(toy: tuple[Pooled, Tensor, Tensor]) -> None:
    with pytest.raises(InputError, match="no layer 'nose'; its parts: stem, act, last, end, head"):
        mapped(made("GradCAM", layer="nose"), *toy)
    with pytest.raises(InputError, match="the layer 'head' gives no feature map"):
        made("GradCAM", layer="head").check(toy[0])

    class Flat(Detector):
        class_names = ("Real", "Fake")
        real = 0
        input_size = 8

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(192, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(images.flatten(1))

    with pytest.raises(InputError, match=r"Flat has no feature map .* --set cam:LayerCAM.layer=NAME"):
        load_explainer("cam:LayerCAM").check(Flat())


def test_settings_are_the_packages_arguments() -> None:
    methods = [parse_method("cam:FEM"), parse_method("cam:GradCAM")]
    described = xai.describe_settings(xai.build_settings("quick", {"cam:FEM": {"k": "3", "layer": "end"}}, methods))
    assert described["cam:FEM"] == {"layer": "end", "k": 3, "aug_smooth": False, "eigen_smooth": False}
    assert described["cam:GradCAM"] == {"layer": "", "aug_smooth": False, "eigen_smooth": False}
