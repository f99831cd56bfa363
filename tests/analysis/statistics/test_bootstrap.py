"""Intervals held to closed forms, scipy's BCa, and simulated data whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import (
    DRAWS,
    Estimate,
    Statistic,
    bootstrap_means,
    estimates,
    expanded_tail,
    intervals,
    intervals_of,
    mean_of,
)
from analysis.statistics.bootstrap import effective_videos
from analysis.statistics.videos import placed
from common.seeds import generator


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


def test_intervals_cover_the_truth_only_if_videos_are_the_sample() -> None:
    """Over videos 95 % intervals cover about 95 % of the time; over frames, as if independent, far less."""
    runs = 400
    values = np.hstack([clustered(seed, 15, 10)[0] for seed in range(runs)])
    held, naive = (
        np.mean((found[:, 0] <= 0.5) & (found[:, 1] >= 0.5))
        for videos in (np.repeat(np.arange(15), 10), np.arange(150))
        for found in [intervals(values, videos, generator(0), (0.0, 1.0))]
    )
    assert 0.93 <= held <= 0.98
    assert naive < 0.75


def test_intervals_are_bca_as_scipy_computes_it() -> None:
    """At the expanded level, one frame per video: only the resamples differ."""
    values = np.random.default_rng(7).exponential(size=(25, 1))
    videos = np.arange(25)
    level = 1 - 2 * expanded_tail(25)
    reference = stats.bootstrap(
        (values[:, 0],), np.mean, confidence_level=level, n_resamples=100_000, rng=1, method="BCa"
    ).confidence_interval
    found = intervals(values, videos, generator(0), (0.0, np.inf), draws=100_000)[0]
    np.testing.assert_allclose(found, [reference.low, reference.high], rtol=0.01)
    percentile = np.quantile(bootstrap_means(values, videos, generator(0), 100_000), [1 - level, level])
    assert np.abs(found - percentile).max() > 0.05  # skewness moves it


def test_any_smooth_statistic_has_an_interval_that_follows_its_transformations() -> None:
    """BCa respects monotone transformations: the interval of log(mean) is the logarithm of the mean's."""
    values, videos = clustered(8, 20, 4)
    mean, counts = mean_of(values, videos), placed(videos)[1]
    plain = intervals_of(mean, counts, generator(3), (0.0, 1.0))[0]
    logarithm = intervals_of(
        Statistic(mean.parts, lambda totals: np.log(mean.of(totals))), counts, generator(3), (-9.0, 0.0)
    )[0]
    np.testing.assert_allclose(np.exp(logarithm), plain, atol=0.005)


def test_unequal_videos_count_as_fewer() -> None:
    assert effective_videos(np.full(12, 5.0)) == pytest.approx(12)
    assert effective_videos(np.array([9.0, 1, 1, 1])) == 2.0  # 144 / 84, but never below 2
    assert effective_videos(np.array([4.0, 2, 2, 2, 2])) == pytest.approx(144 / 32)


def test_estimates_carry_what_they_were_counted_on() -> None:
    values = np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 1.0], [0.0, 1.0]])
    videos = np.array(["a", "a", "b", "c"])
    first, second = estimates(values, videos, generator(0), (0.0, 1.0))
    assert (first.value, first.frames, first.videos) == (pytest.approx(1 / 2), 4, 3)
    assert (second.value, second.high, second.frames, second.videos) == (1.0, 1.0, 3, 3)
    assert second.low == pytest.approx(stats.binomtest(3, 3).proportion_ci(method="exact").low)
    assert first.low <= first.value <= first.high
    (empty,) = estimates(np.full((2, 1), np.nan), np.array(["a", "b"]), generator(0), (0.0, 1.0))
    assert math.isnan(empty.value)
    assert (empty.frames, empty.videos) == (0, 0)
    (single,) = estimates(np.ones((2, 1)), np.array(["a", "a"]), generator(0), (0.0, 1.0))
    assert single.value == 1.0
    assert math.isnan(single.low)
    assert Estimate(0.5, 0.4, 0.6) == Estimate(0.5, 0.4, 0.6, 0, 0)


def test_a_column_with_gaps_is_estimated_as_alone_on_its_frames_and_changes_no_other() -> None:
    values, videos = clustered(3, 6, 4)
    complete = np.column_stack([values, 1 - values, values**2])
    gaps = complete.copy()
    gaps[[0, 5, 7], 1] = np.nan
    whole = estimates(complete, videos, generator(4), (-5.0, 5.0))
    first, second, third = estimates(gaps, videos, generator(4), (-5.0, 5.0))
    assert (first, third) == (whole[0], whole[2])
    kept = ~np.isnan(gaps[:, 1])
    assert [second] == estimates(gaps[kept, 1:2], videos[kept], generator(4), (-5.0, 5.0))


def test_2000_resamples_are_drawn() -> None:
    values, videos = clustered(1, 5, 2)
    assert len(bootstrap_means(values, videos, generator(0))) == DRAWS == 2000


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


def test_videos_that_agree_get_it_too_whatever_their_frames() -> None:
    """One of two frames in each of 8 videos: no resample differs, yet another video might."""
    low, high = intervals(np.tile([[0.0], [1.0]], (8, 1)), np.repeat(np.arange(8), 2), generator(0), (0.0, 1.0))[0]
    unseen = stats.binomtest(8, 8).proportion_ci(method="exact").low
    np.testing.assert_allclose([low, high], [0.5 * unseen, 1 - 0.5 * unseen])


def test_unanimous_differences_stay_open_on_both_sides() -> None:
    low, high = intervals(np.zeros((8, 1)), np.arange(8), generator(0), (-1.0, 1.0))[0]
    assert low == -high
    assert 0.3 < high < 0.5


def test_one_video_gives_no_interval() -> None:
    values = np.array([[0.0], [1.0], [1.0]])
    videos = np.array(["a", "a", "a"])
    assert np.isnan(intervals(values, videos, generator(0), (0.0, 1.0))).all()


def test_same_seed_same_interval() -> None:
    values, videos = clustered(5, 9, 2)
    first, again, other = (intervals(values, videos, generator(seed), (0.0, 1.0)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(
        bootstrap_means(values, videos, generator(1)), bootstrap_means(values, videos, generator(2))
    )
    np.testing.assert_allclose(first, other, atol=0.08)
