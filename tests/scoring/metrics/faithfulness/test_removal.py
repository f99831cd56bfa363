"""Metrics that remove pixels, against naive twins, Quantus and the closed forms of a linear score."""

import numpy as np
import pytest
import quantus
import torch
from torch import Tensor, nn

from detectors import Detector
from scoring.metrics.base import Case
from scoring.metrics.faithfulness.aopc import AOPC, grid
from scoring.metrics.faithfulness.deletion_insertion import Deletion, Insertion
from scoring.metrics.faithfulness.erasure import Comprehensiveness, Sufficiency
from scoring.metrics.faithfulness.imputation import impute
from scoring.metrics.faithfulness.irof import IROF
from scoring.metrics.faithfulness.pixel_flipping import PixelFlipping
from scoring.metrics.faithfulness.removal import (
    even_counts,
    pixel_ranks,
    reversed_ranks,
    scores_by_rank,
    segment_ranks,
)
from scoring.metrics.faithfulness.road import ROAD
from tests.scoring.metrics.made import SIDE, case, contributions, frame, linear, linear_case, squares
from tests.xai.helpers import SmallNetwork, photo

PIXELS = SIDE * SIDE


class Grey(nn.Module):
    """A detector's probabilities for frames of one channel, as Quantus ranks each channel's pixels apart."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        return self.detector(images.float().expand(-1, 3, -1, -1)).softmax(1)


def quantus_inputs(given: Case) -> dict[str, object]:
    return {
        "model": Grey(given.detector).eval(),
        "x_batch": given.image[None, :1].numpy().astype(np.float64),
        "y_batch": np.array([given.target]),
        "a_batch": given.saliency[None, None].astype(np.float64),
        "channel_first": True,
        "device": "cpu",
        "softmax": False,
    }


PLAIN = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}


def curve_by_hand(given: Case, order: list[int], counts: list[int]) -> list[float]:
    """p(target) after the first pixels of an order are painted over, one plain picture after the other."""
    scores = []
    for count in counts:
        image = given.image.clone().flatten(1)
        image[:, order[:count]] = given.background.flatten(1)[:, order[:count]]
        scores.append(float(given.score(image.view_as(given.image)[None])))
    return scores


def test_curves_are_those_of_a_naive_twin() -> None:
    given = case(SmallNetwork(), photo(32), np.random.default_rng(0).random((32, 32)), target=2)
    order = sorted(range(1024), key=lambda i: -given.saliency.flat[i])
    counts = [0, 1, 17, 500, 1024]
    assert scores_by_rank(given, pixel_ranks(given.saliency), counts) == pytest.approx(
        curve_by_hand(given, order, counts), abs=1e-6
    )
    assert scores_by_rank(given, reversed_ranks(given.saliency), counts) == pytest.approx(
        curve_by_hand(given, order[::-1], counts), abs=1e-6
    )


def test_ties_are_broken_by_row_and_column_in_both_directions() -> None:
    saliency = np.array([[1.0, 2.0, 1.0], [2.0, 0.0, 0.0]])
    assert pixel_ranks(saliency).tolist() == [[2, 0, 3], [1, 4, 5]]
    assert reversed_ranks(saliency).tolist() == [[2, 4, 3], [5, 0, 1]]
    assert pixel_ranks(np.array([[0.0, -0.0]])).tolist() == [[0, 1]]
    segments = np.array([[0, 0, 1], [2, 2, 1]])  # means 1.5, 0.5, 1.0
    assert segment_ranks(saliency, segments).tolist() == [[0, 0, 2], [1, 1, 2]]


def test_steps_are_even_and_end_with_everything() -> None:
    assert even_counts(10, 4) == [0, 2, 5, 8, 10]
    assert even_counts(3, 100) == [0, 1, 2, 3]
    counts = even_counts(50176, 224)
    assert set(np.diff(counts)) == {224}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_are_small_and_change_nothing(batch_size: int) -> None:
    whole = linear_case()
    metrics = (Deletion(steps=30), AOPC(regions=9, patch=3), ROAD(shares=(0.2, 0.5)), IROF())
    expected = [metric(whole) for metric in metrics]
    given = case(whole.detector, whole.image, whole.saliency, batch_size=batch_size)
    sizes: list[int] = []
    handle = given.detector.register_forward_pre_hook(lambda _m, inputs: sizes.append(len(inputs[0])))
    for metric, values in zip(metrics, expected, strict=True):
        assert metric(given) == pytest.approx(values, abs=1e-6)
    handle.remove()
    assert max(sizes) <= batch_size
    assert given.score.queries.images == 31 + 2 * 10 + 4 + 17


def test_deletion_of_a_linear_score_is_a_sum() -> None:
    """The score falls by each pixel's contribution, so the area follows from their sorted sums."""
    given = linear_case()
    true = np.sort(given.saliency, axis=None)[::-1]
    curve = 0.05 + true.sum() - np.concatenate([[0.0], np.cumsum(true)])
    expected = (curve[:-1] + curve[1:]).mean() / 2
    assert Deletion(steps=PIXELS)(given)["deletion"] == pytest.approx(expected, abs=1e-6)
    found = PixelFlipping(steps=PIXELS)(given)
    assert found["morf"] == pytest.approx(expected, abs=1e-6)
    backwards = curve[0] + 0.05 - curve[::-1]
    assert found["lerf"] == pytest.approx((backwards[:-1] + backwards[1:]).mean() / 2, abs=1e-6)
    assert found["between"] == pytest.approx(found["lerf"] - found["morf"])


def test_insertion_from_the_background_mirrors_deletion_of_a_linear_score() -> None:
    """Adding a set to nothing gives what removing it from everything takes."""
    given = linear_case()
    total = float(given.score(given.image[None])) + 0.05
    inserted = Insertion(steps=36, sigma=0.0)(given)["insertion"]
    assert inserted == pytest.approx(total - Deletion(steps=36)(given)["deletion"], abs=1e-6)


def test_insertion_starts_from_the_blurred_frame_and_ends_with_it() -> None:
    given = case(SmallNetwork(), photo(32), np.random.default_rng(1).random((32, 32)), target=2)
    metric = Insertion(steps=1)
    blurred = metric.blurred(given.image)
    assert blurred.var() < 0.9 * given.image.var()
    assert blurred.mean() == pytest.approx(float(given.image.mean()), abs=0.02)
    ends = given.score(torch.stack([blurred, given.image]))
    assert metric(given)["insertion"] == pytest.approx(float(ends.mean()), abs=1e-6)


def test_the_true_order_is_the_best_there_is() -> None:
    given = linear_case()
    best = {**Deletion(36)(given), **Insertion(36, 0.0)(given), **Comprehensiveness()(given), **Sufficiency()(given)}
    for seed in range(20):
        other = case(given.detector, given.image, np.random.default_rng(seed).random((SIDE, SIDE)))
        assert Deletion(36)(other)["deletion"] > best["deletion"]
        assert Insertion(36, 0.0)(other)["insertion"] < best["insertion"]
        assert Comprehensiveness()(other)["comprehensiveness"] < best["comprehensiveness"]
        assert Sufficiency()(other)["sufficiency"] > best["sufficiency"]


def test_comprehensiveness_and_sufficiency_of_a_linear_score() -> None:
    given = linear_case()
    true = np.sort(given.saliency, axis=None)[::-1]
    tops = [true[: round(share * PIXELS)].sum() for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    assert Comprehensiveness()(given)["comprehensiveness"] == pytest.approx(np.mean(tops), abs=1e-6)
    assert Sufficiency()(given)["sufficiency"] == pytest.approx(true.sum() - np.mean(tops), abs=1e-6)
    assert Sufficiency(shares=(1.0,))(given)["sufficiency"] == pytest.approx(0.0, abs=1e-7)


def test_pixel_flipping_is_that_of_quantus() -> None:
    given = case(linear(signed=True), frame(), np.random.default_rng(2).normal(size=(SIDE, SIDE)))
    theirs = quantus.PixelFlipping(
        features_in_step=4, perturb_baseline=0.0, return_auc_per_sample=False, return_aggregate=False, **PLAIN
    )(**quantus_inputs(given))
    ranks, counts = pixel_ranks(given.saliency), list(range(4, PIXELS + 1, 4))
    assert scores_by_rank(given, ranks, counts) == pytest.approx(np.ravel(theirs), abs=1e-5)
    curve = [float(given.score(given.image[None])), *np.ravel(theirs)]  # theirs starts after the first step
    expected = np.trapezoid(curve, dx=4 / PIXELS)
    assert PixelFlipping(steps=PIXELS // 4)(given)["morf"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_aopc_is_that_of_quantus(order: str) -> None:
    given = case(linear(signed=True), frame(), np.random.default_rng(3).normal(size=(SIDE, SIDE)))
    theirs = quantus.RegionPerturbation(
        patch_size=3, regions_evaluation=10, order=order, perturb_baseline=0.0, return_aggregate=False, **PLAIN
    )(**quantus_inputs(given))
    falls = np.ravel(theirs)
    assert len(falls) == 10
    found = AOPC(regions=10, patch=3, replace="background")(given)
    assert found[order] == pytest.approx(falls.sum() / 11, abs=1e-5)  # Samek's mean has the unchanged frame in it
    assert found["between"] == pytest.approx(found["morf"] - found["lerf"])


def test_aopc_paints_with_uniform_noise_from_the_given_generator() -> None:
    given = linear_case()
    noise = given.draws("aopc").random((3, SIDE, SIDE), dtype=np.float32)
    painted = case(given.detector, given.image, given.saliency, background=torch.from_numpy(noise))
    assert AOPC(patch=3)(given) == AOPC(patch=3, replace="background")(painted)
    other = case(given.detector, given.image, given.saliency, seed=1)
    assert AOPC(patch=3)(given) != AOPC(patch=3)(other)


def test_patches_at_the_far_edges_are_smaller() -> None:
    assert grid((5, 4), 3).tolist() == [[0, 0, 0, 1]] * 3 + [[2, 2, 2, 3]] * 2


def test_irof_is_that_of_quantus(monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(linear(), frame(), np.random.default_rng(4).normal(size=(SIDE, SIDE)))
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)  # which numpy 2.4 no longer has
    monkeypatch.setattr("quantus.helpers.utils.get_superpixel_segments", lambda img, segmentation_method: squares())
    [theirs] = quantus.IROF(perturb_baseline=0.0, return_aggregate=False, **PLAIN)(**quantus_inputs(given))
    curve = IROF().curve(given)
    assert curve is not None
    assert curve[0] == 1.0
    segments = len(curve) - 1
    assert theirs == pytest.approx(segments - np.trapezoid(curve[1:]), abs=1e-5)  # theirs starts after the first
    assert IROF()(given)["irof"] == pytest.approx(1 - np.trapezoid(curve) / segments)


def test_irof_of_a_linear_score() -> None:
    given = linear_case()
    sums = np.sort(np.bincount(squares().ravel(), weights=given.saliency.ravel()))[::-1]
    before = 0.05 + sums.sum()
    curve = 1 - np.concatenate([[0.0], np.cumsum(sums)]) / before
    assert IROF()(given)["irof"] == pytest.approx(1 - (curve[:-1] + curve[1:]).mean() / 2, abs=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_imputation_is_that_of_quantus(share: float) -> None:
    from quantus.functions.perturb_func import noisy_linear_imputation

    draws = np.random.default_rng(5)
    image, saliency = draws.random((3, 20, 17)), draws.random((20, 17))
    count = round(share * saliency.size)
    indices = np.argsort(-saliency, axis=None)[:count]
    theirs = noisy_linear_imputation(image.copy(), indices, noise=0.0)
    assert np.allclose(impute(image, pixel_ranks(saliency) < count), theirs, atol=1e-10)


def test_imputation_continues_a_plane_and_leaves_the_rest_alone() -> None:
    y, x = np.mgrid[:9, :9] / 8
    image = np.stack([0.2 + 0.5 * x, 0.3 + 0.4 * y, 0.1 + 0.3 * x + 0.3 * y])
    removed = np.zeros((9, 9), bool)
    removed[2:7, 3:8] = True
    assert np.allclose(impute(image, removed), image)
    noisy = image + np.random.default_rng(0).normal(size=image.shape)
    assert np.array_equal(impute(noisy, removed)[:, ~removed], noisy[:, ~removed])
    assert np.array_equal(impute(noisy, np.zeros((9, 9), bool)), noisy)
    alone = np.ones((9, 9), bool)
    alone[0, 0] = False
    assert np.allclose(impute(noisy, alone), noisy[:, :1, :1])


def test_road_keeps_the_verdict_as_quantus_says() -> None:
    detector = linear()
    with torch.no_grad():
        detector.weight *= 1.05
    given = case(detector, frame(), contributions(detector, frame(), torch.zeros(3, SIDE, SIDE)))
    percentages = [10, 30, 50, 70, 90]
    theirs = quantus.ROAD(percentages=percentages, noise=0.0, return_aggregate=False, **PLAIN)(**quantus_inputs(given))
    shares = tuple(int(PIXELS * percentage / 100) / PIXELS for percentage in percentages)
    assert ROAD(shares=shares, noise=0.0)(given)["kept"] == pytest.approx(np.mean([theirs[p] for p in percentages]))


def test_road_by_hand() -> None:
    given = case(SmallNetwork(), photo(32), np.random.default_rng(6).random((32, 32)), target=2)
    metric = ROAD(shares=(0.25, 0.75), noise=0.05)
    draws = given.draws("road")
    scores = []
    for count in (256, 768):
        removed = pixel_ranks(given.saliency) < count
        noise = 0.05 * draws.standard_normal((3, 32, 32))
        image = np.where(removed, impute(given.image.numpy(), removed) + noise, given.image.numpy())
        scores.append(float(given.score(torch.from_numpy(image).float().clamp(0, 1)[None])))
    found = metric(given)
    assert found["morf"] == pytest.approx(np.mean(scores), abs=1e-5)
    assert found["between"] == pytest.approx(found["lerf"] - found["morf"])
