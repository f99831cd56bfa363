"""The switches for the published evaluation's differences, each on detectors where its effect is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attacks import NES
from attacks.published_nes import PublishedNES
from common.errors import InputError
from data.frames import Frame
from detectors import Queries
from runs.as_published import DIFFERENCES, KEEP, AsPublished, parse_differences
from runs.chosen_parts import chosen_methods
from runs.configuration import bind
from runs.run_options import EvaluationOptions
from scoring.frame import Scorer
from scoring.protocol import Protocol
from scoring.records import Row
from tests.runs.test_configuration import CONFIGURATION
from tests.scoring.stand_ins import Eraser, PlantedDetector, picture
from tests.scoring.test_frame import TINY
from tests.toys import LinearDetector
from xai.base import Score
from xai.explanation_settings import build_settings
from xai.methods import ALL
from xai.published_segments import NormalisedSegments, Quickshift
from xai.rise import RISE, draw_grids

SHAPLESS = [name for name in ALL if not name.startswith("SHAP")]
SETTINGS = build_settings("quick", TINY)


class Planted(PlantedDetector):
    std = (0.2, 0.3, 0.4)


def switches(*names: str, methods: list[str] | None = None, attacks: tuple[str, ...] = ("nes",)) -> AsPublished:
    return parse_differences(names, chosen_methods(methods or ["All"]), attacks)


def rows_of(published: AsPublished, names: list[str], **changes: object) -> list[Row]:
    detector, methods = Planted(), chosen_methods(names)
    scorer = Scorer(
        detector,
        published.methods(methods, SETTINGS, detector),
        published.settings(SETTINGS, detector),
        {"eraser": Eraser()},
        Protocol(baselines=(), depths=("1", "2", "3"), flip_thresholds=("none",)),
        seed=1,
    )
    frame = Frame("v/1.png", picture("v/1.png", "Deepfakes"), 3, "Deepfakes", "v")
    return replace(scorer, **changes)(frame).rows  # type: ignore[arg-type]


def numbers(rows: list[Row], method: str) -> list[tuple[str, float, float, str]]:
    return [(row.depth, row.area, row.drop, row.fill) for row in rows if row.method == method]


def test_no_switch_changes_nothing() -> None:
    methods, detector, none = chosen_methods(["All"]), Planted(), switches()
    assert none.methods(methods, SETTINGS, detector) == methods
    assert none.settings(SETTINGS, detector) == SETTINGS
    assert none.attacks({"nes": NES()}, detector) == {"nes": NES()}


def test_each_rows_of_sobol_and_rise_shows_the_others_numbers() -> None:
    names = ["SOBOL", "SOBOL_adv", "RISE", "RISE_adv"]
    here, there = rows_of(switches(), names), rows_of(switches("swapped-rows"), names)
    assert numbers(here, "SOBOL") != numbers(here, "RISE")
    for row, other in (("SOBOL", "RISE"), ("RISE", "SOBOL"), ("SOBOL_adv", "RISE_adv"), ("RISE_adv", "SOBOL_adv")):
        assert numbers(there, row) == numbers(here, other)
    assert [row.method for row in there] == [row.method for row in here]  # the rows' order is the same


def test_the_row_lime_is_lime_adv_on_quickshift() -> None:
    lime, adv = switches("lime-row").methods(chosen_methods(["LIME", "LIME_adv"]), SETTINGS, Planted())
    assert (lime.name, lime.explainer, lime.fill, lime.segments) == ("LIME", "LIME", "adversarial", Quickshift())
    assert adv == chosen_methods(["LIME_adv"])[0]
    rows = rows_of(switches("lime-row"), ["LIME"])
    assert {row.fill for row in rows} == {"adversarial"}
    image = Planted().prepare(picture("v/1.png", "Deepfakes"))
    areas = np.bincount(Quickshift()(image).ravel()) / image[0].numel()
    assert np.isclose(areas, rows[0].area).any()
    assert [row.k for row in rows] == [min(depth, len(areas)) for depth in (1, 2, 3)]


def test_softmax_twice_is_the_softmax_of_the_probabilities() -> None:
    """Two classes at 0 and z: once p = 1 / (1 + e^-z), twice 1 / (1 + e^(1 - 2 p)), in [0.27, 0.73]."""
    detector = LinearDetector(torch.ones(3, 2, 2), bias=-6.0)
    images = torch.linspace(0, 1, 5).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    z = 12 * torch.linspace(0, 1, 5) - 6
    once = 1 / (1 + torch.exp(-z))
    assert torch.allclose(Score(Queries(detector, 8), 1)(images), once, atol=1e-6)
    assert torch.allclose(Score(Queries(detector, 8), 1, softmaxes=2)(images), 1 / (1 + torch.exp(1 - 2 * once)))
    changed = switches("two-softmaxes").methods(chosen_methods(["All"]), SETTINGS, Planted())
    assert {method.name: method.softmaxes for method in changed} == {
        name: 2 if name.startswith(("LIME", "RISE")) else 1 for name in ALL
    }


def test_two_softmaxes_shrink_limes_weights() -> None:
    """Where p is 1 with a segment and 0 without, the twice-taken softmax moves by 0.73 - 0.27 = 0.46."""
    published = switches("two-softmaxes", methods=["LIME"])
    methods = published.methods(chosen_methods(["LIME"]), SETTINGS, Planted())
    scale = []
    for method in (*chosen_methods(["LIME"]), *methods):
        detector = LinearDetector(200 * corner(), bias=-100.0)
        frames = explanations(detector)
        scale.append(float(np.ptp(frames.explain(method).saliency)))
    assert scale[1] / scale[0] == pytest.approx(0.4621, abs=0.01)


def corner() -> torch.Tensor:
    """A weight that sees one corner of an image of 0.5 as far above the threshold, and black far below."""
    weight = torch.zeros(3, 48, 48)
    weight[:, :16, :16] = 4 / (3 * 256)
    return weight


def explanations(detector: LinearDetector):  # type: ignore[no-untyped-def]
    from xai.explanation import FrameExplanations

    settings = build_settings("quick", {**TINY_SETTINGS, "segment_mean": {}})
    settings = replace(settings, fills={**settings.fills, "segment_mean": settings.fills["zero"]})
    return FrameExplanations(detector, torch.full((3, 48, 48), 0.5), 1, settings, 0, "a")


TINY_SETTINGS = {"segments": {"count": 9, "kind": "grid"}, "LIME": {"samples": 100}}


def test_rise_keeps_a_cell_as_often_as_a_normal_draw_is_below_a_tenth() -> None:
    settings = switches("rise-keep").settings(SETTINGS, Planted())
    rise = settings.explainers["RISE"]
    assert isinstance(rise, RISE)
    assert rise.keep == pytest.approx(0.539828, abs=1e-6)
    kept = draw_grids(10_000, 7, rise.keep, np.random.default_rng(0)).mean()
    assert float(kept) == pytest.approx(0.54, abs=0.005)
    assert float((np.random.default_rng(1).standard_normal(490_000) < 0.1).mean()) == pytest.approx(KEEP, abs=0.005)


def test_lime_leaves_out_a_frame_with_fewer_than_three_positive_segments() -> None:
    """One segment alone decides here, so at most it and what chance makes positive speak for the class."""
    everything = ["LIME", "LIME_adv", "RISE"]
    published = switches("dropped-frames", methods=everything)
    assert {row.method for row in rows_of(published, everything)} <= set(everything)
    positive = {
        method.name: positives(method.name)
        for method in published.methods(chosen_methods(everything), SETTINGS, Planted())
    }
    kept = {row.method for row in rows_of(published, everything)}
    assert kept == {name for name in everything if name == "RISE" or positive[name] >= 3}
    strict = [replace(method, fewest_positive=10) for method in chosen_methods(["LIME"])]  # of nine segments
    assert rows_of(published, ["LIME"], methods=tuple(strict)) == []


def positives(name: str) -> int:
    from xai.explanation import FrameExplanations

    detector = Planted()
    image = detector.prepare(picture("v/1.png", "Deepfakes"))
    explanation = FrameExplanations(detector, image, 3, SETTINGS, 1, "v/1.png").explain(name)
    labels = explanation.segments.ravel()
    means = [explanation.saliency.ravel()[labels == label].mean() for label in range(labels.max() + 1)]
    return sum(mean > 0 for mean in means)


def test_each_method_but_lime_is_ranked_over_segments_of_the_normalised_image() -> None:
    changed = switches("own-segments").methods(chosen_methods(["All"]), SETTINGS, Planted())
    own = NormalisedSegments(SETTINGS.segments, Planted.mean, (0.2, 0.3, 0.4))
    assert {method.name: method.segments for method in changed} == {
        name: None if name.startswith("LIME") else own for name in ALL
    }
    image = Planted().prepare(picture("v/1.png", "Deepfakes"))
    areas = np.bincount(own(image).ravel()) / image[0].numel()
    rows = rows_of(switches("own-segments", methods=["RISE"]), ["RISE"])
    assert np.isclose(areas, rows[0].area).any()


def test_the_attacks_switches_are_settings_of_one_attack() -> None:
    detector = Planted()
    for name, changed in {
        "unbounded-sum": {"scale": (0.2, 0.3, 0.4), "bounded": False},
        "no-clamp": {"clamped": False},
        "nes-on-p": {"climbs_log": False},
        "test-before": {"keeps_best": False},
    }.items():
        attacks = switches(name).attacks({"nes": NES(steps=7)}, detector)
        assert attacks == {"nes": PublishedNES(steps=7, **changed)}  # type: ignore[arg-type]
        adversarial = switches(name).settings(SETTINGS, detector).adversarial
        assert adversarial == PublishedNES(
            **{field: getattr(SETTINGS.adversarial, field) for field in NES.__dataclass_fields__},
            **changed,  # type: ignore[arg-type]
        )


def test_all_is_every_switch_that_the_run_has() -> None:
    assert switches("All").names == tuple(DIFFERENCES)
    assert switches("All", "lime-row").names == tuple(DIFFERENCES)
    assert switches("All", methods=["RISE"], attacks=("pgd",)).names == ("two-softmaxes", "rise-keep", "own-segments")


@pytest.mark.parametrize(
    ("name", "methods", "attacks", "says"),
    [
        ("lime", ["All"], ("nes",), "--as-published lime: there is no such difference; known: All, lime-row,"),
        ("lime-row", ["RISE"], ("nes",), "the run has no method LIME"),
        ("rise-keep", ["LIME", "SOBOL"], ("nes",), "the run has no method of RISE"),
        ("swapped-rows", ["SOBOL", "RISE", "RISE_adv"], ("nes",), "the run has RISE_adv without SOBOL_adv"),
        ("swapped-rows", ["LIME"], ("nes",), "the run has neither"),
        ("no-clamp", ["All"], ("nes", "pgd"), "another attack than nes alone"),
        ("All", ["captum:Saliency"], ("pgd",), "no method or attack"),
    ],
)
def test_a_switch_that_the_run_does_not_have_is_refused(
    name: str, methods: list[str], attacks: tuple[str, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        switches(name, methods=methods, attacks=attacks)


def test_a_detector_that_does_not_say_its_deviation_is_refused() -> None:
    with pytest.raises(InputError, match="give it the attribute std"):
        switches("unbounded-sum").attacks({"nes": NES()}, PlantedDetector())
    assert switches("no-clamp").attacks({"nes": NES()}, PlantedDetector()) == {"nes": PublishedNES(clamped=False)}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (EvaluationOptions(metrics=("deletion",)), "--metric does not go with"),
        (EvaluationOptions(budgets=("8/255",)), "--budget does not go with"),
        (EvaluationOptions(segments=("30",)), "--segments does not go with"),
        (EvaluationOptions(overrides=(" RISE.keep=0.3",)), "--set RISE.keep does not go with"),
        (EvaluationOptions(overrides=("nes.epsilon=8/255",)), "--set nes.epsilon does not go with"),
        (EvaluationOptions(overrides=("adversarial.epsilon=8/255",)), "--set adversarial.epsilon does not go with"),
        (EvaluationOptions(overrides=("protocol.flip_thresholds=budget",)), "finds no flip thresholds"),
    ],
)
def test_options_that_would_not_be_what_they_say_are_refused(options: EvaluationOptions, says: str) -> None:
    with pytest.raises(InputError, match=says):
        switches("All").protocol(options, Protocol())


def test_the_row_of_quickshift_is_not_swept_over_other_segments() -> None:
    with pytest.raises(InputError, match="--segments does not go with --as-published lime-row"):
        switches("lime-row").protocol(EvaluationOptions(segments=("30",)), Protocol())


def test_draws_that_need_another_keep_are_refused() -> None:
    with pytest.raises(InputError, match=r"rise-keep: RISE's draws are balanced; --set RISE.draws=plain"):
        switches("rise-keep").settings(build_settings("efficient"), Planted())


def test_a_replicated_run_is_not_continued_without_its_switches(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "config.json"
    marked = replace(CONFIGURATION, as_published=("lime-row",))
    bind(path, marked)
    assert '"as_published": [\n    "lime-row"\n  ]' in path.read_text()
    bind(path, marked)
    with pytest.raises(InputError, match=r'as_published was \["lime-row"\] and is now not set'):
        bind(path, CONFIGURATION)
    bind(tmp_path / "plain.json", CONFIGURATION)
    assert "as_published" not in (tmp_path / "plain.json").read_text()  # earlier runs are continued
    with pytest.raises(InputError, match="as_published was not set and is now"):
        bind(tmp_path / "plain.json", marked)
