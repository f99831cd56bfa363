"""Metrics that explain again: what ignores the detector or the picture is caught, what follows them is not."""

import cv2
import numpy as np
import pytest
import torch
from quantus.functions.similarity_func import correlation_spearman
from scipy.stats import spearmanr
from torch import Tensor

from common.errors import InputError
from detectors import Detector
from detectors.randomised import layer_count, randomised
from scoring.metrics.agreement import rank_correlation, top_overlap
from scoring.metrics.base import Case, Explain, Undefined
from scoring.metrics.randomisation.parameter_randomisation import ParameterRandomisation
from scoring.metrics.robustness.max_sensitivity import MaxSensitivity
from scoring.metrics.robustness.stability import StabilityJpeg, StabilityResize, jpeg, shrunk
from tests.scoring.metrics.made import SIDE, case, frame, linear, squares
from tests.toys import PatchDetector
from tests.xai.helpers import SmallNetwork, photo


def edges(image: Tensor, detector: Detector) -> np.ndarray:
    """An explainer of the picture alone, as some published ones turned out to be."""
    grey = image.mean(0).numpy()
    return np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1))


def gradient(image: Tensor, detector: Detector) -> np.ndarray:
    leaf = image[None].clone().requires_grad_()
    (found,) = torch.autograd.grad(detector(leaf).softmax(1)[:, 1].sum(), leaf)
    return found.sum(1)[0].detach().double().numpy()


def made(explain: Explain, detector: Detector | None = None, image: Tensor | None = None) -> Case:
    detector = detector or SmallNetwork()
    image = photo(detector.input_size) if image is None else image
    return case(detector, image, explain(image, detector), explain=explain)


def test_rank_correlation_is_that_of_scipy_and_quantus() -> None:
    draws = np.random.default_rng(0)
    first = draws.integers(0, 9, (SIDE, SIDE)).astype(float)  # with ties
    second = first + draws.normal(size=(SIDE, SIDE))
    found = rank_correlation(first, second)
    assert found == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic, abs=1e-10)
    assert found == pytest.approx(correlation_spearman(first.ravel(), second.ravel()), abs=1e-10)
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1.0)
    assert rank_correlation(first, -first) == pytest.approx(-1.0)
    nothing = rank_correlation(first, np.ones((SIDE, SIDE)))
    assert isinstance(nothing, Undefined)


def test_overlap_is_that_of_the_best_segments() -> None:
    order = np.arange(16)[squares()] * 1.0  # 15, 14, 13 are best
    given = case(linear(), frame(), order)
    assert top_overlap(given, order**3, 3) == 1.0
    assert top_overlap(given, -order, 3) == 0.0
    shifted = order.copy()
    shifted[squares() == 13] = -1  # now 15, 14, 12
    assert top_overlap(given, shifted, 3) == pytest.approx(2 / 4)
    assert top_overlap(given, -order, 99) == 1.0


def test_what_reads_the_picture_alone_fails_the_randomisation_test() -> None:
    metric = ParameterRandomisation(stages=2)
    assert metric(made(edges)) == {"whole": pytest.approx(1.0), "cascade": pytest.approx(1.0)}
    upside_down = case(SmallNetwork(), photo(32), -edges(photo(32), SmallNetwork()), explain=edges)
    assert metric(upside_down)["whole"] == pytest.approx(1.0)


def test_what_reads_the_weights_passes_it() -> None:
    assert ParameterRandomisation(stages=1)(made(gradient, linear(side=32)))["whole"] < 0.15
    found = ParameterRandomisation(stages=2)(made(gradient))
    assert found["whole"] < 0.5


def test_the_cascade_goes_down_evenly_and_the_whole_is_its_end() -> None:
    depths: list[int] = []
    own = SmallNetwork()

    def explain(image: Tensor, detector: Detector) -> np.ndarray:
        changed = [
            not torch.equal(module.weight, own.get_submodule(name).weight)
            for name, module in detector.named_modules()
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
        ]
        depths.append(sum(changed))
        return np.random.default_rng(len(depths)).random((32, 32))

    given = case(own, photo(32), np.random.default_rng(0).random((32, 32)), explain=explain)
    found = ParameterRandomisation(stages=7)(given)
    assert layer_count(own) == 2
    assert depths == [2, 1]  # as many stages as there are layers, at most
    seconds = [abs(spearmanr(given.saliency.ravel(), np.random.default_rng(i).random(1024)).statistic) for i in (1, 2)]
    assert found["whole"] == pytest.approx(seconds[0])
    assert found["cascade"] == pytest.approx(np.mean(seconds))


def test_the_random_detector_depends_on_the_frame_and_the_seed_alone() -> None:
    seen: list[Detector] = []

    def explain(image: Tensor, detector: Detector) -> np.ndarray:
        seen.append(detector)
        return np.random.default_rng(0).random((32, 32))

    given = case(SmallNetwork(), photo(32), np.random.default_rng(1).random((32, 32)), explain=explain)
    for _ in range(2):
        ParameterRandomisation(stages=1)(given)
    seed = int(given.draws("parameter-randomisation").integers(2**63))
    expected = randomised(given.detector, seed).linear.weight
    assert all(torch.equal(each.linear.weight, expected) for each in seen)


def test_a_detector_without_weights_cannot_be_randomised() -> None:
    detector = PatchDetector(SIDE, slice(0, 3), slice(0, 3))
    given = case(detector, frame(), np.random.default_rng(0).random((SIDE, SIDE)), explain=edges)
    found = ParameterRandomisation()(given)
    assert all(isinstance(value, Undefined) and "no weights" in value.reason for value in found.values())


class ByFunction(SmallNetwork):
    """Asked by a function that a copy shares."""

    def __init__(self) -> None:
        super().__init__()
        self.run = lambda images: SmallNetwork.forward(self, images)

    def forward(self, images: Tensor) -> Tensor:
        return self.run(images)


def test_a_copy_that_answers_as_the_original_is_refused_before_anything_is_explained() -> None:
    explained: list[Detector] = []

    def explain(image: Tensor, detector: Detector) -> np.ndarray:
        explained.append(detector)
        return edges(image, detector)

    detector = ByFunction().eval()
    given = case(detector, photo(32), edges(photo(32), detector), explain=explain)
    with pytest.raises(InputError, match="detector ByFunction answers the same once all its weights are drawn anew"):
        ParameterRandomisation()(given)
    assert not explained


@pytest.mark.parametrize(
    "metric",
    [ParameterRandomisation(), MaxSensitivity(), StabilityJpeg(), StabilityResize()],
    ids=lambda m: type(m).__name__,
)
def test_a_map_made_elsewhere_cannot_be_made_again(metric: object) -> None:
    given = case(SmallNetwork(), photo(32), np.random.default_rng(0).random((32, 32)))
    found = metric(given)  # type: ignore[operator]
    assert found
    assert all(isinstance(value, Undefined) and "made elsewhere" in value.reason for value in found.values())


def test_a_map_that_never_changes_is_stable() -> None:
    fixed = np.random.default_rng(0).random((32, 32))
    given = case(SmallNetwork(), photo(32), fixed, explain=lambda image, detector: fixed)
    for metric in (StabilityJpeg(), StabilityResize()):
        assert metric(given) == {"correlation": pytest.approx(1.0), "overlap": 1.0}
    constant = case(SmallNetwork(), photo(32), fixed, explain=lambda image, detector: np.zeros((32, 32)))
    assert isinstance(StabilityJpeg()(constant)["correlation"], Undefined)


def test_a_map_of_the_finest_detail_is_the_less_stable_the_more_is_lost() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 32, 32)) / 255).float().expand(3, 32, 32)
    given = made(lambda image, detector: image.mean(0).numpy(), image=image.contiguous())
    by_quality = [StabilityJpeg(qualities=(quality,))(given)["correlation"] for quality in (95, 50, 5)]
    assert 1 > by_quality[0] > by_quality[1] > by_quality[2] > 0
    by_scale = [StabilityResize(scales=(scale,))(given)["correlation"] for scale in (0.9, 0.5, 0.2)]
    assert 1 > by_scale[0] > by_scale[1] > by_scale[2] > 0
    smooth = made(edges, image=photo(32))
    assert StabilityJpeg(qualities=(95,))(smooth)["correlation"] > 0.9
    both = StabilityJpeg(qualities=(95, 5))(given)["correlation"]
    assert both == pytest.approx((by_quality[0] + by_quality[2]) / 2)


def test_what_an_image_goes_through() -> None:
    image = photo(32)
    assert jpeg(image, 95).shape == image.shape
    assert 0 < float((jpeg(image, 95) - image).abs().max()) < 0.1
    assert float((jpeg(image, 95) - image).abs().mean()) < float((jpeg(image, 10) - image).abs().mean())
    flat = torch.full((3, 20, 20), 0.4)
    assert torch.allclose(shrunk(flat, 0.5), flat, atol=1e-6)
    assert torch.allclose(jpeg(flat, 50), flat, atol=1.5 / 255)
    assert shrunk(photo(33), 0.3).shape == (3, 33, 33)
    assert float((shrunk(image, 0.75) - image).abs().mean()) < float((shrunk(image, 0.25) - image).abs().mean())
