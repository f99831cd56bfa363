"""Frames together: a place that is lucky on every frame is one chance, and what every frame shows best is found."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.stats import kstest

from examination.frame import ExaminedFrame
from examination.stability import COPIES, SEED, Overlap, Variation
from examination.together import together


def frame(move: float, random_moves: np.ndarray, share: float = 0.8) -> ExaminedFrame:
    own = SimpleNamespace(move=move, share=0.5, p=(1 + (random_moves >= move).sum()) / (1 + len(random_moves)))
    evidence = SimpleNamespace(methods={"LIME": own}, random_moves=random_moves)
    stability = {"LIME": {kind: Overlap(share, 0.5, 0.9, 0.1, 0.3, "Fake") for kind in COPIES}}
    made = SimpleNamespace(
        evidence=evidence, regions={"LIME": 0}, stability=stability, shot=SimpleNamespace(neighbours=())
    )
    return cast(ExaminedFrame, cast(Any, made))


def p_of_nothing(alike: float, films: int = 400, frames: int = 4) -> np.ndarray:
    """The p-values of regions that are as random ones, on films whose frames differ in level and spread.

    `alike` is the correlation of what a region does on one frame and another: 1 of a still film, 0 of unrelated frames.
    """
    draws, found = np.random.default_rng(1), []
    for _ in range(films):
        own = np.sqrt(alike) * draws.normal(size=100) + np.sqrt(1 - alike) * draws.normal(size=(frames, 100))
        moves = np.exp(own) * draws.exponential(5, (frames, 1))
        found.append(together([frame(each[0], each[1:]) for each in moves], 0)["LIME"].p)
    return np.array(found)


def test_the_p_value_of_a_lucky_place_is_that_of_one_frame() -> None:
    """A map that marks the same place of a still film for no reason has one chance, however many frames are taken."""
    assert kstest(p_of_nothing(1.0) - 0.005, "uniform").pvalue > 0.01


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_the_p_value_of_frames_together_is_never_too_small_where_nothing_is_there(alike: float) -> None:
    p = p_of_nothing(alike)
    for level in (0.01, 0.05, 0.1, 0.25):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(p))


def test_frames_together_find_what_is_best_on_almost_every_frame() -> None:
    """And what is a little better than most on all of them is as likely to be luck as on one."""
    draws = np.random.default_rng(2)
    for quantile, low, high in ((1.0, 0.01, 0.01), (0.99, 0.01, 0.03), (0.9, 0.09, 0.12)):
        frames = []
        for _ in range(6):
            random_moves = draws.random(99)
            frames.append(frame(float(np.quantile(random_moves, quantile)) + 1e-3, random_moves))
        result = together(frames, 0)["LIME"]
        assert low <= result.p <= high
        assert result.believed == (high <= 0.05)


def test_one_frame_is_itself_and_several_have_students_interval() -> None:
    alone = together([frame(5.0, np.arange(99) / 99)], 0)["LIME"]
    assert alone.p == 0.01
    assert (alone.overlaps[SEED].low, alone.overlaps[SEED].high) == (0.5, 0.9)
    values = [frame(5.0, np.arange(99) / 99, share) for share in (0.4, 0.5, 0.6)]
    overlap = together(values, 0)["LIME"].overlaps[SEED]
    assert overlap.share == pytest.approx(0.5)
    assert overlap.high == pytest.approx(0.5 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)


def test_a_map_that_is_not_stable_is_not_believed() -> None:
    result = together([frame(5.0, np.arange(99) / 99, share=0.2)], 0)["LIME"]
    assert result.decides
    assert not result.stable
    assert not result.believed


def test_a_variation_that_failed_is_not_taken_for_the_same() -> None:
    one = frame(5.0, np.arange(99) / 99)
    assert together([one], 0)["LIME"].stable
    del cast(Any, one.stability)["LIME"][COPIES[1]]
    assert not together([one], 0)["LIME"].stable


def test_a_map_that_fails_on_one_variation_of_one_frame_is_not_believed() -> None:
    """Be it a copy or a neighbouring frame; and what only one of several frames has gets no interval."""
    for lacking in (COPIES[2], "the frame before"):
        frames = [frame(5.0, np.arange(99) / 99) for _ in range(3)]
        for each in frames:
            cast(Any, each.shot).neighbours = (Variation("the frame before", np.zeros((2, 2, 3), np.uint8)),)
            cast(Any, each.stability)["LIME"]["the frame before"] = each.stability["LIME"][SEED]
        assert together(frames, 0)["LIME"].believed
        del cast(Any, frames[1].stability)["LIME"][lacking]
        result = together(frames, 0)["LIME"]
        assert result.overlaps[lacking].frames == 2
        assert not result.stable
        assert not result.believed
    frames = [frame(5.0, np.arange(99) / 99) for _ in range(2)]
    cast(Any, frames[0].stability)["LIME"]["the frame after"] = frames[0].stability["LIME"][SEED]
    only = together(frames, 0)["LIME"].overlaps["the frame after"]
    assert (only.frames, only.low, only.high) == (1, None, None)
