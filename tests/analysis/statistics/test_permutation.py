"""Permutation tests held to naive enumeration, scipy, statsmodels and their level on simulated data."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.statistics import against_draws_p, holm, sign_flip_p, sign_flip_ps, smallest_p
from common.seeds import generator


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


@pytest.mark.parametrize("p", [(0.3,), (0.01, 0.04, 0.03, 0.005, 0.03), (0.5, math.nan, 0.001, 0.2, math.nan)])
def test_holm_is_statsmodels_of_the_tests_that_were_made(p: tuple[float, ...]) -> None:
    values = np.array(p)
    made = ~np.isnan(values)
    found = holm(values)
    assert np.isnan(found[~made]).all()
    np.testing.assert_allclose(found[made], multipletests(values[made], method="holm")[1])


def test_holm_on_a_worked_example_and_missing_values() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.01])), [0.02, np.nan, 0.02])


def test_one_video_gives_no_p() -> None:
    videos = np.array(["a", "a", "a"])
    assert math.isnan(sign_flip_p(np.array([0.0, 1.0, 1.0]), videos, generator(0)))
    assert math.isnan(against_draws_p(np.ones(3), np.zeros((3, 4)), videos, generator(0)))


@pytest.mark.parametrize("videos", [6, 15])
def test_columns_are_tested_as_if_alone(videos: int) -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, size=(3 * videos, 4))
    places = np.repeat(np.arange(videos), 3)
    found = sign_flip_ps(differences, places, generator(5))
    np.testing.assert_array_equal(found, [sign_flip_p(each, places, generator(5)) for each in differences.T])


def naive_exchange(sums: np.ndarray) -> float:
    """Every way of calling one score of each video the method: twice the smaller tail of Student's t."""

    def student(chosen: tuple[int, ...]) -> float:
        ahead = np.array([row[a] - np.delete(row, a).mean() for row, a in zip(sums, chosen, strict=True)])
        if np.ptp(ahead) == 0:
            return math.copysign(math.inf, ahead[0]) if ahead[0] else 0.0
        return float(ahead.mean() / ahead.std(ddof=1))

    found = np.array([student(each) for each in product(range(sums.shape[1]), repeat=len(sums))])
    observed = student((0,) * len(sums))
    return float(min(1.0, 2 * min(np.mean(found >= observed - 1e-9), np.mean(found <= observed + 1e-9))))


@pytest.mark.parametrize("seed", range(4))
def test_exchanging_draws_is_the_naive_enumeration(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(10, 4)) + np.array([0.8, 0, 0, 0])
    videos = np.repeat(np.arange(5), 2)
    sums = values.reshape(5, 2, 4).sum(axis=1)
    found = against_draws_p(values[:, 0], values[:, 1:], videos, generator(seed))
    assert found == pytest.approx(naive_exchange(sums), abs=0.02)


def test_one_draw_is_a_sign_flip() -> None:
    values = np.random.default_rng(9).normal(size=(20, 2))
    videos = np.repeat(np.arange(10), 2)
    found = against_draws_p(values[:, 0], values[:, 1:], videos, generator(1))
    assert found == sign_flip_p(values[:, 0] - values[:, 1], videos, generator(1))


def test_many_draws_hold_the_level_on_rare_flips_where_their_mean_does_not() -> None:
    """A method that flips as rarely as 20 random draws do: tested against their mean, flipping nothing looks bad."""
    draws, videos = np.random.default_rng(4), np.repeat(np.arange(12), 2)
    found = naive = 0
    for seed in range(100):
        flips = (draws.random((24, 21)) < 0.03).astype(float)
        found += against_draws_p(flips[:, 0], flips[:, 1:], videos, generator(seed)) < 0.05
        naive += sign_flip_p(flips[:, 0] - flips[:, 1:].mean(axis=1), videos, generator(seed)) < 0.05
    assert found / 100 <= 0.07
    assert naive / 100 > 0.3


def test_a_better_method_is_found_sooner_with_more_draws() -> None:
    """Five videos cannot tell by sign flips alone, whatever happens; with 20 draws they can."""
    videos = np.repeat(np.arange(5), 4)
    draws = np.random.default_rng(6).random((20, 20)) < 0.2
    assert smallest_p(5) > 0.05
    assert against_draws_p(np.ones(20), draws.astype(float), videos, generator(0)) == smallest_p(5, 20) < 0.001
    assert smallest_p(2, 3) == 2 / 16


def test_the_level_holds_where_a_method_varies_more_between_videos_than_draws_do() -> None:
    """Equal means, but the method prefers one region all through a video: plain sums would find a difference."""
    draws, videos = np.random.default_rng(5), np.repeat(np.arange(20), 5)
    found = plain = 0
    for seed in range(150):
        method = 0.5 * draws.normal(size=20)[videos] + 0.85 * draws.normal(size=100)
        control = draws.normal(size=(100, 20))
        found += against_draws_p(method, control, videos, generator(seed)) < 0.05
        sums = np.column_stack([method, control]).reshape(20, 5, 21).sum(axis=1)
        sums -= sums.mean(axis=1, keepdims=True)
        exchanged = sums[np.arange(20), draws.integers(21, size=(1000, 20))].sum(axis=1)
        plain += np.mean(np.abs(exchanged) >= abs(sums[:, 0].sum())) < 0.05
    assert found / 150 <= 0.08
    assert plain / 150 > 0.1
