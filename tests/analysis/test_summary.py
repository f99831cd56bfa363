"""Rates, means and comparisons against sums done by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.summary import flip_rate_p_values, summarise_methods
from reporting.tables import flat_summary
from tests.analysis.made_up import at_random, make, table, unclassed, unseen


def lime_beats_chance(method: str, video: int, k: int) -> bool:
    return {"LIME": k >= 2 or video == 0, "RISE": video == 1 and k == 3, "random": k == 3 and video < 3}[method]


def test_means_by_hand() -> None:
    made = make(lime_beats_chance)
    summary = summarise_methods(table(made))
    assert len(summary.lines) == 3 * 4
    lime, rise = summary.of("nes", "1")["LIME"], summary.of("nes", "1-3")["RISE"]
    assert (lime.frames, lime.videos, lime.accuracy_frames) == (12, 6, 12)
    assert lime.flip_rate.value == pytest.approx(1 / 6)
    assert lime.drop.value == pytest.approx((0.8 + 5 * 0.1) / 6)
    assert lime.accuracy.value == pytest.approx(5 / 6)
    assert rise.flip_rate.value == pytest.approx(1 / 6)
    assert summary.of("nes", "mean")["LIME"].flip_rate.value == pytest.approx((1 / 6 + 1 + 1) / 3)
    assert summary.of("nes", "1-2")["LIME"].area == pytest.approx(0.04)
    for line in summary.lines:
        for estimate in (line.flip_rate, line.drop, line.accuracy):
            assert estimate.low <= estimate.value <= estimate.high


def test_differences_are_paired_with_the_control() -> None:
    summary = summarise_methods(table(make(lime_beats_chance)))
    versus = summary.of("nes", "1-3")["LIME"].flip_rate_vs_random
    assert versus.difference.value == pytest.approx(0.5)  # it flips all, random regions three videos of six
    assert versus.p == pytest.approx(2 * 2**-3)  # three videos differ, all the same way
    assert versus.p_holm == pytest.approx(2 * versus.p)  # two methods
    assert summary.of("nes", "mean")["LIME"].drop_vs_random.difference.value > 0
    control = summary.of("nes", "1-3")["random"]
    assert math.isnan(control.flip_rate_vs_random.p)
    assert not control.flip_rate_vs_random.is_significant


def test_frames_called_real_count_in_accuracies_only() -> None:
    made = make(lime_beats_chance)
    missed = [unseen(row) if row.video.endswith("/005") else row for row in made]
    full, found = summarise_methods(table(made)), summarise_methods(table(missed))
    lime = found.of("nes", "1-3")["LIME"]
    assert (lime.frames, lime.videos, lime.accuracy_frames) == (10, 5, 12)
    assert lime.flip_rate.value == 1.0
    rise = found.of("nes", "1-3")["RISE"]
    assert rise.flip_rate.value == pytest.approx(1 / 5)
    assert rise.accuracy.value == pytest.approx(4 / 6)
    assert full.of("nes", "1-3")["RISE"].accuracy.value == pytest.approx(5 / 6)


def test_a_baseline_that_no_detected_frame_has_has_no_accuracy() -> None:
    made = [row for row in make(lime_beats_chance) if row.method != "RISE"]
    masked = [replace(row, method="mask") for row in made if row.method == "LIME"]
    missed = [unseen(row) if row.video.endswith("/005") else row for row in (*made, *masked)]
    rows = table([row for row in missed if row.method != "mask" or row.video.endswith("/005")])
    mask = summarise_methods(rows).of("nes", "1-3")["mask"]
    assert (mask.frames, mask.accuracy_frames) == (0, 0)
    assert math.isnan(mask.accuracy.value), "of frames that are called Real alone"


def test_frames_without_a_class_count_in_flips_only() -> None:
    lime = summarise_methods(table([unclassed(row) for row in make(lime_beats_chance)])).of("nes", "1-3")["LIME"]
    assert lime.flip_rate.value == 1.0
    assert lime.accuracy_frames == 0
    assert math.isnan(lime.accuracy.value)
    assert math.isnan(lime.accuracy.low)


def test_no_fake_verdict_gives_no_rates() -> None:
    summary = summarise_methods(table([unseen(row) for row in make(lime_beats_chance)]))
    for line in summary.lines:
        assert line.frames == 0
        assert math.isnan(line.flip_rate.value)
        assert math.isnan(line.flip_rate_vs_random.p)
        assert line.accuracy.value == 0.0


def test_one_video_gives_values_without_intervals() -> None:
    for line in summarise_methods(table(make(lime_beats_chance, videos=1))).lines:
        assert not math.isnan(line.flip_rate.value)
        assert math.isnan(line.flip_rate.low)
        assert math.isnan(line.flip_rate_vs_random.p)


def test_every_image_is_ranked_and_weak_rankings_are_counted() -> None:
    made = [
        replace(row, weak=True) if row.method == "RISE" and row.video.endswith(("/001", "/002")) else row
        for row in make(lime_beats_chance)
    ]
    summary = summarise_methods(table(made))
    for top in ("1", "mean"):
        assert {method: line.weak for method, line in summary.of("nes", top).items()} == {
            "LIME": 0, "RISE": 4, "random": 0
        }  # fmt: skip
        assert {line.frames for line in summary.of("nes", top).values()} == {12}


def test_attacks_are_summarised_apart() -> None:
    made = [
        replace(row, flipped_to_real=False) if row.attack == "pgd" else row
        for row in make(lime_beats_chance, attacks=("nes", "pgd"))
    ]
    summary = summarise_methods(table(made))
    assert summary.attacks == ("nes", "pgd")
    assert summary.of("nes", "1-3")["LIME"].flip_rate.value == 1.0
    assert summary.of("pgd", "1-3")["LIME"].flip_rate.value == 0.0
    alone = summarise_methods(table([row for row in made if row.attack == "pgd"]))
    np.testing.assert_equal([repr(a) for a in alone.lines], [repr(a) for a in summary.lines if a.attack == "pgd"])


def test_the_order_of_frames_and_methods_changes_nothing() -> None:
    made = make(lime_beats_chance)
    first, other = (
        flat_summary(summarise_methods(table(each))).set_index(["top", "method"]) for each in (made, made[::-1])
    )
    pd.testing.assert_frame_equal(first.sort_index(), other.sort_index(), rtol=1e-12)


def test_ranking_puts_the_best_first_and_the_control_last() -> None:
    assert summarise_methods(table(make(lime_beats_chance))).ranked("nes") == ["LIME", "RISE", "random"]
    assert summarise_methods(table(make(lambda method, video, k: method == "random"))).ranked("nes")[-1] == "random"


def test_a_random_explanation_scores_like_random() -> None:
    """A method that is as good as the control is called better or worse about one time in twenty."""
    chance = {"LIME": 0.4, "random": 0.4}
    certain = 0
    runs = 30
    for seed in range(runs):
        made = make(at_random(seed, chance), ("LIME", "random"), videos=10, frames=2)
        certain += summarise_methods(table(made)).of("nes", "mean")["LIME"].flip_rate_vs_random.is_significant
    assert certain <= 5


def test_methods_are_compared_frame_by_frame() -> None:
    made = table(make(lime_beats_chance, videos=10))
    p = flip_rate_p_values(made, "nes", "LIME", ["RISE", "random"], 0)
    assert p["RISE"] == pytest.approx(2 * 2.0**-9)  # ten videos, all the same way, the smaller of two p-values
    assert flip_rate_p_values(made, "nes", "LIME", [], 0) == {}
