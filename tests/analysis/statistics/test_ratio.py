"""The headline score held to Fieller's own formula, planted answers and invariances."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import ratio_intervals, ratio_scores
from analysis.statistics.ratio import COINCIDE, FEW_VIDEOS, NO_FRAME, NO_ROOM
from common.seeds import generator


def baselines(seed: int, videos: int = 20, frames: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Drops of a method, random regions and the oracle (true score 0.5), and the videos."""
    draws = np.random.default_rng(seed)
    places = np.repeat(np.arange(videos), frames)
    common = draws.normal(0, 0.1, videos)[places]
    method, chance, oracle = (mean + common + draws.normal(0, 0.1, len(places)) for mean in (0.5, 0.3, 0.7))
    return method, chance, oracle, places


def test_the_interval_is_fiellers() -> None:
    """One frame per video: the roots of the quadratic in sample variances (Fieller 1954), and what defines them."""
    draws = np.random.default_rng(0)
    bottom = draws.normal(1.0, 0.6, 15)
    top = 0.4 * bottom + draws.normal(0.2, 0.5, 15)
    low, high = ratio_intervals(top[:, None], bottom[:, None], np.arange(15), generator(0), draws=200_000)[0]
    quantile = stats.t.ppf(0.975, 14)
    for end in (low, high):
        statistic = stats.ttest_1samp(top - end * bottom, 0.0).statistic
        assert abs(statistic) == pytest.approx(quantile, rel=0.01)
    assert low < top.mean() / bottom.mean() < high
    assert top.mean() / bottom.mean() - low != pytest.approx(high - top.mean() / bottom.mean(), rel=0.02)


def test_the_score_does_not_depend_on_zero_or_unit() -> None:
    method, chance, oracle, videos = baselines(1)
    (plain,) = ratio_scores(method[:, None], chance, oracle, videos, generator(0))
    (moved,) = ratio_scores(3 * method[:, None] - 7, 3 * chance - 7, 3 * oracle - 7, videos, generator(0))
    assert plain.score.value == pytest.approx((method - chance).mean() / (oracle - chance).mean())
    for name in ("value", "low", "high"):
        assert getattr(moved.score, name) == pytest.approx(getattr(plain.score, name))
    assert moved.room.value == pytest.approx(3 * plain.room.value)
    assert (plain.score.frames, plain.score.videos, plain.undefined) == (60, 20, "")


def test_a_method_like_the_oracle_scores_one_and_one_like_random_zero() -> None:
    method, chance, oracle, videos = baselines(2, videos=12)
    best, worst, middle = ratio_scores(np.stack([oracle, chance, method], axis=1), chance, oracle, videos, generator(0))
    unseen = stats.binomtest(12, 12).proportion_ci(method="exact").low
    assert (best.score.value, best.score.high) == (pytest.approx(1), pytest.approx(1))
    assert best.score.low == pytest.approx(unseen)
    assert (worst.score.value, worst.score.low) == (0, 0)
    assert worst.score.high == pytest.approx(1 - unseen)
    assert 0 < middle.score.low < middle.score.value < middle.score.high < 1
    again = ratio_scores(method[:, None], chance, oracle, videos, generator(0))
    assert again == [middle]  # the resamples do not depend on the other methods


def test_each_method_may_have_random_regions_of_its_own_area() -> None:
    method, chance, oracle, videos = baselines(3)
    both = ratio_scores(
        np.stack([method, method], axis=1), np.stack([chance, chance + 0.1], axis=1), oracle, videos, generator(4)
    )
    for place, random_area in enumerate((chance, chance + 0.1)):
        assert ratio_scores(method[:, None], random_area, oracle, videos, generator(4)) == [both[place]]
    assert both[0].score.value > both[1].score.value


def test_it_is_undefined_where_the_oracle_is_no_better_than_random() -> None:
    method, _, oracle, videos = baselines(4)
    (same,) = ratio_scores(method[:, None], oracle, oracle, videos, generator(0))
    assert (same.undefined, same.coincide) == (COINCIDE, 60)
    noise = np.random.default_rng(0).normal(0, 0.5, len(videos))
    (near,) = ratio_scores(method[:, None], oracle + noise - noise.mean(), oracle, videos, generator(0))
    assert near.undefined == NO_ROOM
    assert near.room.low < 0 < near.room.high
    (below,) = ratio_scores(method[:, None], oracle + 0.3, oracle, videos, generator(0))
    assert below.undefined == NO_ROOM
    for each in (same, near, below):
        assert math.isnan(each.score.value)
        assert math.isnan(each.score.low)
        assert (each.score.frames, each.score.videos) == (60, 20)


def test_frames_where_oracle_and_random_coincide_are_counted_and_kept() -> None:
    method, chance, oracle, videos = baselines(5)
    chance[:7] = oracle[:7]
    (found,) = ratio_scores(method[:, None], chance, oracle, videos, generator(0))
    assert found.coincide == 7
    assert found.score.frames == 60
    assert found.score.value == pytest.approx((method - chance).mean() / (oracle - chance).mean())


def test_only_frames_that_have_all_three_count() -> None:
    method, chance, oracle, videos = baselines(6)
    method[0] = chance[10] = oracle[20] = np.nan
    (found,) = ratio_scores(method[:, None], chance, oracle, videos, generator(0))
    assert found.score.frames == 57
    kept = ~np.isnan(method + chance + oracle)
    (alone,) = ratio_scores(method[kept][:, None], chance[kept], oracle[kept], videos[kept], generator(0))
    assert found == alone
    (nothing,) = ratio_scores(np.full((60, 1), np.nan), chance, oracle, videos, generator(0))
    assert (nothing.undefined, nothing.score.frames) == (NO_FRAME, 0)
    (one,) = ratio_scores(method[:, None], chance, oracle, np.zeros(60), generator(0))
    assert one.undefined == FEW_VIDEOS
    assert one.room.value == pytest.approx(np.nanmean((oracle - chance)[kept]))
    assert np.isnan(ratio_intervals(method[kept][:, None], oracle[kept][:, None], np.zeros(57), generator(0))).all()
