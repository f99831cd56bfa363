"""The calibration of docs/statistics.md in short: intervals cover the truth, and nothing is found in nothing.

`python -m benchmarks.calibration` is the long form.
"""

import numpy as np
import pytest

from benchmarks.calibration import (
    DIFFERENCES,
    HEADLINES,
    MEANS,
    component_coverage,
    false_alarms,
    headline_coverage,
    mean_coverage,
    rank_alarms,
    survival_coverage,
)
from benchmarks.intervals import coverage

RUNS = 1500
MARGIN = 0.011  # two standard errors of a share of 95 % in so many runs


@pytest.mark.parametrize("videos", [12, 20, 40])
@pytest.mark.parametrize("name", ["exponential", "drops, mean 0.2", "flips, 20 %", "flips, 20 %, 1 to 12 frames"])
def test_intervals_of_means_cover_the_truth(name: str, videos: int) -> None:
    found = mean_coverage(*MEANS[name], videos, RUNS, 1)
    assert 0.93 - MARGIN <= found.covered <= 0.97 + MARGIN


@pytest.mark.parametrize("videos", [12, 20, 40])
@pytest.mark.parametrize("name", ["flips, 30 % against 20 %", "drops, 0.2 against 0.1"])
def test_intervals_of_differences_cover_the_truth(name: str, videos: int) -> None:
    found = mean_coverage(*DIFFERENCES[name], videos, RUNS, 1)
    assert 0.93 - MARGIN <= found.covered <= 0.97 + MARGIN


@pytest.mark.parametrize("videos", [12, 20, 40])
@pytest.mark.parametrize("name", ["flips, 30, 20, 60 %", "flips, 20, 20, 50 %", "drops, 0.2, 0.1, 0.4"])
def test_intervals_of_the_headline_score_cover_the_truth(name: str, videos: int) -> None:
    found = headline_coverage(*HEADLINES[name], videos, RUNS, 1)
    assert 0.93 - MARGIN <= found.covered <= 0.97 + MARGIN
    assert found.defined > 0.85


def test_the_interval_in_use_covers_more_than_those_that_were_not_chosen() -> None:
    percentile, _, student, _, bca = coverage(*MEANS["flips, 20 %"], 12, RUNS, 1)
    assert percentile < student < bca
    assert percentile < 0.925
    of_ratio = coverage(*HEADLINES["drops, 0.10, 0.05, 0.15"], 12, RUNS, 1)
    assert max(of_ratio) == of_ratio[-1] > of_ratio[1] + 0.01


def test_intervals_of_rare_flips_are_wide_rather_than_wrong() -> None:
    assert mean_coverage(*MEANS["flips, 5 %"], 12, RUNS, 1).covered > 0.97


def test_intervals_of_restricted_means_and_components_cover_the_truth() -> None:
    assert survival_coverage(20, 200, 1).covered >= 0.91
    found = component_coverage(40, 200, 1)
    assert min(each.covered for each in found.values()) >= 0.88


@pytest.mark.parametrize(("kind", "rate", "control"), [("drops", 0.2, 1), ("flips", 0.5, 20), ("flips", 0.05, 20)])
def test_no_method_is_found_to_differ_from_random_regions_where_none_does(kind: str, rate: float, control: int) -> None:
    assert false_alarms(kind, rate, control, 12, 100, 1) <= 0.07


def test_ranks_of_equal_methods_are_not_told_apart() -> None:
    found = rank_alarms(5, 15, 300, 1)
    assert np.max(found) <= 0.08
