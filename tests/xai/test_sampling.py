"""What an explainer says of its draws, by whichever of the ways that there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import xai
from common.errors import InputError
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Fill, Score
from xai.explanation import Explanation, FrameExplanations
from xai.methods import Method
from xai.sampling_error import SampledMap

BLOCKS = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8), dtype=int))


def noisy(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """Segments by their labels, with noise of standard deviation 2 for each."""
    count = int(segments.max()) + 1
    return (np.arange(count) + generator.normal(0, 2, count)).astype(np.float32)[segments]


@dataclass(frozen=True)
class Repeated:
    """The same, run several times."""

    repeats: Any = 8

    def __call__(self, *given: Any) -> np.ndarray:
        return noisy(*given)


class Exact:
    """Segments by their labels."""

    deterministic = True

    def __call__(self, score: Score, image: Tensor, segments: np.ndarray, *others: Any) -> np.ndarray:
        return segments.astype(np.float32)


@dataclass(frozen=True)
class Says:
    """Says whatever it is told."""

    said: Any

    def __call__(self, *given: Any) -> np.ndarray:
        raise NotImplementedError

    def sampled(self, score: Score, image: Tensor, segments: np.ndarray, *others: Any) -> Any:
        return self.said if self.said is None else SampledMap(segments.astype(np.float32), self.said)


def explained(explainer: Any, seed: int = 0) -> Explanation:
    """The explanation of a picture by an explainer."""
    settings = xai.ExplanationSettings(
        xai.PRESETS["quick"].segments, {"own": explainer}, xai.PRESETS["quick"].adversarial
    )
    frame = FrameExplanations(SmallNetwork(), photo(32), 1, settings, seed)
    frame.segments = BLOCKS
    return frame.explain(Method("own", "own", "mean"))


def test_a_plain_function_is_explained_as_ever_and_nothing_is_called_certain() -> None:
    found = explained(noisy)
    assert np.isnan(found.standard_error).all()
    assert found.standard_error.shape == (16,)
    assert found.stability.tolist() == [0.0, 0.0, 0.0]
    assert found.covariance is None


def test_one_that_asks_to_be_repeated_gives_the_mean_and_the_error_of_the_mean() -> None:
    runs = [explained(Repeated(), seed) for seed in range(40)]
    spread = np.stack([run.importance for run in runs]).std(axis=0, ddof=1).mean()
    stated = np.sqrt(np.mean([run.standard_error**2 for run in runs]))
    assert spread == pytest.approx(2 / np.sqrt(8), rel=0.1)
    assert stated == pytest.approx(2 / np.sqrt(8), rel=0.1)
    assert 0 < runs[0].stability[2] < 0.9


def test_one_that_draws_nothing_says_so() -> None:
    found = explained(Exact())
    assert not found.standard_error.any()
    assert found.stability.tolist() == [1.0, 1.0, 1.0]


def test_repeats_by_a_seed_of_its_own_say_nothing_of_the_error() -> None:
    class Seeded(Repeated):
        def __call__(self, *given: Any) -> np.ndarray:
            return noisy(*given[:-1], np.random.default_rng(0))

    found = explained(Seeded(4))
    assert found.covariance is None
    assert np.isnan(found.standard_error).all()
    assert not any(found.stability)
    assert explained(Repeated(4)).covariance is not None


@pytest.mark.parametrize("repeats", [1, 0, -3, 2.5, True, "8"])
def test_repeats_that_cannot_be_are_refused(repeats: Any) -> None:
    with pytest.raises(InputError, match="repeats must be a whole number of at least 2"):
        explained(Repeated(repeats))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (np.zeros((3, 3)), r"covariance of \(3, 3\), expected \(16, 16\)"),
        (np.full((16, 16), np.nan), "not finite"),
        (-np.eye(16), "below 0"),
        (np.triu(np.ones((16, 16))), "is not symmetric"),
        (np.ones((16, 16)) + np.eye(16)[::-1], "has correlations beyond 1"),
        (np.eye(16).astype(str), "covariance of <U32 instead of real numbers"),
        (np.eye(16).astype(object), "covariance of object instead of real numbers"),
        (np.eye(16) * 1j, "covariance of complex128 instead of real numbers"),
        (np.full((16, 16), np.inf), "not finite"),
        (np.zeros(16), r"covariance of \(16,\), expected \(16, 16\)"),
        ("much", "covariance of str"),
        (None, "returned NoneType instead of a SampledMap"),
    ],
)
def test_an_error_that_is_none_is_refused(said: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explained(Says(said))


def test_a_covariance_in_float32_is_one() -> None:
    drawn = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    assert explained(Says(np.cov(drawn.T).astype(np.float32))).standard_error.all()


def test_equal_importance_is_never_certain() -> None:
    class Flat(Exact):
        def __call__(self, score: Score, image: Tensor, segments: np.ndarray, *others: Any) -> np.ndarray:
            return np.ones(segments.shape, dtype=np.float32)

    assert explained(Flat()).stability.tolist() == [0.0, 0.0, 0.0]


def test_captums_drawn_attributions_state_an_error_and_others_none() -> None:
    small = {"captum:KernelShap": {"n_samples": 80}, "captum:Lime": {"n_samples": 80}}
    small |= {"captum:ShapleyValueSampling": {"n_samples": 3}, "captum:GradientShap": {"n_samples": 12}}
    for name in (*small, "captum:IntegratedGradients"):
        settings = xai.build_settings("quick", {n: v for n, v in small.items() if n == name}, [xai.parse_method(name)])
        frame = FrameExplanations(SmallNetwork(), photo(32), 1, settings)
        frame.segments = BLOCKS
        found = frame.explain(name)
        assert np.isfinite(found.standard_error).all(), name
        assert found.standard_error.any() == (name in small), name
