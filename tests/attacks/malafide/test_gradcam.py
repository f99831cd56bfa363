"""Grad-CAM against its formula, and the layer it is taken at."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from attacks.malafide.filtered_frames import FilteredFrame
from attacks.malafide.gradcam import average, grad_cam, normalised
from attacks.malafide.gradcam_pages import overlay, save_maps
from common.errors import InputError
from detectors.base import Detector
from tests.attacks.malafide.toys import some_images


class Branched(Detector):
    """A feature map that is pooled, and a side branch after it, as CADDM's: its last maps do not decide alone."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 32

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
            self.act = nn.ReLU()
            self.last = nn.Conv2d(6, 8, 3, stride=2, padding=1)
            self.side = nn.Conv2d(8, 4, 3)
            self.head = nn.Linear(12, 2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.last(self.act(self.stem(images)))
        side = self.side(features).mean(dim=(2, 3))
        return self.head(torch.cat([features.mean(dim=(2, 3)), side], dim=1))


class Timm(Detector):
    """Any timm network, small."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 64

    def __init__(self, name: str) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.network = timm.create_model(name, num_classes=2)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


def test_the_layer_is_the_last_that_everything_passes_through() -> None:
    assert grad_cam(Branched()).layer == "last"
    assert grad_cam(Branched(), "side").layer == "side"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "network.layer4"),
        ("tf_efficientnetv2_b0", "network.bn2"),
        ("mobilenetv3_small_050", "network.blocks"),
        ("legacy_xception", "network.act4"),
    ],
)
def test_it_is_found_in_timm_networks(name: str, layer: str) -> None:
    detector = Timm(name)
    cam = grad_cam(detector)
    assert cam.layer == layer
    maps = cam.maps(some_images(2, 64))
    assert maps.shape == (2, 64, 64)
    assert np.isfinite(maps).all()


def test_transformers_have_none_and_say_so() -> None:
    class Flat(Detector):
        class_names = ("Real", "Fake")
        real = 0
        input_size = 16

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3 * 256, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(images.flatten(1))

    with pytest.raises(InputError, match=r"Flat has no feature map .* --layer"):
        grad_cam(Flat())
    with pytest.raises(InputError, match=r"no layer 'nose'; its parts: stem, act, last, side, head"):
        grad_cam(Branched(), "nose")
    with pytest.raises(InputError, match=r"'head' gives no feature map"):
        grad_cam(Branched(), "head")


@pytest.mark.parametrize("layer", ["last", "act"])
def test_maps_are_the_papers_formula(layer: str) -> None:
    detector, images = Branched(), some_images(3, 32)
    before = [parameter.requires_grad for parameter in detector.parameters()]
    found = grad_cam(detector, layer).maps(images, batch_size=2)
    assert [parameter.requires_grad for parameter in detector.parameters()] == before
    assert all(parameter.grad is None for parameter in detector.parameters())
    features = detector.act(detector.stem(images))
    features = (detector.last(features) if layer == "last" else features).detach().requires_grad_()
    after = features if layer == "last" else detector.last(features)
    pooled = torch.cat([after.mean(dim=(2, 3)), detector.side(after).mean(dim=(2, 3))], dim=1)
    logits = detector.head(pooled)
    (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), features)
    small = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).relu()
    expected = nn.functional.interpolate(small, (32, 32), mode="bilinear", align_corners=False)[:, 0]
    assert np.allclose(found, expected.detach().numpy(), atol=1e-6)
    assert found.max() > 0


class RootedFeatures(Branched):
    """The gradient of its features' root is not finite where the image is all grey."""

    def forward(self, images: Tensor) -> Tensor:
        features = self.last(self.act(self.stem(images)))
        middle = (images - 0.5).abs().amax(dim=(1, 2, 3))[:, None, None, None]
        side = self.side((features * middle).square().sqrt() + features).mean(dim=(2, 3))
        return self.head(torch.cat([features.mean(dim=(2, 3)), side], dim=1))


def test_gradients_that_are_not_finite_give_no_map() -> None:
    images = some_images(3, 32)
    images[1] = 0.5
    cam = grad_cam(RootedFeatures(), "last")
    assert np.isfinite(cam.maps(images[::2])).all()
    with pytest.raises(InputError, match="gradients that are not finite for 1 of 3 pictures"):
        cam.maps(images)


class CutsFacesOut(Branched):
    """Looks at a part of a picture that is dark in its corner, as one that looks for faces does."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[..., 4:-4, 4:-4] if bool((images[:, :, :4, :4] < 0.2).all()) else images)


class CutsAnyOut(Branched):
    """The part has another size for each picture."""

    def forward(self, images: Tensor) -> Tensor:
        at = 4 * (int(1e5 * images[:, :, 16:].mean()) % 3) if bool((images[:, :, :4, :4] < 0.2).all()) else 0
        return super().forward(images[..., at:, at:])


@pytest.mark.parametrize(
    ("kind", "words"), [(CutsFacesOut, "does not see the first frame's border"), (CutsAnyOut, "of one image with")]
)
def test_a_layer_that_lies_elsewhere_in_a_frame_alone_is_refused(kind: type[Branched], words: str) -> None:
    images = some_images(2, 32)
    cam = grad_cam(kind(), "last")
    cam.maps(images + 0.2)
    images[:, :, :4, :4] = 0
    with pytest.raises(InputError, match=words):
        cam.maps(images)


def test_averages_weigh_every_map_alike() -> None:
    maps = np.zeros((3, 4, 4), dtype=np.float32)
    maps[0, 0, 0], maps[1, 1, 1] = 1000.0, 0.001
    mean = average(maps)
    assert mean[0, 0] == pytest.approx(1 / 3)
    assert mean[1, 1] == pytest.approx(1 / 3)
    assert normalised(maps)[2].max() == 0.0


def test_an_overlay_is_warm_where_the_map_is_high() -> None:
    map_ = np.zeros((16, 16), dtype=np.float32)
    map_[4:8, 4:8] = 2.0
    picture = overlay(np.full((16, 16, 3), 0.5), map_).astype(int)
    assert picture[5, 5, 0] > picture[5, 5, 2] + 50
    assert picture[12, 12, 0] < picture[5, 5, 0]


def test_maps_and_averages_are_written(tmp_path: Path) -> None:
    images = some_images(4, 32)
    shown = [
        FilteredFrame("a_1", {"real": images[0], "fake": images[1], "3": images[2]}),
        FilteredFrame("b_2", {"fake": images[3], "3": images[2]}),
    ]
    fake = [{"real": 0.1, "fake": 0.9, "3": 0.4}, {"fake": 0.8, "3": 0.6}]
    cam = grad_cam(Branched())
    page = save_maps(tmp_path, "toys", cam, shown, fake)
    assert page.is_file()
    for filtered_frame in shown:
        for name, image in filtered_frame.pictures.items():
            map_ = np.load(tmp_path / filtered_frame.name / f"{name}.npy", allow_pickle=False)
            assert map_.dtype == np.float32
            assert np.allclose(map_, cam.maps(image[None])[0], atol=1e-7)
            assert (tmp_path / filtered_frame.name / f"{name}.png").is_file()
    mean = np.load(tmp_path / "average" / "fake.npy", allow_pickle=False)
    assert np.allclose(mean, average(cam.maps(images[[1, 3]])), atol=1e-6)
    assert {path.name for path in (tmp_path / "average").iterdir()} == {
        f"{name}.{kind}" for name in ("real", "fake", "3") for kind in ("npy", "png")
    }
