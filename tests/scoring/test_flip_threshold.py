"""Graded scores: bisection against a search of every level, and budgets that are known in closed form."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from detectors import Detector, Queries
from scoring.flip_threshold import RANGE, FlipThresholdSearch, bisect, budgets
from scoring.protocol import Protocol
from scoring.region_attacker import RegionAttacker, Verdict
from xai.regions import Ranking, regions_at

SIDE, NEEDED = 12, 5 / 255
SEGMENTS = np.kron(np.arange(9).reshape(3, 3), np.ones((4, 4), dtype=np.int64))


class Threshold(Detector):
    """Fake while the mean of the red centre square is above 0.5 - NEEDED: only a budget of NEEDED there flips it."""

    input_size, class_names, real = SIDE, ("Real", "Fake"), 0

    def forward(self, images: Tensor) -> Tensor:
        z = 500 * (images[:, 0, 4:8, 4:8].mean(dim=(1, 2)) - (0.5 - NEEDED))
        return torch.stack([torch.zeros_like(z), z], dim=1)


def flip_thresholds(orders: Sequence[Sequence[int]], **changes: object) -> dict[tuple[str, str], tuple[float, bool]]:
    """(measure, ranking) -> (value, reached)."""
    detector, image = Threshold(), torch.full((3, SIDE, SIDE), 0.5)
    verdict = Verdict(Queries(detector).probabilities(image[None])[0], 1, 1, 1)
    protocol = replace(Protocol(threshold_steps=8, fraction_budget=6 / 255), **changes)  # type: ignore[arg-type]
    rankings = [Ranking(np.array(order), str(place)) for place, order in enumerate(orders)]
    ranked_regions = [ranked_region for each in rankings for ranked_region in regions_at(each, SEGMENTS, ("1", "3"))]
    found = FlipThresholdSearch(RegionAttacker(detector, image, verdict, 0, "a", 16), SEGMENTS, protocol, 16 / 255)(
        ranked_regions
    )
    return {(measure, ranking.method): (value, reached) for ranking, measure, _, value, reached in found}


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(1, 20))
def test_bisection_finds_what_a_search_of_every_level_finds(thresholds: list[int], levels: int) -> None:
    asked = 0

    def flips(tried: Sequence[tuple[int, int]]) -> list[bool]:
        nonlocal asked
        asked += 1
        return [level >= thresholds[item] for item, level in tried]

    found = bisect(range(len(thresholds)), levels, flips)
    assert [found[item] for item in range(len(thresholds))] == [min(each, levels) for each in thresholds]
    assert asked <= math.ceil(math.log2(levels + 1))


def test_budgets_are_evenly_spaced_in_their_logarithm() -> None:
    grid = np.array(budgets(5, 16 / 255))
    assert len(grid) == 31
    assert grid[-1] == 16 / 255
    assert grid[0] == pytest.approx(16 / 255 / RANGE)
    assert np.allclose(np.diff(np.log(grid)), np.log(RANGE) / 30)
    assert budgets(1, 0.1) == [0.1]


def test_the_smallest_budget_is_the_one_that_the_detector_needs() -> None:
    found = flip_thresholds([[4, 0, 1, 2, 3, 5, 6, 7, 8], [0, 1, 2, 3, 5, 6, 7, 8, 4]])
    value, reached = found["budget", "0"]
    assert reached
    assert NEEDED <= value <= NEEDED * RANGE ** (1 / 62) * 1.0001
    assert found["budget", "1"] == (16 / 255, False)  # none of its three best matters: censored at the largest


def test_the_fraction_is_the_place_of_the_segment_that_decides() -> None:
    orders = [[4, 0, 1, 2, 3, 5, 6, 7, 8], [0, 1, 2, 4, 3, 5, 6, 7, 8], [8, 7, 6, 5, 3, 2, 1, 0, 4]]
    found = flip_thresholds(orders)
    assert [found["fraction", str(place)] for place in range(3)] == [(1 / 9, True), (4 / 9, True), (1.0, True)]
    faint = flip_thresholds(orders, fraction_budget=4 / 255)
    assert {faint["fraction", str(place)] for place in range(3)} == {(1.0, False)}


def test_only_the_wanted_grades_are_made() -> None:
    order = [list(range(9))]
    assert {measure for measure, _ in flip_thresholds(order, flip_thresholds=("budget",))} == {"budget"}
    assert flip_thresholds(order, flip_thresholds=()) == {}
