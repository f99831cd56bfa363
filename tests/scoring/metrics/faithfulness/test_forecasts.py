"""Metrics that hold the saliency to what it foretells, and to itself: against captum, Quantus and closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import quantus
import torch
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor

from detectors import Detector
from scoring.metrics.agreement import pearson
from scoring.metrics.base import Case, Undefined
from scoring.metrics.faithfulness.infidelity import Infidelity, best_scale
from scoring.metrics.faithfulness.sensitivity_n import SensitivityN
from scoring.metrics.robustness.max_sensitivity import MaxSensitivity
from tests.scoring.metrics.made import SIDE, case, contributions, frame, linear, linear_case
from tests.toys import PatchDetector
from tests.xai.helpers import SmallNetwork, photo


def probability(given: Case) -> Callable[[Tensor], Tensor]:
    return lambda images: given.score(images)


def curved(seed: int = 0) -> Case:
    """A detector that is far from linear, and a map that knows nothing of it."""
    return case(SmallNetwork(), photo(32), np.random.default_rng(seed).normal(size=(32, 32)), target=2)


def right_way_up(given: Case, metric: Infidelity) -> Case:
    """The case with its map, or with that turned upside down where it would foretell better."""
    foretold, seen = metric.forecasts(given)
    return case(given.detector, given.image, np.sign((foretold * seen).sum()) * given.saliency, target=2)


def recorded(perturbations: list[np.ndarray], perturbed: list[Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What captum asks for: the perturbations, and the images that they lead to."""
    made = torch.from_numpy(np.stack(perturbations)).float(), torch.stack(perturbed)
    return lambda inputs: made


@pytest.mark.parametrize("scaled", [False, True])
def test_infidelity_under_noise_is_that_of_captum(scaled: bool) -> None:
    metric = Infidelity(samples=24, perturbation="noise", scaled=scaled)
    given = right_way_up(curved(), metric)
    draws = given.draws("infidelity")
    noise = [(0.2 * draws.standard_normal((3, 32, 32))).astype(np.float32) for _ in range(24)]
    theirs = infidelity(
        probability(given),
        recorded(noise, [given.image - torch.from_numpy(each) for each in noise]),
        given.image[None],
        torch.from_numpy(given.saliency).float().expand(1, 3, 32, 32),
        n_perturb_samples=24,
        normalize=scaled,
    )
    found = metric(given)["infidelity"]
    assert found == pytest.approx(float(theirs), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("scaled", [False, True])
def test_infidelity_under_squares_is_that_of_captum(scaled: bool) -> None:
    """A removed pixel counts once, so captum is given the squares in one channel."""
    metric = Infidelity(samples=24, scaled=scaled)
    given = right_way_up(curved(), metric)
    draws = given.draws("infidelity")
    indicators, perturbed = [], []
    for _ in range(24):
        side = int(draws.integers(2, 17))
        top, left = int(draws.integers(33 - side)), int(draws.integers(33 - side))
        indicator = np.zeros((3, 32, 32))
        indicator[0, top : top + side, left : left + side] = 1
        indicators.append(indicator)
        perturbed.append(given.image * torch.from_numpy(1 - indicator[:1]).float())
    theirs = infidelity(
        probability(given),
        recorded(indicators, perturbed),
        given.image[None],
        torch.from_numpy(given.saliency).float().expand(1, 3, 32, 32),
        n_perturb_samples=24,
        normalize=scaled,
    )
    found = metric(given)["infidelity"]
    assert found == pytest.approx(float(theirs), rel=1e-5, abs=1e-5)


def test_infidelity_of_the_truth_about_a_linear_score_is_0() -> None:
    given = linear_case()
    assert Infidelity(samples=50, scaled=False)(given)["infidelity"] == pytest.approx(0.0, abs=1e-12)
    assert isinstance(given.detector.weight, Tensor)
    gradient = case(given.detector, given.image, given.detector.weight[0].detach().double().numpy())
    noisy = Infidelity(samples=50, perturbation="noise", sigma=0.01, scaled=False)
    assert noisy(gradient)["infidelity"] == pytest.approx(0.0, abs=1e-12)
    wrong = case(given.detector, given.image, np.random.default_rng(0).random((SIDE, SIDE)))
    assert Infidelity(samples=50, scaled=False)(wrong)["infidelity"] > 0.01
    assert Infidelity(samples=50)(wrong)["infidelity"] > 1e-6


def test_infidelity_of_a_map_in_another_unit_is_the_same_and_upside_down_it_is_worthless() -> None:
    metric = Infidelity(samples=20)
    given = right_way_up(curved(), metric)
    other, upside_down, nothing = (
        case(given.detector, given.image, factor * given.saliency, target=2) for factor in (1234.5, -1.0, 0.0)
    )
    _, seen = metric.forecasts(given)
    assert metric(given)["infidelity"] == pytest.approx(metric(other)["infidelity"])
    assert metric(given)["infidelity"] < (seen**2).mean()
    assert metric(upside_down)["infidelity"] == pytest.approx((seen**2).mean())
    assert metric(nothing)["infidelity"] == pytest.approx((seen**2).mean())


def test_the_best_scale_is_the_best_that_is_not_negative() -> None:
    draws = np.random.default_rng(0)
    foretold = draws.normal(size=30)
    for seen in (draws.normal(size=30) + foretold, draws.normal(size=30) - foretold):
        best = best_scale(foretold, seen)
        errors = [((factor * foretold - seen) ** 2).sum() for factor in (best, best + 0.01, max(0.0, best - 0.01))]
        assert errors[0] == min(errors)
    assert best == 0.0


def gradient_map(image: Tensor, detector: Detector) -> np.ndarray:
    """The gradient of p(2) times the input, summed over the channels."""
    leaf = image[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(detector(leaf).softmax(1)[:, 2].sum(), leaf)
    return (gradient * leaf).sum(1)[0].detach().double().numpy()


def sensitive_case() -> tuple[Case, list[Tensor]]:
    """A case explained by gradients, and the noise that max-sensitivity adds to it."""
    detector, image = SmallNetwork(), 0.1 + 0.8 * photo(32)  # away from 0 and 1, so that nothing is cut
    given = case(detector, image, gradient_map(image, detector), explain=gradient_map, target=2)
    draws = given.draws("max-sensitivity")
    return given, [torch.from_numpy(draws.uniform(-0.02, 0.02, (3, 32, 32)).astype(np.float32)) for _ in range(5)]


def test_max_sensitivity_is_that_of_captum() -> None:
    given, noise = sensitive_case()

    def explained(inputs: tuple[Tensor, ...] | Tensor) -> tuple[Tensor]:
        images = inputs if isinstance(inputs, Tensor) else inputs[0]
        with torch.enable_grad():
            return (torch.stack([torch.from_numpy(gradient_map(image, given.detector)) for image in images]),)

    theirs = sensitivity_max(
        explained, given.image[None], lambda images: images + torch.stack(noise), n_perturb_samples=5
    )
    assert MaxSensitivity(samples=5)(given)["max-sensitivity"] == pytest.approx(float(theirs), abs=1e-5)


def test_max_sensitivity_is_that_of_quantus() -> None:
    given, noise = sensitive_case()
    left = iter(noise)

    def explained(model: Detector, inputs: np.ndarray, targets: np.ndarray, device: str) -> np.ndarray:
        return gradient_map(torch.from_numpy(inputs[0]).float(), model)[None, None]

    [theirs] = quantus.MaxSensitivity(
        nr_samples=5,
        perturb_func=lambda arr, **_settings: arr + next(left).double().numpy().reshape(1, -1),
        abs=False,
        normalise=False,
        return_aggregate=False,
        disable_warnings=True,
    )(
        model=given.detector,
        x_batch=given.image[None].double().numpy(),
        y_batch=np.array([2]),
        a_batch=given.saliency[None, None],
        explain_func=explained,
        channel_first=True,
        device="cpu",
    )
    assert MaxSensitivity(samples=5)(given)["max-sensitivity"] == pytest.approx(float(theirs), abs=1e-5)


def test_max_sensitivity_of_what_does_not_move_is_0_and_of_what_does_by_how_much() -> None:
    image = torch.full((3, 12, 12), 0.5)
    fixed = case(linear(), image, np.ones((12, 12)), explain=lambda image, detector: np.ones((12, 12)))
    assert MaxSensitivity(samples=2)(fixed)["max-sensitivity"] == 0.0
    doubled = case(linear(), image, np.ones((12, 12)), explain=lambda image, detector: np.full((12, 12), 3.0))
    assert MaxSensitivity(samples=2)(doubled)["max-sensitivity"] == pytest.approx(2.0)
    seen: list[Tensor] = []

    def remember(image: Tensor, detector: Detector) -> np.ndarray:
        seen.append(image)
        return np.ones((12, 12))

    MaxSensitivity(samples=3, radius=0.6)(case(linear(), image, np.ones((12, 12)), explain=remember))
    assert len(seen) == 3
    assert all(float(each.min()) >= 0 and float(each.max()) <= 1 for each in seen)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("over", ["segments", "pixels"])
def test_sensitivity_n_of_the_truth_about_a_linear_score_is_1(over: str) -> None:
    given = linear_case()
    metric = SensitivityN(sizes=4, subsets=10, over=over)
    assert metric(given)["sensitivity-n"] == pytest.approx(1.0, abs=1e-5)
    upside_down = case(given.detector, given.image, 7 - 3 * given.saliency)
    assert metric(upside_down)["sensitivity-n"] == pytest.approx(-1.0, abs=1e-5)


@pytest.mark.parametrize("over", ["segments", "pixels"])
def test_sensitivity_n_by_hand(over: str) -> None:
    given = curved()
    metric = SensitivityN(sizes=3, subsets=8, fewest=0.1, most=0.4, over=over)
    parts = given.segments.ravel() if over == "segments" else np.arange(1024)
    sizes = {"segments": [2, 3, 6], "pixels": [102, 205, 410]}[over]
    draws = given.draws("sensitivity-n")
    expected = []
    for size in sizes:
        sums, falls = [], []
        for _ in range(8):
            removed = np.isin(parts, draws.choice(parts.max() + 1, size, replace=False))
            image = given.image.clone().flatten(1)
            image[:, removed] = 0
            sums.append(given.saliency.ravel()[removed].sum())
            falls.append(float(given.score(given.image[None]) - given.score(image.view(1, 3, 32, 32))))
        expected.append(np.corrcoef(sums, falls)[0, 1])
    assert metric.correlations(given) == pytest.approx(expected, abs=1e-4)
    assert metric(given)["sensitivity-n"] == pytest.approx(np.mean(expected), abs=1e-4)


def test_sizes_that_fall_together_count_once() -> None:
    assert SensitivityN().counts(50) == [1, 2, 3, 5, 8, 12, 18, 27, 40]
    assert SensitivityN(over="pixels").counts(50176)[:2] == [1004, 1512]


def test_sensitivity_n_without_an_answer_says_why() -> None:
    given = linear_case(saliency=np.ones((SIDE, SIDE)))
    found = SensitivityN(sizes=2, subsets=4)(given)["sensitivity-n"]
    assert isinstance(found, Undefined)
    assert "same everywhere" in found.reason
    blind = case(PatchDetector(SIDE, slice(0, 2), slice(0, 2), gain=0.0), frame(), np.random.rand(SIDE, SIDE), target=3)  # noqa: NPY002
    found = SensitivityN(sizes=2, subsets=4)(blind)["sensitivity-n"]
    assert isinstance(found, Undefined)
    assert "does not change" in found.reason


def test_correlations_are_those_of_numpy() -> None:
    draws = np.random.default_rng(1)
    first, second = draws.normal(size=40), draws.normal(size=40)
    assert pearson(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert pearson(first, 2 * first + 1) == pytest.approx(1.0)
    assert math.isnan(pearson(first, np.full(40, 0.1)))


def test_contributions_are_what_removal_does() -> None:
    """The made case is what it says: p falls by each pixel's contribution."""
    given = linear_case()
    image = given.image.clone()
    image[:, 3, 4] = 0
    fall = float(given.score(given.image[None]) - given.score(image[None]))
    true = contributions(given.detector, given.image, given.background)  # type: ignore[arg-type]
    assert fall == pytest.approx(true[3, 4], abs=1e-6)
