"""Rows say how far a map is from adding up, and leave that empty where its method promises nothing."""

from dataclasses import replace

import pandas as pd
import pytest

from scoring.records import UNKNOWN, tidy
from tests.scoring.test_frame import frame, scorer, settings
from xai.explanation_settings import build_settings
from xai.methods import parse_method


def test_rows_say_how_far_a_map_is_from_adding_up() -> None:
    methods = (parse_method("captum:IntegratedGradients"), parse_method("LIME"))
    built = build_settings("quick", methods=methods)
    explained = scorer(
        methods=methods, settings=replace(settings(), explainers={**built.explainers, **settings().explainers})
    )
    scored = explained(frame())
    assert scored.views is not None
    stated = scored.views.explained.explanations["captum:IntegratedGradients"].completeness
    assert stated is not None
    errors = {row.method: row.completeness_error for row in scored.rows}
    assert errors["captum:IntegratedGradients"] == pytest.approx(stated.error)
    assert 0 <= stated.error <= 0.01
    assert errors["LIME"] == errors["random"] == UNKNOWN
    table = tidy(pd.DataFrame([vars(row) for row in scored.rows]))
    assert table["completeness_error"].isna().tolist() == [row.completeness_error == UNKNOWN for row in scored.rows]
