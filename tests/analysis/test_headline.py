"""How explanations are scored, on detectors whose truth is known: one patch decides, or nothing does."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.headline import Condition, Headline, HeadlineLine, rank_methods, values
from analysis.statistics import Estimate, ratio_scores
from data.frames import Frame
from reporting.words import answer
from runs.setup import chosen_methods
from scoring.baselines.table import MASK, ORACLE, RANDOM, RANDOM_AREA
from scoring.frame import Scorer
from scoring.protocol import Protocol
from scoring.records import Row
from tests.analysis.made_up import table
from tests.scoring.stand_ins import CENTRE, SIZE, Eraser, PlantedDetector, picture
from tests.scoring.test_records import ROW
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
    assert all(method in answer(found) for method in METHODS[:2])
    assert METHODS[3] not in answer(found)


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


def test_nothing_is_found_where_the_detector_ignores_its_input() -> None:
    """Drops that have nothing to do with the regions: in at least 93 of 100 runs no method is called better."""
    wrong = 0
    draws = np.random.default_rng(0)
    for run in range(100):
        shared = draws.normal(0, 0.1, size=10)  # frames of a video are alike
        frames = [
            {"key": f"{video}/{n}", "video": f"{video}", "base": shared[video] + draws.normal(0, 0.05)}
            for video in range(10)
            for n in range(2)
        ]
        baselines = [("LIME", "", 0), ("SHAP", "", 0), ("RISE", "", 0), (ORACLE, "", 0)]
        baselines += [(RANDOM_AREA, method, draw) for method in ("LIME", "SHAP", "RISE") for draw in range(2)]
        template = rows_of(frames, baselines, draws)
        (found,) = rank_methods(template, run)
        wrong += any(line.is_significant or line.better_than for line in found.lines)
    assert wrong <= 7


def rows_of(
    frames: list[dict[str, Any]], baselines: list[tuple[str, str, int]], draws: np.random.Generator
) -> pd.DataFrame:
    made = [
        replace(ROW, key=frame["key"], video=frame["video"], method=baseline, of=of, draw=draw, depth="1",
                drop=float(frame["base"] + draws.normal(0, 0.05)), flipped_to_real=False)
        for frame in frames
        for baseline, of, draw in baselines
    ]  # fmt: skip
    return table(made)


def test_a_headline_without_a_score_comes_last() -> None:
    lines = (HeadlineLine("a", Estimate()), HeadlineLine("b", Estimate(0.1)), HeadlineLine("c", Estimate(0.5)))
    ranked = Headline(Condition("nes"), lines).ranked
    assert [line.method for line in ranked] == ["c", "b", "a"]
    assert math.isnan(ranked[-1].score.value)
