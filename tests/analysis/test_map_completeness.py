"""How far maps are from adding up, counted by hand; in words, and where nothing is known."""

from dataclasses import replace

import pytest

from analysis.map_completeness import map_completeness
from analysis.summary import summarise_methods
from reporting import words
from reporting.conclusions import counts
from scoring.records import Row
from tests.analysis.made_up import make, table

ERRORS = {"captum:DeepLift": (1.8, 0.01, 0.3, 0.2, 0.01, 0.02), "SHAP": (0.001,) * 6}


def rows() -> list[Row]:
    """Six videos of one frame: DeepLift breaks its promise on three, SHAP keeps it, LIME makes none."""
    made = make(lambda method, video, k: False, ("captum:DeepLift", "SHAP", "LIME", "random", "bottom-k"), frames=1)
    return [
        replace(row, completeness_error=ERRORS[row.method][int(row.video[-3:])])
        if row.method in ERRORS
        else replace(row, completeness_error=0.9 if row.method == "bottom-k" else -1.0)
        for row in made
    ]


def test_errors_are_counted_by_frame() -> None:
    found = {line.method: line for line in map_completeness(table(rows()))}
    assert list(found) == ["captum:DeepLift", "SHAP"]
    deep = found["captum:DeepLift"]
    assert (deep.frames, deep.broken, deep.worst) == (6, 3, 1.8)
    assert deep.median == pytest.approx(0.11)
    assert (found["SHAP"].broken, found["SHAP"].worst) == (0, 0.001)


def test_a_frame_called_real_has_no_map() -> None:
    made = [replace(row, predicted="Real") if row.video.endswith("000") else row for row in rows()]
    (deep, _) = map_completeness(table(made))
    assert (deep.frames, deep.broken) == (5, 2)


def test_of_several_trials_the_worst_counts() -> None:
    made = rows()
    again = [replace(row, seed=1, completeness_error=0.07) for row in made if row.method == "captum:DeepLift"]
    (deep, _) = map_completeness(table([*made, *again]))
    assert (deep.frames, deep.broken) == (6, 6)


def test_it_is_said() -> None:
    said = words.map_sums(table(rows()))
    assert said.endswith("captum:DeepLift 11 %, beyond 5 % on 3 of 6 frames; SHAP 0.1 %.")
    assert "a map beyond that is not what its method promises" in said
    lines = counts(table(rows()), summarise_methods(table(rows())), {})
    assert said in lines
    sound = [replace(row, completeness_error=min(row.completeness_error, 0.02)) for row in rows()]
    assert "beyond" not in words.map_sums(table(sound))


def test_where_nothing_is_known_nothing_is_said() -> None:
    unknown = table([replace(row, completeness_error=-1.0) for row in rows()])
    assert words.map_sums(unknown) == ""
    assert words.map_sums(unknown.drop(columns="completeness_error")) == ""
