"""The baselines in a run, where one patch decides: the planted truth that every score must show."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from runs.chosen_parts import chosen_methods
from scoring.baselines import oracle
from scoring.baselines.table import BASELINES, MASK, UNINFORMED
from scoring.frame import Scorer
from scoring.protocol import Protocol
from scoring.records import Row
from scoring.region_attacker import Outcome
from scoring.scored import Scored
from tests.analysis.made_up import table
from tests.scoring.stand_ins import CENTRE, GUESS, SIZE, Eraser, PlantedDetector
from tests.scoring.test_frame import TINY, frame
from xai.explanation_settings import build_settings

FULL = Protocol(depths=("1", "2", "3", "10%"), draws=4, area_draws=2, threshold_steps=4, budget_rounds=3)
METHODS = ("LIME", "SOBOL_adv")


def scorer(**changes: object) -> Scorer:
    chosen = chosen_methods(METHODS)
    made = Scorer(PlantedDetector(), chosen, build_settings("quick", TINY, chosen), {"eraser": Eraser()}, FULL, seed=2)
    return replace(made, **changes)  # type: ignore[arg-type]


def planted() -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[CENTRE, CENTRE] = True
    return mask


@pytest.fixture(scope="module")
def scored() -> Scored:
    return scorer()(replace(frame(), mask=planted()))


def of(rows: list[Row], method: str, depth: str = "1") -> list[Row]:
    return [row for row in rows if (row.method, row.depth) == (method, depth)]


def test_every_arm_has_its_rows(scored: Scored) -> None:
    found = table(scored.rows).groupby("method")["depth"].count().to_dict()
    depths, methods = len(FULL.depths), len(METHODS)
    compared = methods + len(UNINFORMED)
    owned = {"bottom-k": methods, "random-model": methods, "random-area": compared * FULL.area_draws}
    assert found == {
        **dict.fromkeys((*METHODS, "face-centre", "edges", "mask", "oracle"), depths),
        **{baseline: times * depths for baseline, times in owned.items()},
        "random": FULL.draws * depths,
        "whole": 1,
    }
    assert {row.of for row in scored.rows if row.method in owned} == {*METHODS, *UNINFORMED}
    assert {row.of for row in scored.rows if row.method == "bottom-k"} == set(METHODS)
    assert {row.of for row in scored.rows if row.method not in owned} == {""}
    assert {(row.segmentation, row.seed) for row in scored.rows} == {("slic-9", 2)}


def test_oracle_mask_and_sound_methods_flip_it_and_the_bottom_never_does(scored: Scored) -> None:
    for method in ("LIME", "oracle", "mask", "face-centre"):
        (first,) = of(scored.rows, method)
        assert first.flipped_to_real, method
        if method != "oracle":
            assert first.area == pytest.approx(256 / SIZE**2)
    assert all(not row.flipped_to_real for depth in "123" for row in of(scored.rows, "bottom-k", depth))
    (whole,) = of(scored.rows, "whole", "all")
    assert whole.flipped_to_real
    assert whole.area == 1.0


def test_random_regions_hit_the_patch_as_often_as_chance() -> None:
    few = replace(FULL, baselines=("random", "random-area"), depths=("1",), draws=60, area_draws=60, flip_thresholds=())
    rows = scorer(protocol=few, methods=chosen_methods(["LIME"]))(frame()).rows
    for baseline in ("random", "random-area"):
        rate = np.mean([row.flipped_to_real for row in of(rows, baseline)])
        assert rate == pytest.approx(1 / 9, abs=4 * np.sqrt(1 / 9 * 8 / 9 / 60))
    (own,) = of(rows, "LIME")
    nearest = [abs(row.area / own.area - 1) for row in of(rows, "random-area")]
    assert max(nearest) <= 0.05


def test_equal_pixels_are_attacked_once_whoever_chose_them(scored: Scored) -> None:
    rows = table(scored.rows)
    same = rows[(rows["area"] == 256 / SIZE**2) & rows["flipped_to_real"]]
    assert same["method"].nunique() >= 4
    assert same["after"].nunique() == 1


def test_no_ranking_is_above_the_oracle(scored: Scored) -> None:
    """It takes the best of all that is seen in the frame, at whatever depth, and is one ceiling for every depth."""
    oracle = [row for row in scored.rows if row.method == "oracle"]
    assert len({(row.flipped_to_real, row.after, row.area) for row in oracle}) == 1
    others = [row for row in scored.rows if row.method != "oracle"]
    assert oracle[0].flipped_to_real
    assert oracle[0].after <= min(row.after for row in others if row.flipped_to_real) + 1e-6


def test_the_oracle_tries_the_whole_frame_though_no_baseline_is_it() -> None:
    methods = chosen_methods([GUESS])
    protocol = replace(FULL, baselines=("oracle",), flip_thresholds=())
    alone = scorer(methods=methods, settings=build_settings("quick", TINY, methods), protocol=protocol)
    rows = alone(frame()).rows
    assert {row.method for row in rows} == {GUESS, "oracle"}
    assert all(row.flipped_to_real for row in rows if row.method == "oracle")


def test_segments_are_joined_only_where_nothing_else_flips() -> None:
    """Without the flip at a faint budget the oracle joins segments: each step asks for all that are left."""
    costs = {}
    for budget in (16 / 255, 2 / 255):
        own = scorer(budgets=(budget,), protocol=replace(FULL, baselines=("oracle",), flip_thresholds=()))
        costs[budget] = cost(own(frame()))
    assert costs[2 / 255] >= costs[16 / 255] + 9 + 8 + 7 - 6  # forwards: some unions are rankings' own regions


def test_joining_is_greedy_and_ends_at_the_flip() -> None:
    """The naive twin: of all orders, the one that takes the best next segment; the joint effect is not additive."""
    segments = np.arange(4).reshape(2, 2)
    gain = {frozenset({0}): 0.3, frozenset({1}): 0.2, frozenset({0, 2}): 0.9, frozenset({0, 3}): 0.4}

    def attacked(regions: list[np.ndarray]) -> list[Outcome]:
        asked.extend(frozenset(segments[region].tolist()) for region in regions)
        drops = [gain.get(each, 0.1) for each in asked[-len(regions) :]]
        return [Outcome(1 - drop, 0, drop > 0.8, 0.1, 1, 1, 1) for drop in drops]

    asked: list[frozenset[int]] = []
    grown = oracle.joined(segments, [0, 1, 2, 3], 3, attacked)
    assert [each.ranking.order.tolist() for each in grown] == [[0], [0, 2]]
    assert len(asked) == 4 + 3
    assert [oracle.most_joined(depths) for depths in (("1", "4", "20%"), ("5%",))] == [4, 3]


def test_the_oracles_threshold_is_the_lowest_of_any_ranking(scored: Scored) -> None:
    for measure in ("budget", "fraction"):
        own = [each for each in scored.flip_thresholds if each.measure == measure]
        (ceiling,) = [each for each in own if each.method == "oracle"]
        assert ceiling.value == min(each.value for each in own if each.reached)


def cost(found: Scored) -> int:
    return sum(each.forwards for each in found.costs if each.stage == "attack eraser")


def test_without_a_mask_there_is_no_mask_arm() -> None:
    rows = scorer(protocol=replace(FULL, baselines=("mask",), flip_thresholds=()))(frame()).rows
    assert {row.method for row in rows} == set(METHODS)


def test_a_frame_called_real_has_a_row_of_every_arm_and_no_grade() -> None:
    found = scorer()(frame(planted=False))
    assert {row.method for row in found.rows} == {*METHODS, *BASELINES} - {MASK}  # it has none
    assert {(row.area, row.k, row.drop) for row in found.rows} == {(0.0, 0, 0.0)}
    assert found.flip_thresholds == []
    assert found.views is None


def test_repeats_budgets_and_segments_multiply_the_rows() -> None:
    small = replace(FULL, baselines=("random",), depths=("1",), draws=1, flip_thresholds=())
    settings = build_settings("quick", TINY, chosen_methods(METHODS))
    finer = {name: replace(settings, segments=replace(settings.segments, count=c)) for name, c in (("a", 9), ("b", 16))}
    rows = scorer(protocol=small, seeds=2, budgets=(16 / 255, 2 / 255), segmentations=finer)(frame()).rows
    combined = pd.MultiIndex.from_frame(table(rows)[["seed", "segmentation", "epsilon", "method"]])
    assert len(rows) == len(combined.unique()) == 2 * 2 * 2 * 3
    assert {row.seed for row in rows} == {2, 3}
    assert all(row.linf <= row.epsilon + 1e-6 for row in rows)
    strong = [row for row in rows if row.method == "LIME" and row.epsilon == 16 / 255]
    faint = [row for row in rows if row.method == "LIME" and row.epsilon == 2 / 255]
    assert all(row.flipped_to_real for row in strong if row.segmentation == "a")
    assert not any(row.flipped_to_real for row in faint)


def test_the_first_repeat_is_the_run_without_repeats() -> None:
    once, twice = scorer(methods=chosen_methods(["LIME"])), scorer(methods=chosen_methods(["LIME"]), seeds=2)
    first = [row for row in twice(frame()).rows if row.seed == 2]
    assert first == once(frame()).rows
