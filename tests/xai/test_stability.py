"""The stated probability of the same best segments is the share of re-runs that have them, on planted importances."""

import numpy as np
import pytest

from xai.stability import same_best, same_rank


def drawn(truth: np.ndarray, covariance: np.ndarray, runs: int, seed: int) -> np.ndarray:
    """What runs see of a true importance, (runs, K)."""
    return np.random.default_rng(seed).multivariate_normal(truth, covariance, size=runs)


def seen(runs: np.ndarray, k: int) -> float:
    """The share of pairs of runs with the same k best."""
    best = [frozenset(np.argsort(-run)[:k].tolist()) for run in runs]
    return float(np.mean([one == other for i, one in enumerate(best) for other in best[:i]]))


POPULATIONS = {
    "a few stand out": lambda draws: np.concatenate([draws.normal(0, 5, 6), np.zeros(34)]),
    "all differ": lambda draws: draws.normal(0, 2, 40),
    "heavy tails": lambda draws: draws.standard_t(2, 40),
    "alike": lambda draws: np.zeros(40),
}


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("population", POPULATIONS)
def test_stated_is_what_is_seen(population: str, correlation: float) -> None:
    """On the mean over true importances: of one alone no single run can know how far ahead of the next it is."""
    draws = np.random.default_rng(3)
    covariance = 0.5 * (correlation + (1 - correlation) * np.eye(40))
    stated, found = [], []
    for number in range(12):
        runs = drawn(POPULATIONS[population](draws), covariance, 12, seed=number)
        stated.append(np.mean([same_best(run, covariance)[:3] for run in runs[:4]], axis=0))
        found.append([seen(runs, k) for k in (1, 2, 3)])
    assert np.mean(stated, axis=0) == pytest.approx(np.mean(found, axis=0), abs=0.15)
    if population == "alike":
        assert np.mean(stated, axis=0)[2] < 0.02


def test_without_draws_all_is_certain_and_without_an_error_nothing() -> None:
    importance = np.array([0.1, 0.5, 0.2])
    assert same_best(importance, np.zeros((3, 3))).tolist() == [1.0, 1.0, 1.0]
    assert same_rank(importance, np.zeros((3, 3))).tolist() == [1.0, 1.0, 1.0]
    assert same_best(importance, None).tolist() == [0.0, 0.0, 0.0]
    assert same_rank(importance, None).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("error", [0.0, 1e-9, 1.0])
def test_where_all_segments_are_alike_nothing_is_certain(error: float) -> None:
    alike = np.full(5, 0.7) + np.array([0, 1e-8, 0, -1e-8, 0])  # but for rounding
    assert not same_best(alike, error * np.eye(5)).any()
    assert not same_best(np.array([3.0]), error * np.eye(1)).any()


def test_a_segment_that_stands_out_is_certain_and_those_behind_it_are_not() -> None:
    importance = np.concatenate([[50.0], np.random.default_rng(2).normal(0, 1, 20)])
    first, second, third = same_rank(importance, np.eye(21))
    assert first == 1.0
    assert max(second, third) < 0.5
    assert same_best(importance, np.eye(21))[-1] == 1.0  # all segments together


def test_an_error_that_all_segments_share_moves_no_rank() -> None:
    importance = np.array([3.0, 2.0, 1.0, 0.0])
    assert same_best(importance, 100.0 + 1e-6 * np.eye(4)).tolist() == [1.0, 1.0, 1.0, 1.0]
