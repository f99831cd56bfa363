"""Balanced designs are orthogonal, uniform subset by subset, and give the plain draws' weights with less noise."""

from itertools import product

import numpy as np
import pytest

from xai.designs import BALANCED, COMPLEMENTARY, DRAWS, block_size, coins, ends, hadamard, order
from xai.lime import fit, proximity, subsets
from xai.sampling_error import covariance_of_ridge


@pytest.mark.parametrize("size", [1, 2, 4, 8, 12, 20, 24, 28, 36, 56, 60, 76, 104, 124])
def test_a_hadamard_matrix_has_signs_and_orthogonal_columns(size: int) -> None:
    matrix = hadamard(size)
    assert set(np.unique(matrix)) <= {-1, 1}
    assert np.array_equal(matrix.T @ matrix, size * np.eye(size))


def test_a_size_that_no_matrix_has_is_refused() -> None:
    with pytest.raises(ValueError, match="order 6 "):
        hadamard(6)


def test_the_order_is_little_more_than_the_features() -> None:
    assert [order(features) for features in (1, 2, 3, 5, 11, 49, 97)] == [1, 2, 4, 8, 12, 56, 104]
    assert all(features <= order(features) <= features + 15 for features in range(1, 300))


@pytest.mark.parametrize("features", [1, 2, 5, 11])
def test_a_balanced_block_shows_every_two_features_together_as_often_as_apart(features: int) -> None:
    block = coins(block_size(features, BALANCED), features, BALANCED, np.random.default_rng(0))
    signs = 2 * block - 1
    assert np.array_equal(signs.T @ signs, len(block) * np.eye(features))
    assert np.array_equal(block[1::2], 1 - block[::2])
    if features > 2:
        assert not np.einsum("na,nb,nc->abc", signs, signs, signs).any()  # no interaction of two looks like a feature


@pytest.mark.parametrize("draws", DRAWS)
def test_each_subset_alone_is_uniform(draws: str) -> None:
    """The row of one place, over many runs, is each of the 8 subsets of 3 features equally often."""
    runs = 4000
    rows = np.stack([coins(6, 3, draws, np.random.default_rng(seed))[[0, 3, 5]] for seed in range(runs)])
    for place in range(3):
        counts = np.bincount(rows[:, place] @ [4, 2, 1], minlength=8)
        assert np.abs(counts - runs / 8).max() < 4.5 * np.sqrt(runs / 8)


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("samples", [0, 1, 7, 40])
def test_so_many_subsets_are_drawn_as_asked_for(draws: str, samples: int) -> None:
    assert coins(samples, 5, draws, np.random.default_rng(0)).shape == (samples, 5)


def test_looks_end_with_whole_blocks_and_the_last_with_all() -> None:
    assert ends(100, (0.0625, 0.125, 0.25, 0.5)) == [6, 12, 25, 50, 100]
    assert ends(100, (0.0625, 0.125, 0.25, 0.5), 24) == [24, 48, 100]
    assert ends(3, (0.1, 0.5, 1.0)) == [1, 3]
    assert ends(5, ()) == [5]


class Planted:
    """A score of subsets of 12 features with interactions of two and of three, not linear in them."""

    features = 12

    def __init__(self) -> None:
        draws = np.random.default_rng(0)
        self.effects = draws.normal(0, 0.3, self.features)
        self.twos = [(draws.choice(self.features, 2, replace=False), draws.normal(0, 0.6)) for _ in range(20)]
        self.threes = [(draws.choice(self.features, 3, replace=False), draws.normal(0, 0.6)) for _ in range(10)]

    def __call__(self, shown: np.ndarray) -> np.ndarray:
        total = shown @ self.effects
        for members, effect in [*self.twos, *self.threes]:
            total = total + effect * shown[:, members].prod(axis=1)
        return 1 / (1 + np.exp(-0.4 * total))

    def runs(self, draws: str, samples: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights (count, features) of runs with other draws, and the variances that they state, likewise."""
        weights, stated = [], []
        groups = np.arange(samples - 1) // 2 if draws != "plain" else None
        for seed in range(count):
            design = subsets(samples, self.features, np.random.default_rng(seed), draws)
            near, scores = proximity(design, 0.25), self(design)
            weights.append(fit(design, scores, near, 0.0))
            covariance = covariance_of_ridge(design, scores, near, 0.0, groups=groups)
            assert covariance is not None
            stated.append(np.diag(covariance))
        return np.array(weights), np.array(stated)


@pytest.mark.parametrize("draws", DRAWS)
def test_every_design_estimates_the_weights_over_all_subsets(draws: str) -> None:
    """Over all 2^12 subsets the weighted regression has the weights in the limit; every design's mean is there."""
    planted = Planted()
    whole = np.array(list(product((1, 0), repeat=planted.features)))
    limit = fit(whole, planted(whole), proximity(whole, 0.25), 0.0)
    weights, _ = planted.runs(draws, samples=192, count=100)
    error = weights.std(axis=0, ddof=1) / np.sqrt(len(weights))
    bias = np.abs(weights.mean(axis=0) - limit)
    assert (bias < 4 * error + 0.02 * np.abs(limit).max()).all()
    assert np.abs(limit).max() > 20 * error.max()


def test_designs_lower_the_variance_and_know_their_error() -> None:
    planted = Planted()
    seen = {}
    for draws in DRAWS:
        weights, stated = planted.runs(draws, samples=128, count=100)
        seen[draws] = weights.var(axis=0, ddof=1).mean()
        assert np.sqrt(stated.mean() / seen[draws]) == pytest.approx(1, abs=0.1)
    assert seen[COMPLEMENTARY] < 0.7 * seen["plain"]
    assert seen[BALANCED] < seen[COMPLEMENTARY]


def test_naive_matrix_roots_give_the_covariance_of_groups() -> None:
    """The same by the full matrices, as Bell and McCaffrey write it."""
    draws = np.random.default_rng(3)
    design = subsets(41, 6, draws, COMPLEMENTARY)
    scores, near, groups = draws.normal(size=41), proximity(design, 0.25), np.arange(40) // 2
    roots = np.sqrt(near)
    table = np.column_stack([np.ones(41), design]) * roots[:, None]
    bread = np.linalg.inv(table.T @ table + np.diag([0.0, *[0.5] * 6]))
    maker = np.eye(41) - table @ bread @ table.T
    residuals, left = maker @ (roots * scores), maker @ maker.T
    sums = []
    for group in range(20):
        at = np.flatnonzero(groups == group) + 1
        values, vectors = np.linalg.eigh(left[np.ix_(at, at)])
        sums.append((bread @ table[at].T @ (vectors / np.sqrt(values)) @ vectors.T @ residuals[at])[1:])
    expected = np.array(sums).var(axis=0, ddof=1) * 20
    covariance = covariance_of_ridge(design, scores, near, 0.5, groups=groups)
    assert covariance is not None
    assert np.diag(covariance) == pytest.approx(expected, rel=1e-6)
