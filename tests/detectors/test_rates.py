"""Error rates against scikit-learn, a naive sweep of thresholds, and closed forms; ties included."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from detectors.rates import ROUNDING, ErrorRates, auc, auc_interval, equal_error_rate, error_rates, tied


def random_scores(seed: int, levels: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Unequal numbers of fakes and real frames, fakes a little higher; `levels` scores only, or all different."""
    random = np.random.default_rng(seed)
    fake = np.arange(60) < random.integers(3, 57)
    scores = random.normal(size=60) + random.uniform(0, 2) * fake
    return (scores if levels is None else np.digitize(scores, np.linspace(-2, 3, levels)).astype(float)), fake


CASES = [(seed, levels) for seed in range(12) for levels in (None, 3, 8)]


def naive_curve(scores: np.ndarray, fake: np.ndarray) -> list[tuple[float, float]]:
    """(FPR, FNR) by counting, from calling nothing fake to calling everything fake."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        called = scores >= threshold
        points.append(((called & ~fake).sum() / (~fake).sum(), (~called & fake).sum() / fake.sum()))
    return points


def naive_eer(scores: np.ndarray, fake: np.ndarray) -> float:
    points = naive_curve(scores, fake)
    for (fpr, fnr), (next_fpr, next_fnr) in itertools.pairwise(points):
        if next_fpr >= next_fnr:
            part = (fnr - fpr) / ((fnr - fpr) + (next_fpr - next_fnr))
            return fpr + part * (next_fpr - fpr)
    raise AssertionError("the curve ends at FPR 1, FNR 0")


@pytest.mark.parametrize(("seed", "levels"), CASES)
def test_random_scores(seed: int, levels: int | None) -> None:
    scores, fake = random_scores(seed, levels)
    assert auc(scores, fake) == roc_auc_score(fake, scores)
    pairs = scores[fake][:, None] - scores[~fake][None]
    assert auc(scores, fake) == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    found = equal_error_rate(scores, fake)
    assert found is not None
    assert found.rate == pytest.approx(naive_eer(scores, fake), abs=1e-12)
    false_positive, true_positive, _ = roc_curve(fake, scores)  # its corners alone draw the same curve
    assert distance_to_curve(found.rate, 1 - found.rate, false_positive, true_positive) < 1e-12


def distance_to_curve(x: float, y: float, xs: np.ndarray, ys: np.ndarray) -> float:
    """How far a point lies from the line through (xs, ys)."""
    starts, steps = np.stack([xs[:-1], ys[:-1]], 1), np.stack([np.diff(xs), np.diff(ys)], 1)
    parts = ((np.array([x, y]) - starts) * steps).sum(1) / (steps**2).sum(1)
    nearest = starts + np.clip(parts, 0, 1)[:, None] * steps
    return float(np.hypot(*(nearest - [x, y]).T).min())


@pytest.mark.parametrize(("seed", "levels"), CASES)
def test_the_threshold_gives_the_rate(seed: int, levels: int | None) -> None:
    scores, fake = random_scores(seed, levels)
    found = equal_error_rate(scores, fake)
    assert found is not None
    assert scores.min() <= found.threshold <= scores.max()
    at = error_rates(scores, fake, found.threshold)
    assert at is not None
    curve = naive_curve(scores, fake)
    assert any((at.false_positive, at.false_negative) == pytest.approx(point) for point in curve)
    if at.false_positive == pytest.approx(at.false_negative):
        assert at.false_positive == pytest.approx(found.rate)
    else:  # on one side of the threshold FPR is too high, on the other FNR
        place = next(
            i for i, point in enumerate(curve) if point == pytest.approx((at.false_positive, at.false_negative))
        )
        neighbours = curve[max(place - 1, 0) : place + 2]
        signs = {fpr > fnr for fpr, fnr in neighbours}
        assert signs == {True, False}


@pytest.mark.parametrize(("seed", "levels"), CASES)
def test_symmetries(seed: int, levels: int | None) -> None:
    scores, fake = random_scores(seed, levels)
    found, turned = equal_error_rate(scores, fake), equal_error_rate(-scores, ~fake)
    moved = equal_error_rate(np.exp(scores), fake)
    assert found is not None
    assert turned is not None
    assert moved is not None
    assert turned.rate == pytest.approx(found.rate)  # the two errors change places
    assert moved.rate == pytest.approx(found.rate)  # only the order counts


def test_closed_forms() -> None:
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    scores, fake = np.concatenate([quantiles, quantiles + 1.0]), np.arange(8000) >= 4000
    found = equal_error_rate(scores, fake)
    assert found is not None
    assert found.rate == pytest.approx(norm.cdf(-0.5), abs=5e-4)  # two unit normals, one apart
    assert found.threshold == pytest.approx(0.5, abs=2e-3)
    assert auc(scores, fake) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=1e-3)


@pytest.mark.parametrize(
    ("scores", "fake", "area", "rate", "threshold"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0, 0.0, 0.5),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0, 1.0, 0.5),
        ([0.5, 0.5, 0.5], [0, 1, 1], 0.5, 0.5, 0.5),
        ([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1], 0.75, 0.5, 0.5),
        ([1, 3, 2, 3, 4, 5], [0, 0, 1, 1, 1, 1], 6.5 / 8, 1 / 3, 10 / 3),
    ],
    ids=["apart", "reversed", "all equal", "crossed", "a tie across the classes"],
)
def test_by_hand(scores: list[float], fake: list[int], area: float, rate: float, threshold: float) -> None:
    found = equal_error_rate(scores, fake)
    assert found is not None
    assert auc(scores, fake) == pytest.approx(area)
    assert found.rate == pytest.approx(rate)
    assert found.threshold == pytest.approx(threshold)


def test_rates_at_a_threshold() -> None:
    scores, fake = [0.1, 0.5, 0.5, 0.9], [False, False, True, True]
    assert error_rates(scores, fake, 0.5) == ErrorRates(0.5, 0.0)
    assert error_rates(scores, fake, 0.51) == ErrorRates(0.0, 0.5)
    assert error_rates(scores, fake, -1) == ErrorRates(1.0, 0.0)
    assert error_rates(scores, fake, 2) == ErrorRates(0.0, 1.0)


@pytest.mark.parametrize("fake", [[True, True], [False, False]])
def test_one_class_alone(fake: list[bool]) -> None:
    assert auc([0.1, 0.2], fake) is None
    assert equal_error_rate([0.1, 0.2], fake) is None
    assert error_rates([0.1, 0.2], fake, 0.5) is None


def test_no_scores() -> None:
    assert auc([], []) is None


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        auc([0.1, 0.2], [True, False, True])
    with pytest.raises(ValueError, match="1 of 2 scores are not a number"):
        equal_error_rate([0.1, float("nan")], [True, False])


@pytest.mark.parametrize("area", [0.5, 0.8, 0.95])
def test_intervals_hold_the_true_area_as_often_as_they_say(area: float) -> None:
    """Of scores from two normal distributions, whose area is known, in 2,000 draws of 15 and 25."""
    generator = np.random.default_rng(0)
    shift = np.sqrt(2) * norm.ppf(area)
    fake = np.arange(40) >= 15
    held = []
    for _ in range(2000):
        found = auc(generator.standard_normal(40) + shift * fake, fake)
        assert found is not None
        low, high = auc_interval(found, 15, 25)
        assert 0 <= low <= found <= high <= 1
        held.append(low <= area <= high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_intervals_of_perfect_areas_have_a_length() -> None:
    for real, fake in ((2, 2), (5, 40), (300, 300)):
        low, high = auc_interval(0.0, real, fake)
        assert low == 0
        assert 0 < high < 1
        mirrored = auc_interval(1.0, real, fake)
        assert mirrored[1] == 1
        assert mirrored[0] == pytest.approx(1 - high)
    assert auc_interval(0.0, 2, 2)[1] > 0.5  # one draw in six looks so
    assert auc_interval(0.0, 10, 10)[1] < 0.5


def test_log_odds_that_rounding_alone_parts_are_tied() -> None:
    values = np.array([1.0, 20.0, -np.inf, 1.0 + 2e-7, 20.00001, np.inf, np.inf, -np.inf])
    assert tied(values).tolist() == [1.0, 20.0, -np.inf, 1.0, 20.00001, np.inf, np.inf, -np.inf]
    assert tied([]).shape == (0,)


def test_many_log_odds_that_lie_close_do_not_all_become_equal() -> None:
    values = np.random.default_rng(0).permutation(np.linspace(-0.01, 0.01, 200_001))  # a tenth of the rounding apart
    found = tied(values)
    assert np.abs(found - values).max() <= ROUNDING * (1 + 1e-9)
    assert len(set(found.tolist())) == pytest.approx(20_000, rel=0.15)
    assert tied(found).tolist() == found.tolist()
