"""Intervals and tests held to closed forms, a naive twin, and simulated data whose truth is known."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common.seeds import generator
from scoring.statistics import (
    bootstrap_means,
    expanded_tail,
    holm,
    intervals,
    sign_flip_p,
    smallest_p,
)


def clustered(seed: int, videos: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """0/1 outcomes of mean 0.5 whose probability differs from video to video."""
    draws = np.random.default_rng(seed)
    chance = np.repeat(draws.beta(1.0, 1.0, videos), frames)
    return (draws.random(videos * frames) < chance).astype(float)[:, None], np.repeat(np.arange(videos), frames)


def test_bootstrap_spread_is_the_closed_form_for_balanced_videos() -> None:
    values, videos = clustered(3, 40, 5)
    means = values[:, 0].reshape(40, 5).mean(1)
    spread = bootstrap_means(values, videos, generator(0), draws=20_000).std()
    assert spread == pytest.approx(means.std() / np.sqrt(40), rel=0.03)  # resampling divides by n, not n - 1


def test_bootstrap_weighs_videos_by_their_frames() -> None:
    values = np.array([1.0] * 9 + [0.0])[:, None]
    videos = np.array(["a"] * 9 + ["b"])
    means = bootstrap_means(values, videos, generator(0), draws=4000)[:, 0]
    seen, share = np.unique(means, return_counts=True)
    np.testing.assert_allclose(seen, [0.0, 0.9, 1.0])
    np.testing.assert_allclose(share / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_columns_share_the_resamples() -> None:
    values, videos = clustered(4, 12, 3)
    means = bootstrap_means(np.hstack([values, values + 0.25]), videos, generator(1), draws=500)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)


def test_intervals_cover_the_truth_where_frames_of_a_video_are_alike() -> None:
    """Over videos 95 % intervals cover about 95 % of the time; over frames, as if independent, far less."""
    held = naive = 0
    runs = 400
    for seed in range(runs):
        values, videos = clustered(seed, 15, 10)
        low, high = intervals(values, videos, generator(seed), (0.0, 1.0), draws=1000)[0]
        held += low <= 0.5 <= high
        low, high = intervals(values, np.arange(len(values)), generator(seed), (0.0, 1.0), draws=1000)[0]
        naive += low <= 0.5 <= high
    assert 0.92 <= held / runs <= 0.985
    assert naive / runs < 0.75


def test_tail_approaches_the_nominal_one_and_is_smaller_for_few_videos() -> None:
    assert expanded_tail(10_000) == pytest.approx(0.025, abs=1e-4)
    assert expanded_tail(5) == pytest.approx(stats.norm.cdf(stats.t.ppf(0.025, 4) * np.sqrt(5 / 4)))
    assert expanded_tail(3) < expanded_tail(5) < expanded_tail(20) < 0.025


@pytest.mark.parametrize("videos", [2, 12, 50])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_unanimous_videos_get_the_exact_binomial_interval(videos: int, value: float) -> None:
    values = np.full((3 * videos, 1), value)
    found = intervals(values, np.repeat(np.arange(videos), 3), generator(0), (0.0, 1.0))[0]
    exact = stats.binomtest(round(value * videos), videos).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(found, [exact.low, exact.high])


def test_unanimous_differences_stay_open_on_both_sides() -> None:
    low, high = intervals(np.zeros((8, 1)), np.arange(8), generator(0), (-1.0, 1.0))[0]
    assert low == -high
    assert 0.3 < high < 0.5


def test_one_video_gives_no_interval_and_no_p() -> None:
    values = np.array([[0.0], [1.0], [1.0]])
    videos = np.array(["a", "a", "a"])
    assert np.isnan(intervals(values, videos, generator(0), (0.0, 1.0))).all()
    assert np.isnan(sign_flip_p(values[:, 0], videos, generator(0)))


def test_same_seed_same_interval() -> None:
    values, videos = clustered(5, 9, 2)
    first, again, other = (intervals(values, videos, generator(seed), (0.0, 1.0)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(
        bootstrap_means(values, videos, generator(1)), bootstrap_means(values, videos, generator(2))
    )
    np.testing.assert_allclose(first, other, atol=0.05)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9))
@settings(max_examples=40, deadline=None)
def test_sign_flip_is_the_naive_enumeration(sums: list[int]) -> None:
    reached = sum(
        abs(sum(s * d for s, d in zip(signs, sums, strict=True))) >= abs(sum(sums))
        for signs in product((-1, 1), repeat=len(sums))
    )
    found = sign_flip_p(np.array(sums, dtype=float), np.arange(len(sums)), generator(0))
    assert found == pytest.approx(reached / 2 ** len(sums))


def test_sign_flip_agrees_with_scipy() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1.0, 11)
    reference = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(differences, np.arange(11), generator(0)) == pytest.approx(reference.pvalue)


def test_drawn_sign_flips_agree_with_the_exact_sign_test() -> None:
    differences = np.random.default_rng(1).choice((-1.0, 1.0), 400, p=(0.45, 0.55))
    exact = stats.binomtest(int((differences > 0).sum()), 400).pvalue
    assert sign_flip_p(differences, np.arange(400), generator(0)) == pytest.approx(exact, abs=0.015)


def test_sign_flip_holds_its_level_where_frames_of_a_video_are_alike() -> None:
    """Under the null, p < 0.05 at most about 5 % of the time; flipping frames one by one would find 'effects'."""
    draws = np.random.default_rng(2)
    videos = np.repeat(np.arange(10), 8)
    found = naive = 0
    for seed in range(300):
        differences = np.repeat(draws.normal(size=10), 8)
        found += sign_flip_p(differences, videos, generator(seed)) < 0.05
        naive += stats.wilcoxon(differences).pvalue < 0.05
    assert 0.01 < found / 300 < 0.09
    assert naive / 300 > 0.25


def test_smallest_p_is_reached_when_all_videos_agree() -> None:
    for videos in (2, 6, 12, 13):
        assert sign_flip_p(np.ones(videos), np.arange(videos), generator(0)) >= smallest_p(videos) * (1 - 1e-9)
    assert sign_flip_p(np.ones(6), np.arange(6), generator(0)) == smallest_p(6)
    assert sign_flip_p(np.zeros(6), np.arange(6), generator(0)) == 1.0


def naive_holm(p: list[float]) -> list[float]:
    """Holm's adjusted p as its paper defines it: max over smaller p_(j) of (m - j + 1) p_(j), at most 1."""
    ordered = sorted(p)
    return [min(1.0, max((len(p) - j) * ordered[j] for j in range(len(p)) if ordered[j] <= value)) for value in p]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_is_its_naive_twin(p: list[float]) -> None:
    np.testing.assert_allclose(holm(np.array(p)), naive_holm(p))


def test_holm_on_a_worked_example_and_missing_values() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.01])), [0.02, np.nan, 0.02])
