"""Videos by name and by number, and what is resampled where there are many."""

import numpy as np
import pytest
from scipy.stats import norm

from analysis.statistics import estimates, sign_flip_p
from analysis.statistics.permutation import against_draws_p
from analysis.statistics.videos import GROUPS, per_video, placed, pooled, resamples

MANY = 8 * GROUPS + 17


def test_numbers_in_the_order_of_names_are_as_good_as_names() -> None:
    names = np.array(["d", "b", "b", "z", "d", "a"])
    numbers = np.array([3, 1, 1, 9, 3, 0])  # with gaps, as in a part of a run
    for by_name, by_number in zip(placed(names), placed(numbers), strict=True):
        assert by_name.tolist() == by_number.tolist()
    values = np.arange(12.0).reshape(6, 2)
    assert per_video(values, names)[0].tolist() == per_video(values, numbers)[0].tolist()
    assert placed(numbers[:0])[1].tolist() == []


def test_few_videos_stay_and_many_become_groups_of_whole_videos() -> None:
    few = np.random.default_rng(0).random((GROUPS, 2))
    assert pooled(few) is few
    many = np.eye(3)[np.arange(MANY) % 3]
    found = pooled(many)
    assert found.shape == (GROUPS, 3)
    assert found.sum(axis=0).tolist() == many.sum(axis=0).tolist()
    assert set(found.sum(axis=1).tolist()) == {8.0, 9.0}  # equal groups, as far as they can be
    assert len(np.unique(found, axis=0)) > 10  # drawn at random, not every third
    assert pooled(many).tolist() == found.tolist()


def clustered(seed: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    videos = np.repeat(np.arange(MANY), 3)
    return effect + draws.normal(size=MANY)[videos] + draws.normal(size=3 * MANY), videos


def test_intervals_of_many_videos_are_those_of_all_of_them() -> None:
    """Against the standard error of a mean over clusters, in closed form."""
    values, videos = clustered(1, 0.2)
    (found,) = estimates(values[:, None], videos, np.random.default_rng(2), (-9.0, 9.0))
    error = values.reshape(-1, 3).mean(axis=1).std(ddof=1) / np.sqrt(MANY)
    assert found.value == pytest.approx(values.mean())
    assert (found.frames, found.videos) == (3 * MANY, MANY)
    assert found.high - found.low == pytest.approx(2 * norm.ppf(0.975) * error, rel=0.07)


def test_tests_over_many_videos_find_what_is_there_and_only_that() -> None:
    draws = np.random.default_rng(3)
    least = [sign_flip_p(*clustered(seed, 0.0), draws) for seed in range(12)]
    assert min(least) > 0.002
    assert max(least) > 0.5
    assert sign_flip_p(*clustered(0, 0.1), draws) < 0.001
    values, videos = clustered(4, 0.0)
    chance = np.stack([clustered(seed, 0.0)[0] for seed in (5, 6)], axis=1)
    assert against_draws_p(values, chance, videos, draws) > 0.01
    assert against_draws_p(values + 0.1, chance, videos, draws) < 0.001


def test_generators_in_the_same_state_resample_alike_and_go_on_alike() -> None:
    first, again, other = (np.random.default_rng(seed) for seed in (1, 1, 2))
    drawn = resamples(7, first, 50)
    fresh = np.random.default_rng(1)
    assert drawn.tolist() == fresh.multinomial(7, np.full(7, 1 / 7), size=50).tolist()
    assert resamples(7, again, 50) is drawn
    assert first.random() == again.random() == fresh.random()
    assert resamples(7, other, 50).tolist() != drawn.tolist()
    with pytest.raises(ValueError, match="read-only"):
        drawn[0, 0] = 9
