"""What every metric must hold: the values it promises, from the case alone, and a reason where there is none."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from common.seeds import derive_seed
from detectors import Detector, Queries
from detectors.answers import ForwardError
from scoring.metrics import METRICS, About, Case, Metric, Undefined, Value, build_metric
from scoring.metrics.base import CANNOT_EXPLAIN, CATEGORIES, NEEDS, NO_MASK
from tests.contracts.cases import (
    SIZE,
    SmallDetector,
    WatchedScore,
    blocks,
    in_use,
    photo,
    refuse_new_generators,
    stir,
    without_a_trace,
)
from tests.xai.own import Occlusion
from xai.base import Score
from xai.fills import composite

OWN = "tests.scoring.metrics.own:Peak"
NAMES = [*METRICS, OWN]
SMALLER: dict[str, dict[str, object]] = {"aopc": {"regions": 6}, "infidelity": {"samples": 16}}
"""Settings of what would take long."""

TARGET = 3
ROUNDING = 1e-9


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Every metric's name."""
    return str(request.param)


@pytest.fixture(scope="module")
def metric(name: str) -> Metric:
    """Every metric in its smallest form."""
    return build_metric(name, "quick", SMALLER.get(name, {}))


class Draws:
    """A case's generators, made without numpy's `default_rng`; it keeps the purposes it was asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.purposes: list[str] = []

    def __call__(self, purpose: str) -> np.random.Generator:
        self.purposes.append(purpose)
        return np.random.Generator(np.random.PCG64(derive_seed(self.seed, purpose)))


class Explaining:
    """Explains by hiding one segment after another, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self._generator = np.random.default_rng(0)

    def __call__(self, image: Tensor, detector: Detector) -> np.ndarray:
        self.calls += 1
        score = Score(Queries(detector), TARGET)
        return Occlusion()(score, image, blocks(), composite(image, torch.zeros_like(image)), self._generator)


def square_mask() -> np.ndarray:
    """Manipulated pixels (SIZE, SIZE) bool: a rectangle."""
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[6:17, 9:25] = True
    return mask


def a_case(detector: SmallDetector | None = None, batch_size: int = 16) -> Case:
    """A picture explained by hiding segments, with a little noise so that pixels can be told apart."""
    image = photo()
    noise = np.random.default_rng(1).normal(scale=1e-3, size=(SIZE, SIZE))
    return Case(
        score=WatchedScore(Queries(detector or SmallDetector(), batch_size), TARGET),
        image=image,
        saliency=(Explaining()(image, SmallDetector()) + noise).astype(np.float32),
        segments=blocks(),
        mask=square_mask(),
        background=photo(5),
        explain=Explaining(),
        draws=Draws(),
    )


def one_pixel() -> np.ndarray:
    """A saliency (SIZE, SIZE) float32 of one pixel."""
    saliency = np.zeros((SIZE, SIZE), dtype=np.float32)
    saliency[20, 5] = 1.0
    return saliency


CHANGES: Mapping[str, Callable[[Case], Case]] = {
    "as it is": lambda case: case,
    "saliency 0": lambda case: dataclasses.replace(case, saliency=np.zeros_like(case.saliency)),
    "saliency constant": lambda case: dataclasses.replace(case, saliency=np.full_like(case.saliency, 0.3)),
    "saliency negative": lambda case: dataclasses.replace(case, saliency=-np.abs(case.saliency) - 1),
    "saliency large": lambda case: dataclasses.replace(case, saliency=1e30 * case.saliency),
    "saliency small": lambda case: dataclasses.replace(case, saliency=np.float32(1e-30) * case.saliency),
    "saliency float64": lambda case: dataclasses.replace(case, saliency=case.saliency.astype(np.float64)),
    "saliency one pixel": lambda case: dataclasses.replace(case, saliency=one_pixel()),
    "one segment": lambda case: dataclasses.replace(case, segments=np.zeros_like(case.segments)),
    "no mask": lambda case: dataclasses.replace(case, mask=None),
    "mask empty": lambda case: dataclasses.replace(case, mask=np.zeros((SIZE, SIZE), dtype=bool)),
    "mask full": lambda case: dataclasses.replace(case, mask=np.ones((SIZE, SIZE), dtype=bool)),
    "nothing to explain with": lambda case: dataclasses.replace(case, explain=None),
    "background as the image": lambda case: dataclasses.replace(case, background=case.image.clone()),
}
"""Cases that a run may come across."""


def test_what_it_says_of_itself_is_complete(name: str, metric: Metric) -> None:
    about = metric.about
    assert isinstance(about, About)
    assert about.summary.endswith(".")
    assert about.paper
    assert about.needs in NEEDS
    assert about.category in CATEGORIES
    names = [value.name for value in about.values]
    assert names
    assert len(set(names)) == len(names)
    for value in about.values:
        assert value.name
        assert value.lowest < value.highest
        assert value.better in ("higher", "lower", None)


@pytest.mark.parametrize("registered", METRICS)
def test_it_lies_in_the_folder_of_its_kind(registered: str) -> None:
    kind = METRICS[registered]
    assert kind.__module__.split(".")[-2] == kind.about.category


@pytest.mark.parametrize("registered", METRICS)
def test_its_only_value_has_its_name(registered: str) -> None:
    values = METRICS[registered].about.values
    assert len(values) > 1 or values[0].name == registered


def test_its_settings_cannot_be_changed_in_place(metric: Metric) -> None:
    assert dataclasses.is_dataclass(metric)
    assert type(metric).__dataclass_params__.frozen


@pytest.mark.parametrize("change", CHANGES)
def test_it_gives_every_value_in_its_range_or_a_reason(metric: Metric, change: str) -> None:
    values = metric(CHANGES[change](a_case()))
    assert set(values) == {value.name for value in metric.about.values}
    for value in metric.about.values:
        assert_usable(values[value.name], value)


def assert_usable(number: float, value: Value) -> None:
    """Fails unless a number lies in the value's range, or is undefined for a reason."""
    assert isinstance(number, float)
    if isinstance(number, Undefined):
        assert number.reason
        assert math.isnan(number)
    else:
        assert value.lowest - ROUNDING <= number <= value.highest + ROUNDING


def test_it_is_defined_of_a_usual_case(metric: Metric) -> None:
    values = metric(a_case())
    assert not [name for name, number in values.items() if isinstance(number, Undefined)]


def test_it_is_undefined_without_the_mask_it_needs_and_ignores_one_otherwise(metric: Metric) -> None:
    values = metric(CHANGES["no mask"](a_case()))
    if metric.about.needs == "mask":
        assert reasons(values) == dict.fromkeys(values, NO_MASK)
    else:
        assert values == metric(a_case())


def test_it_is_undefined_where_it_cannot_explain_again_and_does_not_ask_otherwise(metric: Metric) -> None:
    values = metric(CHANGES["nothing to explain with"](a_case()))
    if metric.about.needs == "explaining":
        assert reasons(values) == dict.fromkeys(values, CANNOT_EXPLAIN)
    else:
        assert values == metric(a_case())


def reasons(values: Mapping[str, float]) -> dict[str, str | None]:
    """Why each value is undefined; None of a number."""
    return {name: number.reason if isinstance(number, Undefined) else None for name, number in values.items()}


def test_it_asks_for_what_it_says_it_needs(metric: Metric) -> None:
    detector = SmallDetector()
    case = a_case(detector)
    metric(case)
    explaining = case.explain
    assert isinstance(explaining, Explaining)
    asked = "explaining" if explaining.calls else "model" if detector.images_seen else "saliency"
    assert asked == ("saliency" if metric.about.needs == "mask" else metric.about.needs)


def test_it_is_the_same_again_whatever_the_global_generators_say(metric: Metric) -> None:
    results = []
    for state in (0, 1):
        stir(state)
        results.append(metric(a_case()))
    assert results[0] == results[1]


def test_every_draw_is_the_cases(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    case, again, otherwise = a_case(), a_case(), dataclasses.replace(a_case(), draws=Draws(1))
    values = metric(case)
    assert isinstance(case.draws, Draws)
    draws_something = bool(case.draws.purposes)
    assert (metric(otherwise) != values) == draws_something
    refuse_new_generators(monkeypatch, of_torch=not draws_something)  # what draws may seed torch's by the case's
    assert metric(again) == values


def test_no_more_images_at_a_time_than_asked_for_and_it_does_not_matter_how_many(metric: Metric) -> None:
    case = dataclasses.replace(a_case(batch_size=3), explain=None)
    values, others = metric(case), metric(CHANGES["nothing to explain with"](a_case()))
    assert isinstance(case.score, WatchedScore)
    assert case.score.largest_batch <= 3
    assert values == pytest.approx(others, rel=1e-4, abs=1e-5, nan_ok=True)


def test_nothing_else_changes(metric: Metric) -> None:
    detector = in_use()
    case = a_case(detector)
    assert case.mask is not None
    with without_a_trace(detector, case.image, case.saliency, case.segments, case.mask, case.background):
        values = metric(case)
    assert values == pytest.approx(metric(a_case()), rel=1e-4, abs=1e-5)


def test_nothing_changes_where_the_detector_breaks_down(metric: Metric) -> None:
    detector = in_use(passes_left=1)
    case = a_case(detector, 4)
    with without_a_trace(detector, case.image, case.saliency), contextlib.suppress(ForwardError):
        metric(case)
