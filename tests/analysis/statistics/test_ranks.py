"""Ranks held to Demsar's worked example, scipy and naive counts."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import Ranks, critical_difference, friedman, rank_agreements

METHODS = ("LIME", "SHAP", "SOBOL", "RISE")


def test_the_critical_difference_of_the_paper() -> None:
    """Demsar (2006): four classifiers on 14 data sets differ by 1.25; q of ten is 3.164."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(10, 1) == pytest.approx(3.164 * math.sqrt(10 * 11 / 6), rel=1e-3)
    assert critical_difference(2, 25) == pytest.approx(1.960 * math.sqrt(2 * 3 / 150), rel=1e-3)


def test_videos_are_the_blocks_and_ties_share_ranks() -> None:
    draws = np.random.default_rng(0)
    values = draws.integers(0, 3, size=(48, 4)).astype(float) + np.array([1.0, 0.5, 0.0, 0.5])
    values[3, 1] = np.nan
    videos = np.repeat(np.arange(12), 4)
    found = friedman(values, METHODS, videos)
    kept = np.arange(48) != 3
    means = np.array([values[kept & (videos == video)].mean(axis=0) for video in range(12)])
    assert any(len(set(row)) < 4 for row in means)
    reference = stats.friedmanchisquare(*means.T)
    assert (found.statistic, found.p) == pytest.approx((reference.statistic, reference.pvalue))
    for method, rank in zip(found.methods, found.ranks, strict=True):
        column = means[:, METHODS.index(method)][:, None]
        others = np.delete(means, METHODS.index(method), axis=1)
        assert rank == pytest.approx((1 + (others > column).sum(1) + (others == column).sum(1) / 2).mean())
    assert list(found.ranks) == sorted(found.ranks)
    assert (found.frames, found.videos, found.methods[0]) == (47, 12, "LIME")
    assert found.critical == critical_difference(4, 12)


def test_methods_that_never_differ_have_equal_ranks() -> None:
    found = friedman(np.tile(np.arange(6.0)[:, None], (1, 3)), METHODS[:3], np.arange(6))
    assert (found.ranks, found.p, found.alike()) == ((2.0, 2.0, 2.0), 1.0, [METHODS[:3]])


def test_two_methods_are_ranked_without_a_test_and_one_is_not() -> None:
    two = friedman(np.array([[1.0, 0.0], [1.0, 0.0]]), METHODS[:2], np.array(["a", "b"]))
    assert (two.ranks, math.isnan(two.p), two.critical > 0) == ((1.0, 2.0), True, True)
    assert math.isnan(friedman(np.ones((2, 1)), METHODS[:1], np.array(["a", "b"])).critical)
    assert math.isnan(friedman(np.full((2, 2), np.nan), METHODS[:2], np.array(["a", "b"])).ranks[0])


@given(st.lists(st.floats(1, 8), min_size=2, max_size=8), st.floats(0.2, 4))
@settings(max_examples=60, deadline=None)
def test_groups_are_the_largest_sets_without_two_that_differ(ranks: list[float], critical: float) -> None:
    ranks = sorted(ranks)
    names = tuple(f"m{place}" for place in range(len(ranks)))
    found = Ranks(names, tuple(ranks), 1, 1, 0.0, 1.0, critical).alike()
    alike = [
        set(group)
        for size in range(2, len(ranks) + 1)
        for group in combinations(range(len(ranks)), size)
        if ranks[group[-1]] - ranks[group[0]] <= critical
    ]
    largest = [group for group in alike if not any(group < other for other in alike)]
    assert [{names.index(name) for name in group} for group in found] == sorted(largest, key=min)


def naive_tau(one: list[int], other: list[int]) -> float:
    """Kendall's tau-b by its definition: agreeing less disagreeing pairs over the geometric mean of untied ones."""
    pairs = list(combinations(range(len(one)), 2))
    signs = [(np.sign(one[i] - one[j]), np.sign(other[i] - other[j])) for i, j in pairs]
    untied = math.sqrt(sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs))
    return sum(a * b for a, b in signs) / untied if untied else math.nan


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=7))
@settings(max_examples=60, deadline=None)
def test_tau_is_its_definition(values: list[tuple[int, int]]) -> None:
    one, other = ([pair[side] for pair in values] for side in (0, 1))
    scores = {"nes": dict(enumerate(one)), "pgd": dict(enumerate(other))}
    (found,) = rank_agreements({name: {f"{k}": float(v) for k, v in each.items()} for name, each in scores.items()})
    assert (found.first, found.second, found.methods) == ("nes", "pgd", len(values))
    assert found.tau == pytest.approx(naive_tau(one, other), nan_ok=True)


def test_every_two_settings_are_compared_on_the_methods_that_both_have() -> None:
    found = rank_agreements(
        {
            "nes": {"LIME": 0.9, "SHAP": 0.5, "RISE": 0.1},
            "pgd": {"LIME": 0.8, "SHAP": 0.6, "RISE": math.nan, "SOBOL": 0.0},
            "fgsm": {"RISE": 0.9, "SHAP": 0.5, "LIME": 0.1},
        }
    )
    assert [(each.first, each.second, each.methods, each.tau) for each in found] == [
        ("nes", "pgd", 2, 1.0),
        ("nes", "fgsm", 3, -1.0),
        ("pgd", "fgsm", 2, -1.0),
    ]
    assert found[1].p == pytest.approx(2 / 6)  # one order of six is this far from the other, one is its reverse
    assert math.isnan(rank_agreements({"a": {"LIME": 1.0}, "b": {"LIME": 2.0}})[0].tau)
