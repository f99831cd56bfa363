"""Censored scores held to statsmodels, closed forms and naive twins."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.statistics import estimates
from analysis.survival import _Steps, restricted_mean, survival
from common.seeds import generator


def budgets(
    seed: int, videos: int = 12, frames: int = 4, early: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Budgets on a grid (so that some coincide), who flipped, and videos; tried to 8, or some not so far."""
    draws = np.random.default_rng(seed)
    places = np.repeat(np.arange(videos), frames)
    needed = np.ceil(2 * draws.exponential(4, videos)[places] * draws.exponential(1, len(places))) / 2
    tried = draws.choice([2.0, 5.0, 8.0], len(places)) if early else np.full(len(places), 8.0)
    return np.minimum(needed, tried), needed <= tried, places


def naive_area(curve: SurvfuncRight, limit: float) -> float:
    """The area under statsmodels' step function from 0 to the limit."""
    area, last, height = 0.0, 0.0, 1.0
    for time, standing in zip(curve.surv_times, curve.surv_prob, strict=True):
        if time >= limit:
            break
        area, last, height = area + height * (time - last), time, standing
    return float(area + height * (limit - last))


@pytest.mark.parametrize("early", [False, True])
def test_the_curve_is_statsmodels(early: bool) -> None:
    needed, flipped, videos = budgets(0, early=early)
    found = survival(needed, flipped, videos, generator(0))
    reference = SurvfuncRight(needed, flipped.astype(int))
    np.testing.assert_allclose(found.needed, reference.surv_times)
    np.testing.assert_allclose(found.standing, reference.surv_prob)
    np.testing.assert_array_equal(found.exposed, reference.n_risk)
    assert (found.searches, found.videos, found.censored) == (48, 12, np.sum(~flipped))
    assert ((found.low <= found.standing + 1e-12) & (found.standing <= found.high + 1e-12)).all()
    for limit in (0.75, 5.0, 8.0, 11.0):
        assert restricted_mean(needed, flipped, videos, limit, generator(0)).value == pytest.approx(
            naive_area(reference, limit)
        )


def test_tried_to_the_limit_it_is_a_plain_mean_with_a_plain_interval() -> None:
    needed, flipped, videos = budgets(1)
    found = restricted_mean(needed, flipped, videos, 8.0, generator(3))
    (plain,) = estimates(needed[:, None], videos, generator(3), (0.0, 8.0))
    for name in ("value", "low", "high", "frames", "videos"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name))


def test_dropping_what_never_flips_would_praise_it() -> None:
    needed, flipped, videos = budgets(2)
    needed, flipped = np.minimum(needed, 4), flipped & (needed <= 4)
    kept = restricted_mean(needed, flipped, videos, 4.0, generator(0)).value
    dropped = restricted_mean(needed[flipped], flipped[flipped], videos[flipped], 4.0, generator(0)).value
    assert 0.5 < flipped.mean() < 0.9
    assert kept == pytest.approx(flipped.mean() * dropped + (1 - flipped.mean()) * 4)
    assert kept > dropped + 0.25


def test_a_frame_that_is_drawn_twice_is_two_frames() -> None:
    """The bootstrap's weights are repetitions: the interval of a mean of videos drawn by hand is the same."""
    needed, flipped, videos = budgets(3, videos=5, early=True)
    weights = generator(9).multinomial(5, np.full(5, 0.2), size=2000)
    drawn = []
    for each in weights[:50]:
        frames = np.concatenate([np.tile(np.flatnonzero(videos == v), times) for v, times in enumerate(each)])
        drawn.append(naive_area(SurvfuncRight(needed[frames], flipped[frames].astype(int)), 8.0))
    found = _Steps.of(needed, flipped, videos, np.arange(len(needed))).area(8.0)(weights[:50].astype(float))[:, 0]
    np.testing.assert_allclose(found, drawn)


@pytest.mark.parametrize("early", [False, True])
def test_frames_count_alike_however_many_searches_they_have(early: bool) -> None:
    """Held to statsmodels' weights; tried to the limit it is the mean of the frames' means."""
    needed, flipped, videos = budgets(5, frames=6, early=early)
    frames = np.repeat(np.arange(36), 2)
    kept = np.random.default_rng(0).random(len(needed)) < 0.7
    needed, flipped, videos, frames = needed[kept], flipped[kept], videos[kept], frames[kept]
    searches = np.bincount(frames, minlength=36)[frames]
    assert set(searches) == {1, 2}
    found = survival(needed, flipped, videos, generator(0), frames)
    reference = SurvfuncRight(needed, flipped.astype(int), freq_weights=2 // searches)
    np.testing.assert_allclose(found.standing, reference.surv_prob)
    mean = restricted_mean(needed, flipped, videos, 8.0, generator(0), frames)
    assert mean.value == pytest.approx(naive_area(reference, 8.0))
    assert mean.frames == len(np.unique(frames)) < found.searches == len(needed)
    if not early:
        assert mean.value == pytest.approx(np.mean([needed[frames == frame].mean() for frame in np.unique(frames)]))


def test_frames_that_never_flip_leave_the_curve_at_one() -> None:
    needed, flipped, videos = np.full(9, 4.0), np.zeros(9, dtype=bool), np.repeat(np.arange(3), 3)
    found = survival(needed, flipped, videos, generator(0))
    assert (len(found.needed), found.censored) == (0, 9)
    mean = restricted_mean(needed, flipped, videos, 4.0, generator(0))
    assert (mean.value, mean.high) == (4.0, 4.0)
    assert mean.low == pytest.approx(4 * stats.binomtest(3, 3).proportion_ci(method="exact").low)
    with pytest.raises(ValueError, match="above 0"):
        restricted_mean(needed, flipped, videos, 0.0, generator(0))
    assert math.isnan(restricted_mean(np.full(2, np.nan), flipped[:2], videos[:2], 4.0, generator(0)).value)
    assert survival(np.full(2, np.nan), flipped[:2], videos[:2], generator(0)).searches == 0
