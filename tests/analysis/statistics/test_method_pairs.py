"""Two methods on shared frames: held to McNemar, Durkalski's test, closed forms and naive counts."""

import math
from itertools import repeat

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import (
    OF_DROPS,
    against_draws_p,
    cohen_d,
    compare_drops,
    compare_flips,
    compare_with_draws,
    sign_flip_p,
    with_holm,
)
from common.seeds import generator


def two(seed: int, videos: int, frames: int, rates: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flips of two methods with different rates from video to video, and the videos."""
    draws = np.random.default_rng(seed)
    places = np.repeat(np.arange(videos), frames)
    first, second = (
        (draws.random(len(places)) < draws.beta(2 * rate, 2 - 2 * rate, videos)[places]).astype(float) for rate in rates
    )
    return first, second, places


@pytest.mark.parametrize("seed", range(3))
def test_with_one_frame_per_video_it_is_mcnemars_exact_test(seed: int) -> None:
    first, second, videos = two(seed, 12, 1, (0.8, 0.3))
    found = compare_flips(first, second, videos, generator(0))
    exact = stats.binomtest(found.only_first, found.only_first + found.only_second).pvalue
    assert found.p == pytest.approx(exact)
    assert found.p_mcnemar == pytest.approx(exact)
    assert [found.both, found.only_first, found.only_second, found.neither] == [
        np.sum((first == a) & (second == b)) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0))
    ]


def test_with_many_videos_it_agrees_with_durkalski() -> None:
    """(sum of each video's excess)^2 / sum of their squares is chi-squared with 1 degree (Durkalski et al. 2003)."""
    first, second, videos = two(1, 80, 5, (0.55, 0.4))
    excess = (first - second).reshape(80, 5).mean(axis=1)
    asymptotic = stats.chi2.sf(excess.sum() ** 2 / (excess**2).sum(), 1)
    assert 0.001 < asymptotic < 0.2
    assert compare_flips(first, second, videos, generator(0)).p == pytest.approx(asymptotic, abs=0.01)


def test_mcnemar_finds_differences_that_are_not_there_where_frames_are_alike() -> None:
    found = [compare_flips(*two(seed, 10, 10, (0.5, 0.5)), generator(seed)) for seed in range(60)]
    assert np.mean([each.p < 0.05 for each in found]) <= 0.09
    assert np.mean([each.p_mcnemar < 0.05 for each in found]) > 0.25


def test_the_odds_ratio_is_of_the_frames_that_only_one_flips() -> None:
    first, second, videos = two(2, 30, 4, (0.7, 0.4))
    found = compare_flips(first, second, videos, generator(0))
    assert found.odds_ratio.value == pytest.approx((found.only_first + 0.5) / (found.only_second + 0.5))
    assert 1 < found.odds_ratio.low < found.odds_ratio.value < found.odds_ratio.high
    assert (found.odds_ratio.frames, found.odds_ratio.videos) == (found.frames, found.videos) == (120, 30)
    turned = compare_flips(second, first, videos, generator(0))
    assert turned.odds_ratio.value == pytest.approx(1 / found.odds_ratio.value)
    assert turned.odds_ratio.low == pytest.approx(1 / found.odds_ratio.high, rel=0.1)
    alike = compare_flips(first, first, videos, generator(0))
    assert (alike.p, alike.p_mcnemar, alike.odds_ratio.value) == (1.0, 1.0, 1.0)
    assert alike.odds_ratio.low < 1 < alike.odds_ratio.high


def test_drops_are_compared_on_shared_frames_with_effect_sizes() -> None:
    draws = np.random.default_rng(3)
    videos = np.repeat(np.arange(10), 4)
    first, second = draws.normal(0.6, 0.2, 40), draws.normal(0.45, 0.2, 40)
    second[5:9] = first[5:9]  # ties
    first[0] = second[1] = np.nan
    found = compare_drops(first, second, videos, generator(0))
    kept = ~np.isnan(first - second)
    difference = (first - second)[kept]
    assert (found.frames, found.videos) == (38, 10)
    assert found.difference.value == pytest.approx(difference.mean())
    assert found.p == sign_flip_p(difference, videos[kept], generator(0))
    means = [difference[videos[kept] == video].mean() for video in range(10)]
    assert found.cohen_d == pytest.approx(stats.ttest_1samp(means, 0).statistic / math.sqrt(10))
    higher = np.sum(difference > 0)
    assert found.superiority.value == pytest.approx((higher + 2) / 38)


def test_a_control_is_compared_draw_by_draw() -> None:
    draws = np.random.default_rng(4)
    videos = np.repeat(np.arange(8), 3)
    method, control = draws.random(24) + 0.2, draws.random((24, 6))
    control[2, 3] = np.nan
    found = compare_with_draws(method, control, videos, generator(0))
    kept = np.arange(24) != 2
    assert found.frames == 23
    assert found.difference.value == pytest.approx((method[kept] - control[kept].mean(axis=1)).mean())
    assert found.superiority.value == pytest.approx((method[kept, None] > control[kept]).mean())
    assert found.p == against_draws_p(method[kept], control[kept], videos[kept], generator(0))


def test_holm_is_over_all_pairs() -> None:
    pairs = [
        compare_flips(*two(seed, 12, 2, (0.9, rate)), generator(0)) for seed, rate in ((0, 0.1), (1, 0.5), (2, 0.9))
    ]
    corrected = with_holm(pairs, repeat(OF_DROPS))
    assert min(each.p_holm for each in corrected) == pytest.approx(3 * min(each.p for each in pairs))
    assert [each.p for each in corrected] == [each.p for each in pairs]


def test_what_cannot_be_compared_says_so() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        compare_flips(np.array([0.5, 1.0]), np.array([0.0, 1.0]), np.array(["a", "b"]), generator(0))
    nothing = compare_flips(np.array([np.nan, 1.0]), np.array([0.0, np.nan]), np.array(["a", "b"]), generator(0))
    assert (nothing.frames, nothing.videos) == (0, 0)
    assert math.isnan(nothing.p)
    assert math.isnan(nothing.odds_ratio.value)
    assert math.isnan(cohen_d(np.ones(4), np.array(["a", "a", "b", "b"])))
