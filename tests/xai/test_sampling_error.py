"""Stated covariances are those that re-draws of planted functions show, and naive twins give."""

import numpy as np
import pytest

from xai.lime import fit, proximity, subsets
from xai.sampling_error import (
    covariance_of_jackknife,
    covariance_of_masks,
    covariance_of_mean,
    covariance_of_ridge,
    covariance_of_total_indices,
    of_segments,
    without_draws,
)
from xai.sobol import exchanged, sobol_points, total_indices

SEGMENTS = 12
RE_RUNS = 200


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Effects of segments (K,), two of them large, and of pairs of segments (K, K)."""
    draws = np.random.default_rng(seed)
    effects = np.concatenate([[2.0, 1.0], draws.normal(0, 0.1, SEGMENTS - 2)])
    return effects, draws.normal(0, 0.3, (SEGMENTS, SEGMENTS))


def score(shown: np.ndarray) -> np.ndarray:
    """A saturating function of what is shown (..., K), with interactions."""
    effects, pairs = planted(0)
    centred = shown - 0.5
    return np.asarray(1 / (1 + np.exp(-(centred @ effects + ((centred @ pairs) * centred).sum(axis=-1)))))


def ratio(importances: list[np.ndarray], stated: list[np.ndarray | None]) -> float:
    """The stated standard error over the spread seen, root of mean squares."""
    variances = [np.diag(covariance) for covariance in stated if covariance is not None]
    assert len(variances) == len(stated)
    return float(np.sqrt(np.mean(variances) / np.var(importances, axis=0, ddof=1).mean()))


def test_limes_error_is_that_of_re_draws() -> None:
    draws, importances, stated = np.random.default_rng(1), [], []
    for _ in range(RE_RUNS):
        design = subsets(60, SEGMENTS, draws)
        scores, near = score(design), proximity(design, 0.25)
        importances.append(fit(design, scores, near, 1.0))
        stated.append(covariance_of_ridge(design, scores, near, 1.0))
    assert ratio(importances, stated) == pytest.approx(1.0, abs=0.1)


def test_of_pairs_of_opposite_subsets_the_error_is_smaller_and_told_by_their_groups() -> None:
    draws, importances, stated, alone = np.random.default_rng(2), [], [], []
    groups = np.repeat(np.arange(30), 2).tolist()
    for _ in range(RE_RUNS):
        half = draws.integers(0, 2, size=(30, SEGMENTS))
        design = np.concatenate([np.ones((1, SEGMENTS)), np.stack([half, 1 - half], axis=1).reshape(60, SEGMENTS)])
        scores, near = score(design), np.ones(61)
        importances.append(fit(design, scores, near, 1.0))
        stated.append(covariance_of_ridge(design, scores, near, 1.0, groups=groups))
        alone.append(covariance_of_ridge(design, scores, near, 1.0))
    assert ratio(importances, stated) == pytest.approx(1.0, abs=0.15)
    assert ratio(importances, alone) > 1.25  # as if each subset had been drawn alone


@pytest.mark.parametrize("centred", [True, False])
def test_rises_error_is_that_of_re_draws(centred: bool) -> None:
    draws, importances, stated = np.random.default_rng(3), [], []
    for _ in range(2 * RE_RUNS):
        cells = draws.random((80, SEGMENTS))
        shown = (cells + np.roll(cells, 1, axis=1)) / 2
        scores = score(shown)
        mean = scores.mean() if centred else 0.0
        importances.append(mean + (scores - mean) @ shown / (80 * 0.5))
        stated.append(covariance_of_masks(shown, scores, 0.5, centred))
    assert ratio(importances, stated) == pytest.approx(1.0, abs=0.1)


def test_sobols_error_is_that_of_re_draws_and_cautious_for_a_balanced_sequence() -> None:
    """The sequence balances what cells do alone, so that its error is smaller than that of plain draws."""
    for balanced, least, most in ((False, 0.85, 1.15), (True, 0.9, 2.0)):
        draws, importances, stated = np.random.default_rng(4), [], []
        for _ in range(RE_RUNS):
            a, b = sobol_points(16, SEGMENTS, draws) if balanced else draws.random((2, 16, SEGMENTS))
            values = score(a), score(b), score(exchanged(a, b))
            importances.append(total_indices(*values))
            stated.append(covariance_of_total_indices(*values))
        assert least < ratio(importances, stated) < most


def test_without_a_penalty_and_weights_it_is_the_hc2_covariance() -> None:
    draws = np.random.default_rng(5)
    design = subsets(200, 5, draws)
    scores = draws.normal(size=200) * (1 + design[:, 0])
    found = covariance_of_ridge(design, scores, np.ones(200), 0.0, fixed=0)
    matrix = np.column_stack([np.ones(200), design])
    inverse = np.linalg.inv(matrix.T @ matrix)
    hat = matrix @ inverse @ matrix.T
    residuals = scores - hat @ scores
    noise = residuals**2 / (1 - np.diag(hat))
    expected = (inverse @ (matrix.T * noise) @ matrix @ inverse)[1:, 1:]
    assert np.diag(found) == pytest.approx(np.diag(expected) * 200 / 199, rel=1e-6)


def test_a_mean_of_alone_and_of_grouped_values() -> None:
    values = np.random.default_rng(6).normal(size=(50, 3))
    alone = covariance_of_mean(values)
    assert alone is not None
    assert np.diag(alone) == pytest.approx(values.var(axis=0, ddof=1) / 50)
    opposite = covariance_of_mean(np.concatenate([values, -values]), [*range(50), *range(50)])
    assert opposite is not None
    assert np.abs(opposite).max() < 1e-20  # their mean is 0 in every run
    without = np.stack([np.delete(values, left_out, axis=0).mean(axis=0) for left_out in range(50)])
    assert np.allclose(covariance_of_jackknife(without), alone)


def test_correlations_of_few_values_are_shrunk_and_those_that_are_there_stay() -> None:
    draws = np.random.default_rng(7)
    few = covariance_of_mean(draws.normal(size=(4, 30)))
    shared = covariance_of_mean(draws.normal(size=(4, 1)) + 0.01 * draws.normal(size=(4, 30)))
    raw = np.abs(
        np.corrcoef(np.random.default_rng(7).normal(size=(4, 30)), rowvar=False)[np.triu_indices(30, 1)]
    ).mean()
    assert raw > 0.45
    for covariance, least, most in ((few, 0.0, 0.3), (shared, 0.95, 1.0)):
        assert covariance is not None
        deviations = np.sqrt(np.diag(covariance))
        correlations = covariance / np.outer(deviations, deviations)
        assert least <= np.abs(correlations[np.triu_indices(30, 1)]).mean() <= most


def test_cells_errors_become_those_of_segments_means() -> None:
    cells, segments = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    found = of_segments(np.diag([9.0, 36.0]), cells, segments)
    assert np.allclose(found, [[9.0, 3.0], [3.0, 1.0 + 16.0]])
    assert of_segments(None, cells, segments) is None
    assert not without_draws(segments).any()


def test_one_sample_says_nothing_and_equal_scores_say_no_error() -> None:
    ones = np.ones((1, 3))
    assert covariance_of_mean(ones) is None
    assert covariance_of_masks(ones, np.ones(1), 0.5, centred=True) is None
    assert covariance_of_total_indices(np.ones(1), np.ones(1), np.ones((3, 1))) is None
    design = subsets(2, 3, np.random.default_rng(8))
    assert covariance_of_ridge(design, np.array([0.1, 0.2]), np.ones(2), 1.0) is None
    design = subsets(4, 6, np.random.default_rng(8))
    assert covariance_of_ridge(design, np.arange(4.0), np.ones(4), 0.0) is None  # more segments than samples
    equal = covariance_of_total_indices(np.full(4, 0.3), np.full(4, 0.3), np.full((3, 4), 0.3))
    assert equal is not None
    assert not equal.any()
