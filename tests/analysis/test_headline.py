"""How explanations are scored, on detectors whose truth is known: one patch decides, or nothing does."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.condition_values import values
from analysis.headline import NO_FLIP, Condition, Headline, HeadlineLine
from analysis.method_ranking import rank_methods
from analysis.statistics import Estimate, ratio_scores
from analysis.trust import answer
from data.frames import Frame
from runs.chosen_parts import chosen_methods
from scoring.baselines.table import MASK, ORACLE, RANDOM, RANDOM_AREA
from scoring.frame import Scorer
from scoring.protocol import Protocol
from scoring.records import Row
from tests.analysis.made_up import table
from tests.scoring.stand_ins import CENTRE, SIZE, Eraser, PlantedDetector, picture
from xai.explanation_settings import build_settings

SETTINGS = {
    "segments": {"count": 9, "kind": "grid"},
    "LIME": {"samples": 250},
    "SHAP": {"evaluations": 200},
    "adversarial": {"pairs": 30, "steps": 24, "step": 2 / 255},
    "blur": {"kernel": 16},
}
PROTOCOL = Protocol(
    baselines=(RANDOM, RANDOM_AREA, "bottom-k", "whole", ORACLE, MASK),
    depths=("1", "2", "3"),
    draws=6,
    area_draws=6,
    flip_thresholds=(),
)
METHODS = ("LIME", "SHAP", "LIME_adv", "tests.scoring.stand_ins:guess")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Frames of ten videos, in which one of nine squares holds most of what decides."""
    chosen = chosen_methods(METHODS)
    scorer = Scorer(
        PlantedDetector(),
        chosen,
        build_settings("quick", SETTINGS, chosen),
        {"eraser": Eraser()},
        PROTOCOL,
        batch_size=64,
    )
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[CENTRE, CENTRE] = True
    made: list[Row] = []
    for video in range(10):
        key = f"v{video}/1.png"
        frame = Frame(key, picture(key, "Deepfakes"), 3, "Deepfakes", f"v{video}", mask)
        made += scorer(frame).rows
    return table(made)


def test_sound_methods_reach_the_oracle_and_a_guess_does_not(rows: pd.DataFrame) -> None:
    (found,) = rank_methods(rows, 0)
    assert found.condition == Condition("eraser")
    for method in METHODS[:3]:
        line = found.of(method)
        assert line is not None
        assert line.is_significant
        assert line.score.low <= 1.0 <= line.score.high + 0.05, (method, line.score)
        assert METHODS[3] in line.better_than
    guess = found.of(METHODS[3])
    assert guess is not None
    assert not guess.is_significant
    assert guess.score.low <= 0.0 <= guess.score.high
    assert guess.better_than == ()


def test_random_scores_nothing_and_the_mask_arm_equals_the_oracle(rows: pd.DataFrame) -> None:
    found = values(rows, "drop")
    per_frame = {
        baseline: rows[(rows["method"] == baseline)].groupby("key", sort=False)["drop"].mean().to_numpy()
        for baseline in (RANDOM, "bottom-k", MASK, ORACLE)
    }
    baselines = np.stack([per_frame[baseline] for baseline in (RANDOM, "bottom-k", MASK)], axis=1)
    chance = found.areas.mean(axis=1)
    random, bottom, mask = ratio_scores(baselines, chance, found.oracle, found.videos, np.random.default_rng(0))
    assert random.score.low <= 0.0 <= random.score.high
    assert bottom.score.high < 0.1
    assert mask.score.value == pytest.approx(1.0, abs=0.02)


def test_families_and_segmentations_have_their_own_headlines(rows: pd.DataFrame) -> None:
    other = rows.assign(family="FaceSwap", key="x" + rows["key"], video="x" + rows["video"])
    finer = rows.assign(segmentation="slic-100")
    conditions = [each.condition for each in rank_methods(pd.concat([rows, other, finer]), 0)]
    assert conditions == [
        Condition("eraser"),
        Condition("eraser", family="Deepfakes"),
        Condition("eraser", family="FaceSwap"),
        Condition("eraser", segmentation="slic-100"),
    ]


def test_without_the_references_nothing_has_a_score(rows: pd.DataFrame) -> None:
    bare = rows[rows["method"].isin(METHODS)]
    (found,) = rank_methods(bare, 0)
    assert all(np.isnan(line.score.value) and not line.is_significant for line in found.lines)
    assert rank_methods(rows.assign(predicted="Real"), 0) == []


def test_a_star_and_its_interval_never_contradict_each_other(rows: pd.DataFrame) -> None:
    (found,) = rank_methods(rows, 0)
    for line in found.lines:
        for value, significant in (
            (line.score, line.is_significant),
            *((pair.difference, pair.is_significant) for pair in line.against.values()),
        ):
            assert significant == (not value.low <= 0.0 <= value.high), (line.method, value)


def test_too_few_videos_have_no_interval_and_the_headline_says_how_many_would(rows: pd.DataFrame) -> None:
    few = rows[rows["video"].isin([f"v{video}" for video in range(2)])]
    (found,) = rank_methods(few, 0)
    assert (found.videos, found.needed, found.is_tested) == (2, 3, False)  # 4 methods, 6 draws: 4 * 2 * 7^-3 < 0.05
    for line in found.lines:
        assert not math.isnan(line.score.value)
        assert all(math.isnan(each.low) for each in (line.score, line.flips, line.drop, line.flip_rate))
    (found,) = rank_methods(rows, 0)
    assert found.is_tested


def test_a_baseline_has_a_score_by_the_same_formula(rows: pd.DataFrame) -> None:
    """Face-centre is where the planted square is: it reaches the oracle, though it knows nothing."""
    copied = rows[rows["method"] == MASK].assign(method="face-centre")
    area = rows[(rows["method"] == RANDOM_AREA) & (rows["of"] == "LIME")].assign(of="face-centre")
    (found,) = rank_methods(pd.concat([rows, copied, area]), 0)
    (centre,) = found.baselines
    assert centre.method == "face-centre"
    assert centre.score.value == pytest.approx(1.0, abs=0.02)
    assert "face-centre" in [line.method for line in found.ranked_with_baselines]
    lime = found.of("LIME")
    assert lime is not None
    assert abs(lime.against["face-centre"].difference.value) < 0.05
    assert not lime.against["face-centre"].is_significant


def test_a_headline_without_a_score_comes_last() -> None:
    lines = (HeadlineLine("a", Estimate()), HeadlineLine("b", Estimate(0.1)), HeadlineLine("c", Estimate(0.5)))
    ranked = Headline(Condition("nes"), lines).ranked
    assert [line.method for line in ranked] == ["c", "b", "a"]
    assert math.isnan(ranked[-1].score.value)


def test_where_nothing_flips_no_share_of_the_best_is_known(rows: pd.DataFrame) -> None:
    """Neither a score, a star nor trust follows from probabilities alone; what was compared stays."""
    still = rows.assign(flipped_to_real=False, predicted_after=rows["predicted"])
    both = pd.concat([still, still.assign(attack="pgd")], ignore_index=True)
    for headline in rank_methods(both, 0):
        assert headline.lines
        for line in (*headline.lines, *headline.baselines):
            assert math.isnan(line.score.value)
            assert math.isnan(line.score.low)
            assert line.unscored == NO_FLIP
            assert not line.is_significant
            assert not line.better_than
            assert not math.isnan(line.drop.value)
    assert not answer(rank_methods(both, 0)).trusted
    one = still.copy()
    one.loc[one.index[one["method"] == ORACLE][0], "flipped_to_real"] = True
    assert not all(math.isnan(line.score.value) for line in rank_methods(one, 0)[0].lines)
