"""Stopping early costs no more wrong answers than it is allowed, and nothing where it never stops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from detectors.queries import Queries
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Score
from xai.designs import ends
from xai.explanation import FrameExplanations
from xai.explanation_settings import build_settings
from xai.fills import Mean, composite
from xai.lime import LIME
from xai.ranking import segment_scores
from xai.rise import RISE
from xai.sampling_error import SampledMap, covariance_of_mean
from xai.segments import Segments
from xai.sobol import SOBOL
from xai.stability import same_at_end
from xai.stopping import GrowingExplainer, Stopping, UntilStable

EXPLAINERS = [
    LIME(samples=200),
    LIME(samples=200, draws="balanced"),
    RISE(samples=200, centred=True, draws="complementary"),
    RISE(samples=500, cells=4, draws="balanced"),
    SOBOL(grid=3, designs=16),
]


def one_frame() -> tuple[Queries, dict[str, Any]]:
    detector, image = SmallNetwork(), photo(32)
    segments = Segments(count=8)(image)
    queries = Queries(detector, batch_size=64)
    fill = composite(image, Mean()(image, segments, detector.mean))
    return queries, {"score": Score(queries, 1), "image": image, "segments": segments, "fill": fill}


@pytest.mark.parametrize("explainer", EXPLAINERS, ids=str)
def test_grown_to_the_end_a_map_is_that_of_all_samples(explainer: GrowingExplainer) -> None:
    queries, frame = one_frame()
    at_once = explainer.sampled(**frame, generator=np.random.default_rng(1))  # type: ignore[attr-defined]
    asked = queries.images
    grown = list(explainer.growing(**frame, generator=np.random.default_rng(1), looks=(0.25, 0.5)))
    assert queries.images == 2 * asked
    assert [share for share, _ in grown][-1] == 1
    assert len(grown) == 3
    assert np.allclose(grown[-1][1].saliency, at_once.saliency, atol=1e-5)
    assert np.allclose(grown[-1][1].covariance, at_once.covariance, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("explainer", EXPLAINERS, ids=str)
def test_a_stopped_explanation_asks_for_no_more(explainer: GrowingExplainer) -> None:
    queries, frame = one_frame()
    share, made = next(explainer.growing(**frame, generator=np.random.default_rng(1), looks=(0.5,)))
    asked = queries.images
    easy = UntilStable(explainer, Stopping(probability=1e-9, looks=1))
    if made.covariance is not None:
        stopped = easy.sampled(**frame, generator=np.random.default_rng(1))
        assert queries.images == 2 * asked
        assert np.array_equal(stopped.saliency, made.saliency)
    assert 0.4 <= share <= 0.5


def test_nothing_is_stopped_where_the_error_is_not_known() -> None:
    image = torch.zeros(3, 2, 3)

    class Unknown:
        def growing(self, *_: Any) -> Any:
            yield 0.5, SampledMap(np.arange(6.0).reshape(2, 3), None)
            yield 1.0, SampledMap(np.ones((2, 3)), None)

    rule = Stopping(probability=0.5)
    labels = np.arange(6).reshape(2, 3)
    made = UntilStable(Unknown(), rule).sampled(None, image, labels, None, None)  # type: ignore[arg-type]
    assert made.saliency.max() == 1


@pytest.mark.parametrize("spacing", [0.0, 0.1, 0.3])
def test_at_most_one_in_twenty_stopped_runs_ends_elsewhere(spacing: float) -> None:
    """Runs of 12 means with noise that is as large as their spread or larger; each is compared with all its samples."""
    rule, runs, samples, stopped, wrong, taken = Stopping(probability=0.95), 200, 800, 0, 0, 0
    for seed in range(runs):
        draws = np.random.default_rng(seed)
        values = draws.standard_t(5, (samples, 12)) + spacing * draws.permutation(12) + draws.normal(size=(samples, 1))
        for end in ends(samples, rule.shares):
            seen = values[:end].mean(axis=0)
            made = SampledMap(np.empty(0), covariance_of_mean(values[:end]))
            if end < samples and rule.certain(seen, made, end / samples):
                final = values.mean(axis=0)
                stopped, taken = stopped + 1, taken + end
                wrong += set(np.argsort(-seen)[:3]) != set(np.argsort(-final)[:3])
                break
        else:
            taken += samples
    assert wrong <= 0.05 * max(stopped, 20) + 2 * np.sqrt(0.05 * 0.95 * max(stopped, 20))
    if spacing == 0.3:
        assert stopped > 0.9 * runs
        assert taken < 0.5 * runs * samples
    if spacing == 0:
        assert stopped < 0.3 * runs


def test_what_is_certain_and_what_is_not() -> None:
    importance, apart = np.array([3.0, 2.0, 1.0, 0.0, 0.1]), np.eye(5) * 1e-6
    assert same_at_end(importance, apart, 0.5, (1, 2, 3)) == 1
    assert same_at_end(importance, None, 0.5, (3,)) == 0
    assert same_at_end(np.ones(5), apart, 0.5, (3,)) == 0
    assert same_at_end(importance, np.zeros((5, 5)), 0.5, (3,)) == 1
    assert same_at_end(importance, np.eye(5) * 9, 1.0, (3,)) == 1
    loose = np.eye(5) * 0.2
    by_share = [same_at_end(importance, loose, share, (3,)) for share in (0.1, 0.5, 0.9)]
    assert by_share == sorted(by_share)
    assert same_at_end(importance, loose, 0.5, (1, 2, 3)) <= same_at_end(importance, loose, 0.5, (3,))


def test_a_frame_is_explained_until_stable_where_the_settings_say_so() -> None:
    detector, image = SmallNetwork(), photo(32)
    settings = build_settings("efficient", {"segments": {"count": 12}, "LIME": {"samples": 2000}})
    assert settings.stopping.probability == 0.95
    frame = FrameExplanations(detector, image, 1, settings)
    stopped = frame.explain("LIME")
    whole = FrameExplanations(detector, image, 1, replace(settings, stopping=Stopping())).explain("LIME")
    assert stopped.forwards < whole.forwards == 2000
    assert set(stopped.ranking[:3]) == set(whole.ranking[:3])
    assert segment_scores(stopped.saliency, stopped.segments) == pytest.approx(whole.importance, abs=0.1)


@pytest.mark.parametrize("values", [{"probability": 0.0}, {"probability": 1.1}, {"depths": ()}, {"looks": 0}])
def test_impossible_rules_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        Stopping(**values)
