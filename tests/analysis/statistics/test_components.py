"""Variance components held to statsmodels' REML, a naive twin, and simulated data whose components are known."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from analysis.statistics import variance_components
from analysis.statistics.components import _Design
from common.seeds import generator

TRUE = {"seed": 0.1, "video": 0.4, "frame": 0.3, "noise": 0.2}


def simulate(draws: np.random.Generator, seeds: int, videos: np.ndarray) -> np.ndarray:
    """Scores (seeds, n) with the components TRUE."""
    deviation = {name: math.sqrt(value) for name, value in TRUE.items()}
    return np.asarray(
        0.5
        + deviation["seed"] * draws.normal(size=(seeds, 1))
        + deviation["video"] * draws.normal(size=videos.max() + 1)[videos]
        + deviation["frame"] * draws.normal(size=len(videos))
        + deviation["noise"] * draws.normal(size=(seeds, len(videos)))
    )


@pytest.mark.filterwarnings("ignore")
def test_balanced_components_are_restricted_maximum_likelihood() -> None:
    """In a balanced design without negative estimates the two coincide (Searle et al. 1992, sec. 4.8)."""
    videos = np.repeat(np.arange(6), 3)
    values = simulate(np.random.default_rng(4), 3, videos)
    found = variance_components(values, videos, generator(0))
    seed, frame = np.divmod(np.arange(values.size), values.shape[1])
    table = pd.DataFrame({"y": values.ravel(), "seed": seed, "frame": frame, "video": videos[frame], "all": 1})
    parts = {name: f"0 + C({name})" for name in ("seed", "video", "frame")}
    fit = smf.mixedlm("y ~ 1", table, groups="all", vc_formula=parts, re_formula="0").fit(reml=True)
    reference = dict(zip(fit.model.exog_vc.names, fit.vcomp, strict=True))
    for name in ("seed", "video", "frame"):
        assert getattr(found, name).value == pytest.approx(reference[name], rel=0.02)
        assert reference[name] > 0.01
    assert found.noise.value == pytest.approx(fit.scale, rel=0.02)
    assert (found.seeds, found.frames, found.videos) == (3, 18, 6)


def test_they_are_right_in_the_mean_for_videos_of_different_length() -> None:
    draws, videos = np.random.default_rng(0), np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 1, 9])
    ones = np.ones((1, 8))
    found = np.mean([_Design.of(simulate(draws, 4, videos), videos).components(ones)[0] for _ in range(4000)], axis=0)
    np.testing.assert_allclose(found, list(TRUE.values()), rtol=0.05)


def test_a_video_drawn_twice_is_two_videos() -> None:
    videos = np.repeat(np.arange(4), [2, 3, 1, 4])
    values = simulate(np.random.default_rng(1), 3, videos)
    again = np.concatenate([np.flatnonzero(videos == video) for video in (0, 1, 1, 3, 3, 3)])
    names = np.repeat(np.arange(6), [2, 3, 3, 4, 4, 4])
    drawn = _Design.of(values, videos).components(np.array([[1.0, 2.0, 0.0, 3.0]]))
    np.testing.assert_allclose(drawn, _Design.of(values[:, again], names).components(np.ones((1, 6))))


def test_spreads_of_the_score_and_intervals() -> None:
    videos = np.repeat(np.arange(30), 4)
    values = simulate(np.random.default_rng(2), 5, videos)
    values[2, 7] = np.nan
    found = variance_components(values, videos, generator(0))
    kept = np.arange(120) != 7
    assert (found.frames, found.mean) == (119, pytest.approx(values[:, kept].mean()))
    assert found.rerun_sd == pytest.approx(values[:, kept].mean(axis=1).std(ddof=1))
    assert found.sample_sd == pytest.approx(math.sqrt(found.video.value / 30 + found.frame.value / 119), rel=0.01)
    for name, truth in TRUE.items():
        part = getattr(found, name)
        assert 0 <= part.low < part.value < part.high
        assert part.low < truth < part.high


def test_no_variance_is_zero_and_too_little_data_is_refused() -> None:
    videos = np.repeat(np.arange(5), 2)
    same = np.tile(np.random.default_rng(3).normal(size=10), (3, 1))
    found = variance_components(same, videos, generator(0))
    assert (found.seed.value, found.rerun_sd) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert found.noise.value == pytest.approx(0, abs=1e-12)
    assert found.frame.value > 0.1
    for values, names in ((same[:1], videos), (same, np.zeros(10)), (same, np.arange(10))):
        with pytest.raises(ValueError, match="at least 2 seeds, 2 videos"):
            variance_components(values, names, generator(0))
