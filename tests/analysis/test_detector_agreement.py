"""Several detectors in one run: names, agreement of rankings, and what points at the manipulation."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import kendalltau

from analysis.detector_agreement import agreements, localisation_differences, overview
from analysis.summary import Summary, summarise_methods
from common.errors import InputError
from reporting.detector_comparison import sentences, short_names
from reporting.products import RunResults
from runs.score_table import ScoreTable, as_score_table
from scoring.records import Row
from tests.analysis.made_up import make, table

METHODS = ("LIME", "SHAP", "RISE", "SOBOL", "random")
RATES = {"LIME": 12, "SHAP": 9, "RISE": 6, "SOBOL": 3, "random": 1}


def results(made: list[Row]) -> RunResults:
    rows = table(made)
    none = as_score_table(rows.iloc[:0])
    return RunResults(as_score_table(rows), none, none, summarise_methods(rows), [], {}, ())


def flipping(rates: dict[str, int], shares: dict[str, float], **changes: object) -> RunResults:
    """Methods that flip in their number of twelve videos, and whose regions lie inside the mask by their share."""
    made = make(lambda method, video, k: video < rates[method], METHODS, videos=12)
    return results([replace(row, mask_precision=shares[row.method], **changes) for row in made])  # type: ignore[arg-type]


EVEN = dict.fromkeys(METHODS, 0.5)


def summaries(runs: dict[str, RunResults]) -> dict[str, Summary]:
    return {name: run.summary for name, run in runs.items()}


def scores(runs: dict[str, RunResults]) -> dict[str, ScoreTable]:
    return {name: run.rows for name, run in runs.items()}


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
    found = agreements(
        summaries({"a": flipping(RATES, EVEN), "b": flipping(swapped, EVEN), "c": flipping(reverse, EVEN)})
    )
    tau = {(each.first, each.second): each.tau for each in found if each.measure == "flip_rate"}
    assert tau[("a", "b")] == pytest.approx(4 / 6)  # one of six pairs is the other way round
    assert tau[("a", "c")] == pytest.approx(-1)
    assert tau[("b", "c")] == pytest.approx(kendalltau([9, 12, 6, 3], [3, 6, 9, 12]).statistic)
    assert {each.methods for each in found} == {4}
    flat = dict.fromkeys(METHODS, 6)
    (same, _) = agreements(summaries({"a": flipping(RATES, EVEN), "b": flipping(flat, EVEN)}))
    assert math.isnan(same.tau)


def test_a_detector_whose_explanations_point_at_the_mask_is_found_and_an_equal_one_is_not() -> None:
    better = {**EVEN, "LIME": 0.9, "random": 0.9}
    runs = {"base": flipping(RATES, EVEN), "hard": flipping(RATES, better)}
    found = {each.method: each for each in localisation_differences(scores(runs), 0)}
    assert set(found) == set(METHODS) - {"random"}
    lime = found["LIME"]
    assert (lime.first, lime.other, lime.difference.frames, lime.difference.videos) == (0.5, pytest.approx(0.9), 24, 12)
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
    one = [replace(row, mask_precision=-1.0 if row.video.endswith("000") else 0.5) for row in made]
    other = [
        replace(row, predicted="Real") if row.video.endswith("001") else replace(row, mask_precision=0.5)
        for row in made
    ]
    (first, *_) = localisation_differences(scores({"one": results(one), "other": results(other)}), 0)
    assert (first.difference.frames, first.difference.videos) == (2, 2)
    unknown = results([replace(row, mask_precision=-1.0) for row in made])
    assert localisation_differences(scores({"one": unknown, "other": unknown}), 0) == []
    assert "cannot be said" in " ".join(sentences({"one": unknown, "other": unknown}, 0))


def test_the_overview_holds_every_detector_and_method() -> None:
    found = overview(summaries({"a": flipping(RATES, EVEN), "b": flipping(RATES, {**EVEN, "RISE": 0.8})}))
    assert isinstance(found, pd.DataFrame)
    cells = found.set_index(["detector", "method"])
    assert len(cells) == 10
    assert cells.loc[("a", "SHAP"), "flip_rate"] == pytest.approx(9 / 12)
    assert cells.loc[("b", "RISE"), "mask_precision"] == pytest.approx(0.8)
    assert cells.loc[("b", "RISE"), "mask_precision_low"] <= 0.8


def test_localisation_is_of_the_depths_and_segments_that_the_summary_is_of() -> None:
    """Regions by area, and on other segments, point elsewhere: they are in neither table."""
    made = make(lambda method, video, k: video < RATES[method], METHODS, videos=12)
    made = [replace(row, mask_precision=0.2 * row.k) for row in made]
    made += [replace(row, depth="20%", mask_precision=0.9) for row in made if row.k == 3]
    made += [replace(row, segmentation="grid-16", mask_precision=0.0) for row in made]
    runs = {name: results(made) for name in ("a", "b")}
    shown = overview(summaries(runs)).query("attack == 'nes'").set_index(["detector", "method"])["mask_precision"]
    for line in localisation_differences(scores(runs), 0):
        assert line.first == pytest.approx(shown["a", line.method]) == pytest.approx(0.4)
        assert line.other == pytest.approx(shown["b", line.method])
