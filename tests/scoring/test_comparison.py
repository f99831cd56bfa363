"""Several detectors in one run: names, agreement of rankings, and what points at the manipulation."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import kendalltau

from common.errors import InputError
from scoring.comparison import agreements, aims, overview, sentences, short_names
from scoring.products import Results
from scoring.rows import Row
from scoring.sheet import of_table
from scoring.summary import summarise
from tests.scoring.made_up import make, table

METHODS = ("LIME", "SHAP", "RISE", "SOBOL", "random")
RATES = {"LIME": 12, "SHAP": 9, "RISE": 6, "SOBOL": 3, "random": 1}


def results(made: list[Row]) -> Results:
    rows = table(made)
    none = of_table(rows.iloc[:0])
    return Results(of_table(rows), none, none, summarise(rows), [], {}, ())


def graded(rates: dict[str, int], shares: dict[str, float], **changes: object) -> Results:
    """Methods that flip in their number of twelve videos, and whose regions lie inside the mask by their share."""
    made = make(lambda method, video, k: video < rates[method], METHODS, videos=12)
    return results([replace(row, inside=shares[row.method], **changes) for row in made])  # type: ignore[arg-type]


EVEN = dict.fromkeys(METHODS, 0.5)


def test_names_tell_detectors_apart() -> None:
    assert short_names(["results/a/model.safetensors", "results/b/model.safetensors"]) == ["a", "b"]
    assert short_names(["demo", "x/caddm.pkl"]) == ["demo", "caddm"]
    assert short_names(["x/net.pt", "y/net.pt"]) == ["x-net", "y-net"]
    assert short_names(["mine:A", "mine:B"]) == ["mine-A", "mine-B"]
    assert len(set(short_names(["p/x/model.pt", "q/x/model.pt"]))) == 2
    with pytest.raises(InputError, match="given twice"):
        short_names(["demo", "demo"])


def test_agreement_is_kendalls_tau_of_the_rankings() -> None:
    swapped = {**RATES, "LIME": 9, "SHAP": 12}
    reverse = {"LIME": 3, "SHAP": 6, "RISE": 9, "SOBOL": 12, "random": 1}
    found = agreements({"a": graded(RATES, EVEN), "b": graded(swapped, EVEN), "c": graded(reverse, EVEN)})
    tau = {(each.first, each.second): each.tau for each in found if each.measure == "flip_rate"}
    assert tau[("a", "b")] == pytest.approx(4 / 6)  # one of six pairs is the other way round
    assert tau[("a", "c")] == pytest.approx(-1)
    assert tau[("b", "c")] == pytest.approx(kendalltau([9, 12, 6, 3], [3, 6, 9, 12]).statistic)
    assert {each.methods for each in found} == {4}
    flat = dict.fromkeys(METHODS, 6)
    (same, _) = agreements({"a": graded(RATES, EVEN), "b": graded(flat, EVEN)})
    assert math.isnan(same.tau)


def test_a_detector_whose_explanations_point_at_the_mask_is_found_and_an_equal_one_is_not() -> None:
    better = {**EVEN, "LIME": 0.9, "random": 0.9}
    runs = {"base": graded(RATES, EVEN), "hard": graded(RATES, better)}
    found = {aim.method: aim for aim in aims(runs, 0)}
    assert set(found) == set(METHODS) - {"random"}
    lime = found["LIME"]
    assert (lime.first, lime.other, lime.frames, lime.videos) == (0.5, pytest.approx(0.9), 24, 12)
    assert lime.difference.value == pytest.approx(0.4)
    assert lime.difference.low <= 0.4 <= lime.difference.high
    assert lime.p_holm == pytest.approx(4 * 2 / 2**12)  # all videos agree, corrected for four methods
    assert all(found[method].p_holm == 1 for method in ("SHAP", "RISE", "SOBOL"))
    text = " ".join(sentences(runs, 0))
    assert "explanations of hard point at the manipulated pixels differently from base's: LIME (+40 points)." in text
    assert "tau +1.00" in text
    same = " ".join(sentences({"base": runs["base"], "twin": runs["base"]}, 0))
    assert "No method is shown to point at the manipulated pixels better or worse for twin than base." in same


def test_only_frames_that_both_call_fake_and_whose_mask_is_known_are_compared() -> None:
    made = make(lambda method, video, k: False, METHODS, videos=4, frames=1)
    one = [replace(row, inside=-1.0 if row.video.endswith("000") else 0.5) for row in made]
    other = [replace(row, predicted="Real") if row.video.endswith("001") else replace(row, inside=0.5) for row in made]
    (first, *_) = aims({"one": results(one), "other": results(other)}, 0)
    assert (first.frames, first.videos) == (2, 2)
    unknown = results([replace(row, inside=-1.0) for row in made])
    assert aims({"one": unknown, "other": unknown}, 0) == []
    assert "cannot be said" in " ".join(sentences({"one": unknown, "other": unknown}, 0))


def test_the_overview_holds_every_detector_and_method() -> None:
    found = overview({"a": graded(RATES, EVEN), "b": graded(RATES, {**EVEN, "RISE": 0.8})})
    assert isinstance(found, pd.DataFrame)
    cells = found.set_index(["detector", "method"])
    assert len(cells) == 10
    assert cells.loc[("a", "SHAP"), "flip_rate"] == pytest.approx(9 / 12)
    assert cells.loc[("b", "RISE"), "inside"] == pytest.approx(0.8)
    assert cells.loc[("b", "RISE"), "inside_low"] <= 0.8
