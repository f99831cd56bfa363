"""Metrics against the mask and of the map alone: against Quantus, known maps, and what chance gives."""

import math

import numpy as np
import pytest
import quantus
import torch

from scoring.metrics.base import Metric, Undefined
from scoring.metrics.complexity.complexity import Complexity
from scoring.metrics.complexity.sparseness import Sparseness
from scoring.metrics.localisation.iou import IoU
from scoring.metrics.localisation.pointing_game import PointingGame
from scoring.metrics.localisation.relevance import RelevanceMass, RelevanceRank
from tests.scoring.metrics.made import SIDE, case, linear, linear_case, squares

PLAIN = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}
ON_MASK: tuple[Metric, ...] = (PointingGame(), RelevanceMass(), RelevanceRank(), IoU())
THEIRS = {
    "pointing-game": quantus.PointingGame,
    "relevance-mass": quantus.RelevanceMassAccuracy,
    "relevance-rank": quantus.RelevanceRankAccuracy,
    "sparseness": quantus.Sparseness,
    "complexity": quantus.Complexity,
}


def value(metric: Metric, saliency: np.ndarray, mask: np.ndarray | None = None) -> float:
    [found] = metric(linear_case(saliency=saliency, mask=mask)).values()
    return found


def patch(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "metric",
    [PointingGame(), RelevanceMass(), RelevanceRank(), Sparseness(), Complexity()],
    ids=lambda m: type(m).__name__,
)
def test_values_are_those_of_quantus(metric: Metric, seed: int) -> None:
    draws = np.random.default_rng(seed)
    saliency = draws.random((SIDE, SIDE)) ** 3 * 10  # no ties, none negative: where all definitions are one
    mask = patch(slice(2, 8), slice(seed, seed + 5))
    [theirs] = THEIRS[metric.about.values[0].name](return_aggregate=False, **PLAIN)(
        model=linear(),
        x_batch=np.zeros((1, 3, SIDE, SIDE)),
        y_batch=np.array([1]),
        a_batch=saliency[None, None].copy(),
        s_batch=mask[None, None],
        channel_first=True,
        device="cpu",
    )
    assert value(metric, saliency, mask) == pytest.approx(float(theirs), abs=1e-5)


def test_a_map_on_the_mask_is_perfect_and_one_beside_it_is_useless() -> None:
    mask = squares() == 5
    for metric in ON_MASK:
        assert value(metric, mask * 2.0, mask) == 1.0
        assert value(metric, ~mask * 2.0, mask) == 0.0


def test_pointing_at_a_segment_hits_in_proportion() -> None:
    half = patch(slice(3, 6), slice(3, 5))  # two thirds of segment 5
    assert value(PointingGame(), (squares() == 5) * 1.0, half) == pytest.approx(2 / 3)
    single = np.zeros((SIDE, SIDE))
    single[0, 0] = 1
    mask = patch(slice(0, 1), slice(2, 4))
    assert value(PointingGame(), single, mask) == 0.0
    assert value(PointingGame(tolerance=2), single, mask) == 1.0
    assert value(PointingGame(tolerance=1.9), single, mask) == 0.0


def test_mass_counts_what_speaks_for_the_class() -> None:
    saliency = np.zeros((SIDE, SIDE))
    saliency[0, :4] = [3, 1, -5, 0]
    mask = patch(slice(0, 1), slice(0, 1))
    assert value(RelevanceMass(), saliency, mask) == 0.75
    found = value(RelevanceMass(), -np.abs(saliency), mask)
    assert isinstance(found, Undefined)
    assert "above 0" in found.reason


def test_ties_at_the_border_count_as_chance_would() -> None:
    saliency = np.zeros((SIDE, SIDE))
    saliency[0, 0] = 1
    mask = patch(slice(0, 1), slice(0, 3))  # one pixel is sure, two are drawn of 143 with two hits among them
    assert value(RelevanceRank(), saliency, mask) == pytest.approx((1 + 2 * 2 / 143) / 3)
    assert value(RelevanceRank(), np.zeros((SIDE, SIDE)), mask) == pytest.approx(3 / 144)


def test_iou_takes_segments_until_they_are_as_large_as_the_mask() -> None:
    """Segments of 9 pixels: for a mask of 20 pixels two come closest, for 24 three, for one pixel still one."""
    order = np.arange(16)[::-1].astype(float)[squares()]  # segment 0 first, then 1, ...
    assert value(IoU(), order, patch(slice(0, 2), slice(0, 10))) == pytest.approx(12 / (18 + 20 - 12))
    assert value(IoU(), order, patch(slice(0, 2), slice(0, 12))) == pytest.approx(18 / (27 + 24 - 18))
    assert value(IoU(), order, patch(slice(0, 1), slice(0, 1))) == pytest.approx(1 / 9)


@pytest.mark.parametrize("metric", ON_MASK, ids=lambda m: type(m).__name__)
def test_no_mask_and_an_empty_one_are_reasons(metric: Metric) -> None:
    saliency = np.random.default_rng(0).random((SIDE, SIDE))
    for mask, reason in ((None, "no mask"), (np.zeros((SIDE, SIDE), bool), "no manipulated pixel")):
        found = value(metric, saliency, mask)
        assert isinstance(found, Undefined)
        assert math.isnan(found)
        assert reason in found.reason


def test_random_maps_score_the_share_of_the_mask() -> None:
    mask = patch(slice(2, 8), slice(3, 9))  # a quarter
    draws = np.random.default_rng(0)
    maps = draws.random((400, SIDE, SIDE))
    for metric, tolerance in ((PointingGame(), 0.07), (RelevanceMass(), 0.01), (RelevanceRank(), 0.015)):
        scores = [value(metric, saliency, mask) for saliency in maps]
        assert np.mean(scores) == pytest.approx(0.25, abs=tolerance)


def test_sparseness_of_known_maps() -> None:
    count = SIDE * SIDE
    single = np.zeros((SIDE, SIDE))
    single[3, 3] = -2.0
    assert value(Sparseness(), single) == pytest.approx(1 - 1 / count)
    assert value(Sparseness(), np.full((SIDE, SIDE), 0.3)) == pytest.approx(0.0, abs=1e-12)
    ramp = np.random.default_rng(0).permutation(np.arange(1.0, count + 1)).reshape(SIDE, SIDE)
    assert value(Sparseness(), ramp) == pytest.approx((count - 1) / (3 * count))
    halves = np.where(np.arange(count) < count // 4, 1.0, 0.0).reshape(SIDE, SIDE)
    assert value(Sparseness(), halves) == pytest.approx(0.75)


def test_complexity_of_known_maps() -> None:
    single = np.zeros((SIDE, SIDE))
    single[3, 3] = -2.0
    assert value(Complexity(), single) == 0.0
    assert value(Complexity(), np.full((SIDE, SIDE), 0.3)) == pytest.approx(math.log(SIDE * SIDE))
    assert value(Complexity(), (squares() == 2) * 5.0) == pytest.approx(math.log(9))


@pytest.mark.parametrize("metric", [Sparseness(), Complexity()], ids=lambda m: type(m).__name__)
def test_an_empty_map_has_no_shape(metric: Metric) -> None:
    found = value(metric, np.zeros((SIDE, SIDE)))
    assert isinstance(found, Undefined)
    assert "0 everywhere" in found.reason


def test_they_ask_the_detector_nothing() -> None:
    given = case(linear(), torch.zeros(3, SIDE, SIDE), np.random.default_rng(0).random((SIDE, SIDE)), squares() == 1)
    for metric in (*ON_MASK, Sparseness(), Complexity()):
        metric(given)
    assert given.score.queries.images == 0
