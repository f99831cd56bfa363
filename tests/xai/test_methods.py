"""Methods by name, presets, overrides, and what config.json says of them."""

import json

import pytest

import xai
from common.errors import InputError
from tests.xai.own import Occlusion
from xai.explanation_settings import PRESETS, build_settings, describe_settings, parse_override
from xai.methods import METHODS, Method, hides, load_explainer, parse_method, title

OWN = "tests.xai.own"


def test_all_names_the_eight_methods_in_their_order() -> None:
    assert xai.ALL == ("LIME", "LIME_adv", "SHAP", "SHAP_adv", "SOBOL", "SOBOL_adv", "RISE", "RISE_adv")
    assert tuple(METHODS) == xai.ALL
    assert all(METHODS[name].name == name for name in METHODS)


def test_adversarial_is_a_fill_of_the_same_explainer() -> None:
    fills = {"LIME": "segment_mean", "SHAP": "blur", "SOBOL": "mean", "RISE": "mean"}
    for name, fill in fills.items():
        assert parse_method(name) == Method(name, name, fill)
        assert parse_method(f"{name}_adv") == Method(f"{name}_adv", name, "adversarial")


def test_a_users_explainer_is_named_by_its_module() -> None:
    assert parse_method(f"{OWN}:Occlusion") == Method(f"{OWN}:Occlusion", f"{OWN}:Occlusion", "mean")
    assert parse_method(f"{OWN}:Occlusion_adv") == Method(f"{OWN}:Occlusion_adv", f"{OWN}:Occlusion", "adversarial")
    assert load_explainer(f"{OWN}:Occlusion") == Occlusion()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LIMES", "did you mean LIME"),
        ("Random_adv", "unknown method"),
        ("no.such.module:Thing", "cannot import"),
        (f"{OWN}:Missing", "has no 'Missing'"),
        (f"{OWN}:NeedsArguments", "cannot be made without arguments"),
        (f"{OWN}:NUMBER", "is not callable"),
    ],
)
def test_names_that_stand_for_nothing_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_method(name)


def test_families_of_explainers_are_named_by_their_library() -> None:
    assert parse_method("captum:Occlusion_adv") == Method("captum:Occlusion_adv", "captum:Occlusion", "adversarial")
    assert parse_method("cam:GradCAM") == Method("cam:GradCAM", "cam:GradCAM", "mean")
    assert hides("captum:Occlusion")
    assert hides(f"{OWN}:Occlusion_adv")
    assert not any(hides(name) for name in ("cam:GradCAM", "captum:Saliency", "saliency:maps"))
    assert title("captum:Occlusion_adv") == "captum:Occlusion_adv"
    assert title("saliency:some/where/maps") == "maps"


def test_published_settings_are_the_published_ones() -> None:
    described = describe_settings(build_settings("published"))
    assert described["segments"] == {"count": 50, "kind": "slic", "compactness": 10.0, "sigma": 0.0}
    assert described["LIME"] == {"samples": 2000, "kernel_width": 0.25, "alpha": 1.0, "draws": "plain"}
    assert described["SHAP"]["evaluations"] == 2000
    assert described["SOBOL"] == {"grid": 8, "designs": 32}
    assert described["RISE"] == {"samples": 4000, "cells": 7, "keep": 0.5, "centred": False, "draws": "plain"}
    assert described["stopping"]["probability"] == 1.0
    assert described["blur"] == {"kernel": 128}
    assert described["adversarial"] == {
        "epsilon": 16 / 255,
        "pairs": 40,
        "sigma": 0.001,
        "step": 1 / 255,
        "steps": 80,
        "derivatives": "exact",
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_descriptions_are_plain_data(preset: str) -> None:
    described = describe_settings(build_settings(preset))
    assert json.loads(json.dumps(described)) == described
    assert set(described) > {"segments", "LIME", "SHAP", "SOBOL", "RISE", "adversarial"}


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    texts = ["LIME.samples=500", "segments.count = 40", "blur.kernel=31", "adversarial.epsilon=8/255"]
    overrides: dict[str, dict[str, str]] = {}
    for component, field, value in map(parse_override, texts):
        overrides.setdefault(component, {})[field] = value
    changed, published = (
        describe_settings(build_settings("published", overrides)),
        describe_settings(build_settings("published")),
    )
    assert changed["LIME"].pop("samples") == 500
    assert changed["segments"].pop("count") == 40
    assert changed["blur"].pop("kernel") == 31
    assert changed["adversarial"].pop("epsilon") == 8 / 255
    for component, field in (part.split("=")[0].strip().split(".") for part in texts):
        published[component].pop(field)
    assert changed == published


def test_a_users_explainer_has_settings_too() -> None:
    name = f"{OWN}:Occlusion"
    component, field, value = parse_override(f"{name}.scale=2.5")
    settings = build_settings("quick", {component: {field: value}}, [parse_method(f"{name}_adv")])
    assert settings.explainers[name] == Occlusion(scale=2.5)
    assert describe_settings(settings)[name] == {"scale": 2.5}
    assert (
        describe_settings(build_settings("quick", methods=[parse_method(f"{OWN}:darkness")]))[f"{OWN}:darkness"] == {}
    )


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("fast", {}, "unknown preset 'fast'; known: published, efficient, quick"),
        ("quick", {"lime": {"samples": 1}}, "no settings are named 'lime'; known: segments, LIME"),
        ("quick", {"LIME": {"sample": 1}}, "LIME has no setting 'sample'"),
        ("quick", {"LIME": {"samples": "many"}}, "LIME.samples='many' is not of type int"),
        ("quick", {"SOBOL": {"designs": "33"}}, "SOBOL: designs must be a power of two"),
        ("quick", {"adversarial": {"steps": "0"}}, "adversarial: steps must be above 0"),
    ],
)
def test_bad_settings_are_refused(preset: str, overrides: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_settings(preset, overrides)


def test_a_function_has_no_settings() -> None:
    name = f"{OWN}:darkness"
    with pytest.raises(InputError, match="has no settings"):
        build_settings("quick", {name: {"scale": "1"}}, [parse_method(name)])


@pytest.mark.parametrize("text", ["LIME.samples", "samples=3", ".samples=3", "LIME.=3", "LIME.samples=", "=", ""])
def test_overrides_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"write it as COMPONENT\.FIELD=VALUE"):
        parse_override(text)
