"""Overlaps of regions, and their intervals, held to re-runs that are really made."""

import numpy as np
import pytest

from examination.areas import best_region, random_regions
from examination.stability import SEED, changed_copies, compare, overlap_of, re_run_overlaps
from xai.explanation import Explanation

SEGMENTS = np.arange(6 * 6).reshape(6, 6).repeat(4, axis=0).repeat(4, axis=1).astype(np.int32)
AREA = 48
TRUTH = np.concatenate([[3.0, 2.0, 1.5, 1.4, 1.0], np.zeros(31)])


def explanation(importance: np.ndarray, noise: float | None) -> Explanation:
    covariance = None if noise is None else noise**2 * np.eye(len(importance))
    return Explanation(importance[SEGMENTS].astype(np.float32), SEGMENTS, 1, 0, 0.0, covariance=covariance)


def region(made: Explanation) -> np.ndarray:
    return best_region(SEGMENTS, made.ranking, AREA)


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_the_interval_holds_the_overlaps_of_re_runs(noise: float) -> None:
    draws = np.random.default_rng(7)
    inside, widths = [], []
    for _ in range(60):
        first, second = (explanation(TRUTH + draws.normal(0, noise, 36), noise) for _ in range(2))
        found = re_run_overlaps(first, second, AREA)
        assert found is not None
        low, high = np.quantile(found, [0.025, 0.975])
        inside.append(low <= overlap_of(region(first), region(second)) <= high)
        widths.append(high - low)
    assert np.mean(inside) >= 0.9
    assert np.mean(widths) < 1  # not by saying anything


def test_what_draws_nothing_is_found_again_for_certain_and_what_is_not_known_has_no_interval() -> None:
    drawn = random_regions(SEGMENTS, AREA, 200, 0, "a")
    sure = explanation(TRUTH + 1e-3 * np.arange(36), 0.0)
    found = compare((sure, region(sure)), (sure, region(sure)), drawn, "Fake")
    assert (found.share, found.low, found.high, found.found_again) == (1.0, 1.0, 1.0, True)
    unknown = explanation(TRUTH, None)
    assert compare((unknown, region(unknown)), (sure, region(sure)), drawn, "Fake").low is None


def test_chance_is_the_share_of_the_random_regions() -> None:
    drawn = random_regions(SEGMENTS, AREA, 300, 0, "a")
    made = explanation(TRUTH, 0.0)
    found = compare((made, region(made)), (made, region(made)), drawn, "Fake")
    each = [overlap_of(region(made), other) for other in drawn]
    assert found.chance == pytest.approx(np.mean(each))
    assert np.mean(np.array(each) <= found.chance_high) >= 0.95
    other = explanation(TRUTH[::-1].copy(), 0.0)
    assert not compare((made, region(made)), (other, region(other)), drawn, "Fake").found_again


def test_copies_are_of_the_same_size_and_all_but_the_first_differ() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (41, 37, 3), dtype=np.uint8)
    copies = changed_copies(picture)
    assert copies[0].name == SEED
    assert {copy.picture.shape for copy in copies} == {(41, 37, 3)}
    assert [bool((copy.picture == picture).all()) for copy in copies] == [True, False, False, False]
