"""The evidence: each table against what the rows were made to say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import evidence
from scoring.records import Row
from tests.analysis.made_up import at_random, make, table
from tests.reporting.test_tables import GRADE

METHODS = ("LIME", "SHAP", "RISE", "random")
CHANCE = {"LIME": 0.95, "SHAP": 0.5, "RISE": 0.05, "random": 0.1}


def rows(**changes: object) -> list[Row]:
    made = make(at_random(0, CHANCE), METHODS, videos=16, frames=2)
    return [replace(row, **changes) for row in made]  # type: ignore[arg-type]


def test_pairs_find_the_order_of_the_methods_and_leave_out_the_references() -> None:
    found = evidence.pairs(table(rows()), 0).set_index(["first", "second"])
    assert list(found.index) == [("LIME", "SHAP"), ("LIME", "RISE"), ("SHAP", "RISE")]
    assert (found["drop_difference"] > 0).all()
    assert (found["drop_p_holm"] < 0.05).all()
    assert (found["drop_frames"] == 32).all()
    flips = found.loc[("LIME", "RISE")]
    assert flips["flips_both"] + flips["flips_only_first"] + flips["flips_only_second"] + flips["flips_neither"] == 32
    deepest = table(rows()).query("depth == '3'")
    rates = deepest.groupby("method")["flipped_to_real"].mean()
    assert flips["flips_difference"] == pytest.approx(rates["LIME"] - rates["RISE"])


def test_ranks_are_in_order() -> None:
    found = evidence.ranks(table(rows()))
    assert found["method"].tolist() == ["LIME", "SHAP", "RISE"]
    assert found["rank"].is_monotonic_increasing
    assert (found["p"] < 0.05).all()


def test_agreement_is_between_attacks_budgets_segments_and_seeds() -> None:
    reverse = {"LIME": "RISE", "RISE": "LIME"}
    other = [replace(row, attack="pgd", method=reverse.get(row.method, row.method)) for row in rows()]
    found = evidence.agreement(table(rows() + other + rows(epsilon=4 / 255) + rows(segmentation="slic-100")))
    taus = {(line.first, line.second): line.tau for line in found.itertuples()}
    assert taus["nes", "pgd"] == -1
    assert taus["nes", "nes 4/255"] == taus["nes", "nes, slic-100"] == 1
    assert evidence.agreement(table(rows() + rows(seed=1)))[["first", "second", "tau"]].values.tolist() == [
        ["seed 0", "seed 1", 1.0]
    ]


def test_variance_needs_repeats_and_finds_none_where_seeds_change_nothing() -> None:
    assert evidence.variance(table(rows()), 0).empty
    found = evidence.variance(table(rows() + rows(seed=1) + rows(seed=2)), 0).set_index("method")
    assert list(found.index) == ["LIME", "SHAP", "RISE"]
    assert found["noise"].abs().max() < 1e-12
    assert (found["seeds"] == 3).all()


def flip_thresholds() -> pd.DataFrame:
    draws = np.random.default_rng(0)
    made = []
    for video in range(12):
        for method, scale in (("LIME", 2 / 255), ("RISE", 8 / 255), ("whole", 1 / 255)):
            value = min(16 / 255, scale * draws.uniform(0.5, 1.5))
            made.append(replace(GRADE, key=f"{video}", video=f"{video}", method=method, value=value, reached=True))
    made += [replace(GRADE, key="x", video="x", method="RISE", value=16 / 255, reached=False)]
    return pd.DataFrame([vars(flip_threshold) for flip_threshold in made])


def test_survival_counts_what_never_flipped_as_the_most_that_was_tried() -> None:
    found = evidence.survival_table(evidence.survival_curves(flip_thresholds(), 0)).set_index("method")
    assert found.loc["RISE", "censored"] == 1
    naive = flip_thresholds().query("method == 'RISE'")["value"].mean()
    assert found.loc["RISE", "restricted_mean"] == pytest.approx(naive)
    assert found.loc["whole", "restricted_mean"] < found.loc["LIME", "restricted_mean"] < naive


def test_seeds_on_frames_of_different_videos_have_no_variance_table() -> None:
    """A frame alone in its video cannot be told from its video; `--seeds 2` on such frames is no error."""
    first: dict[str, str] = {}
    for row in rows():
        first.setdefault(row.video, row.key)
    alone = [replace(row, seed=seed) for seed in (0, 1) for row in rows() if row.key == first[row.video]]
    assert table(alone)["video"].nunique() == table(alone)["key"].nunique() > 2
    assert evidence.variance(table(alone), 0).empty
    both = [replace(row, seed=seed) for seed in (0, 1) for row in rows()]
    assert len(evidence.variance(table(both), 0)) > 0


def test_areas_are_the_mean_height_of_the_curves() -> None:
    swept = [r for epsilon in (4 / 255, 8 / 255, 16 / 255) for r in rows(epsilon=epsilon, drop=10 * epsilon)]
    found = evidence.curve_areas(table(swept), 0)
    drops = found[(found["over"] == "budget") & (found["measure"] == "drop")]
    assert drops["value"].to_numpy() == pytest.approx(10 * 10 / 255)  # a straight line: its middle
    assert (drops["frames"] == 32).all()


def test_everything_is_there_and_nothing_where_nothing_is_fake() -> None:
    found = evidence.evidence(table(rows()), flip_thresholds(), 0)
    assert {"pairs", "ranks", "survival"} <= set(found.tables)
    assert found.ranks is not None
    assert {curve[0] for curve in found.curves} == {"budget"}
    nothing = evidence.evidence(table(rows(predicted="Real")), flip_thresholds().iloc[:0], 0)
    assert (nothing.tables, nothing.ranks, nothing.curves) == ({}, None, [])


def test_no_interval_of_a_pair_is_wider_than_the_differences_that_can_be() -> None:
    """Of three videos, corrected for three pairs."""
    made = [row for row in rows() if int(row.video[-3:]) < 3]
    found = evidence.pairs(table(made), 0)
    assert (found["flips_difference_low"] >= -1).all()
    assert (found["flips_difference_high"] <= 1).all()
    assert (found["drop_difference_low"] >= -2).all()
    assert (found["drop_difference_high"] <= 2).all()


def test_what_a_flip_takes_is_of_the_runs_own_segments() -> None:
    own = [replace(GRADE, key=f"{v}.png", video=f"{v}", value=0.1) for v in range(4)]
    other = [replace(each, segmentation="grid-16", value=0.9) for each in own]
    names = list(own[0].__dataclass_fields__)
    thresholds = pd.DataFrame([[getattr(each, name) for name in names] for each in own + other], columns=names)
    (curve,) = evidence.survival_curves(thresholds, 0)
    _, _, steps, mean, limit = curve
    assert (steps.searches, mean.value, limit) == (4, pytest.approx(0.1), pytest.approx(0.1))
