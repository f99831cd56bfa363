"""Metrics by name: presets, overrides, users' own, and what each says of itself."""

import dataclasses
import math
import re
from pathlib import Path

import pytest

from common.errors import InputError
from scoring.metrics import METRICS, PRESETS, build_metric, build_metrics, describe_metric
from scoring.metrics.base import NEEDS
from scoring.metrics.faithfulness.deletion_insertion import Deletion
from scoring.metrics.faithfulness.road import ROAD
from tests.scoring.metrics.own import Peak

NAMES = [
    "deletion",
    "insertion",
    "pixel-flipping",
    "aopc",
    "irof",
    "road",
    "comprehensiveness",
    "sufficiency",
    "infidelity",
    "max-sensitivity",
    "sensitivity-n",
    "pointing-game",
    "relevance-mass",
    "relevance-rank",
    "iou",
    "parameter-randomisation",
    "sparseness",
    "complexity",
    "stability-jpeg",
    "stability-resize",
]
DOCS = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_all_are_there_in_order() -> None:
    assert list(METRICS) == NAMES
    assert list(build_metrics(["All"])) == NAMES
    assert list(build_metrics(["irof", "All"])) == ["irof", *(name for name in NAMES if name != "irof")]
    assert list(build_metrics(["iou", "deletion", "iou"])) == ["iou", "deletion"]


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is(name: str) -> None:
    metric = build_metric(name)
    about = metric.about
    assert about.summary.endswith(".")
    assert about.needs in NEEDS
    assert re.search(r"(19|20)\d\d", about.paper)
    assert dataclasses.is_dataclass(metric)
    assert len({value.name for value in about.values}) == len(about.values) > 0
    if len(about.values) == 1:
        assert about.values[0].name == name
    for value in about.values:
        assert value.lowest < value.highest
        assert value.better in ("higher", "lower")
        assert not math.isinf(value.lowest) or value.lowest < 0


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_place_in_the_docs(name: str) -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(f"| `{name}` |") and line.count(" | ") == 5]
    assert len(rows) == 1
    assert rows[0].split(" | ")[1] == METRICS[name].about.category
    for value in METRICS[name].about.values:
        assert value.name == name or f"`{value.name}`" in rows[0]


def test_presets_and_overrides() -> None:
    assert set(PRESETS) == {"published", "efficient", "quick"}
    assert build_metric("deletion") == Deletion(steps=224)
    assert build_metric("deletion", "quick") == Deletion(steps=32)
    assert build_metric("deletion", "quick", {"steps": "7"}) == Deletion(steps=7)
    assert build_metric("road", overrides={"shares": "0.1, 1/4", "noise": "0"}) == ROAD(shares=(0.1, 0.25), noise=0.0)
    assert build_metrics(["road"], "quick", {"road": {"noise": "0.5"}})["road"] == ROAD((0.1, 0.3, 0.5), 0.5)
    for name, settings in PRESETS["quick"].items():
        fields = {field.name for field in dataclasses.fields(METRICS[name])}  # type: ignore[arg-type]
        assert set(settings) <= fields


def test_a_description_makes_the_metric_again() -> None:
    for name in NAMES:
        metric = build_metric(name, "quick")
        described = describe_metric(metric)
        assert described.pop("metric") == name
        assert build_metric(name, overrides=described) == metric
    assert describe_metric(build_metric("tests.scoring.metrics.own:Peak", overrides={"factor": "2"})) == {
        "metric": "tests.scoring.metrics.own:Peak",
        "factor": 2.0,
    }


def test_a_users_own() -> None:
    assert build_metric("tests.scoring.metrics.own:Peak", "quick", {"factor": "1/2"}) == Peak(0.5)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("deletoin", {}, "unknown metric 'deletoin' \\(did you mean deletion\\?\\)"),
        ("deletion", {"step": "3"}, "deletion has no setting 'step'; it has: steps"),
        ("deletion", {"steps": "0"}, "deletion: steps must be at least 1, got 0"),
        ("insertion", {"kernel": "10"}, "kernel must be odd"),
        ("insertion", {"sigma": "-1"}, "sigma must be at least 0"),
        ("pixel-flipping", {"steps": "0"}, "steps must be at least 1"),
        ("aopc", {"replace": "black"}, "replace must be uniform or background, got 'black'"),
        ("aopc", {"patch": "0"}, "regions and patch must be at least 1"),
        ("road", {"shares": "0.5,1"}, "shares must lie between 0 and 1"),
        ("comprehensiveness", {"shares": "0.5,1.5"}, "shares must lie in"),
        ("sufficiency", {"shares": "0"}, "shares must lie in"),
        ("infidelity", {"perturbation": "blur"}, "perturbation must be square or noise"),
        ("infidelity", {"smallest": "0.6"}, "0 < smallest <= largest <= 1"),
        ("infidelity", {"sigma": "0"}, "sigma must be above 0"),
        ("sensitivity-n", {"subsets": "2"}, "at least 3 subsets"),
        ("sensitivity-n", {"over": "patches"}, "over must be segments or pixels"),
        ("sensitivity-n", {"most": "1"}, "0 < fewest <= most < 1"),
        ("max-sensitivity", {"samples": "0"}, "samples must be at least 1"),
        ("max-sensitivity", {"radius": "0"}, "radius must be above 0"),
        ("pointing-game", {"tolerance": "-1"}, "tolerance must be at least 0"),
        ("parameter-randomisation", {"stages": "0"}, "stages must be at least 1"),
        ("stability-jpeg", {"qualities": "50,96"}, "qualities must be 1 to 95"),
        ("stability-resize", {"scales": "1"}, "scales must lie between 0 and 1"),
        ("irof", {"segments": "5"}, "irof has no setting 'segments'; it has: none"),
        ("tests.scoring.metrics.own:Shy", {}, "does not say what it is: give it `about`"),
        ("tests.scoring.metrics.own:Unset", {}, "every setting needs a default; missing for wanted"),
        ("tests.scoring.metrics.own:Bigger", {}, "better is 'bigger'; expected .* one of 'higher', 'lower', None"),
        ("tests.scoring.metrics.own:Descends", {}, "'peak' lies from 1.0 to 0.0, .*; expected a range that ascends"),
        ("tests.scoring.metrics.own:Boundless", {}, "'peak' lies from None to None, .*; expected a range that ascends"),
        ("tests.scoring.metrics.own:function", {}, "is not a dataclass that can be called"),
        ("tests.scoring.metrics.own:Nobody", {}, "has no 'Nobody'"),
    ],
)
def test_what_cannot_be_says_so(name: str, overrides: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_metric(name, overrides=overrides)


def test_unknown_presets_and_settings_of_others() -> None:
    with pytest.raises(InputError, match="unknown preset 'slow'; known: published, efficient, quick"):
        build_metric("deletion", "slow")
    with pytest.raises(InputError, match="settings are given for the metric 'irof', which is not asked for"):
        build_metrics(["deletion"], overrides={"irof": {"x": 1}})


@pytest.mark.parametrize("name", NAMES)
def test_the_category_is_the_folder(name: str) -> None:
    kind = METRICS[name]
    assert kind.about.category == kind.__module__.split(".")[2]
