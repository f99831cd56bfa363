"""How many flips outlive a transform: planted counts, and frames that the transform alone turns."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.grids import surviving_flips as surviving_grid
from analysis.method_ranking import rank_methods
from analysis.summary import summarise_methods
from analysis.surviving_flips import surviving_flips, transforms, turned_alone
from tests.analysis.made_up import make, table, unseen

METHODS = ("LIME", "RISE", "random", "edges")


def flips(method: str, video: int, k: int) -> bool:
    """LIME flips at every depth, RISE with three segments, random in videos 0 to 2 at all depths, edges never."""
    return method == "LIME" or (method == "RISE" and k == 3) or (method == "random" and video < 3)


def run(turned: tuple[int, ...] = (), videos: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and lines of frames. Of a flip, one of LIME with k = 3 outlives "half", all of RISE's, and none of random.

    In the videos `turned` the transform alone turns the verdict, and every flip outlives it.
    """
    made = make(flips, METHODS, videos=videos)
    rows = table(made)
    video = rows["video"].str[-3:].astype(int)
    real = (rows["method"] == "RISE") | ((rows["method"] == "LIME") & (rows["depth"] == "3")) | video.isin(turned)
    rows["survives_half"] = real.astype("boolean").mask(~rows["flipped_to_real"])
    rows["survives_png"] = pd.Series(True, rows.index, dtype="boolean").mask(~rows["flipped_to_real"])
    first = rows.drop_duplicates("key")
    lines = first[["key", "video", "family", "predicted", "seed", "segmentation"]].assign(
        real_after_half=first["video"].str[-3:].astype(int).isin(turned).astype("boolean"),
        real_after_png=pd.Series(False, first.index, dtype="boolean"),
    )
    return rows, lines


def test_counts_are_those_that_were_planted() -> None:
    rows, lines = run()
    assert transforms(rows) == ("half", "png")
    found = surviving_flips(rows, lines, "half", 0)
    assert {name: (each.survived, each.flips) for name, each in found.items()} == {
        "LIME": (12, 36), "RISE": (12, 12), "random": (0, 18), "edges": (0, 0),
    }  # fmt: skip
    assert found["LIME"].share.value == pytest.approx(1 / 3)
    assert (found["LIME"].share.frames, found["LIME"].share.videos) == (12, 6)
    assert (found["random"].share.frames, found["random"].share.videos) == (6, 3)
    for name in ("LIME", "RISE", "random"):
        share = found[name].share
        assert 0 <= share.low <= share.value <= share.high <= 1
    assert found["RISE"].share.low < 1  # six videos that agree prove no more than their number allows
    assert math.isnan(found["edges"].share.value)


def test_frames_that_the_transform_alone_turns_do_not_count() -> None:
    rows, lines = run(turned=(0, 4))
    assert {key[-9:-6] for key in turned_alone(lines, "half")} == {"000", "004"}
    assert turned_alone(lines, "png") == ()
    found = surviving_flips(rows, lines, "half", 0)
    assert (found["LIME"].survived, found["LIME"].flips) == (8, 24)
    assert (found["random"].survived, found["random"].flips) == (0, 12)
    assert surviving_flips(rows, lines, "png", 0)["LIME"].flips == 36
    nothing = surviving_flips(*run(turned=tuple(range(6))), "half", 0)["LIME"]
    assert (nothing.survived, nothing.flips) == (0, 0)
    assert math.isnan(nothing.share.value)


def test_frames_called_real_do_not_count() -> None:
    rows, lines = run()
    real = table([unseen(row) for row in make(flips, METHODS, videos=1, frames=1)]).assign(key="r.png")
    real = real.assign(survives_half=pd.NA, survives_png=pd.NA)
    lines = pd.concat([lines, lines.iloc[:1].assign(key="r.png", predicted="Real", real_after_half=pd.NA)])
    again = surviving_flips(pd.concat([rows, real], ignore_index=True), lines, "half", 0)
    assert again["LIME"].flips == 36


def test_one_video_has_no_interval() -> None:
    share = surviving_flips(*run(videos=1), "half", 0)["LIME"].share
    assert share.value == pytest.approx(1 / 3)
    assert math.isnan(share.low)
    assert math.isnan(share.high)


def test_the_interval_covers_the_truth_of_many_runs() -> None:
    """Of flips that outlive a transform with a video's own chance, 0.3 in the mean: 95 % intervals, in 100 runs."""
    draws, covered = np.random.default_rng(3), 0
    base, _ = run(videos=20)
    for _ in range(100):
        chance = draws.choice([0.1, 0.5], size=20)
        rows = base[base["method"] == "LIME"].copy()
        survived = draws.random(len(rows)) < chance[rows["video"].str[-3:].astype(int)]
        rows["survives_half"] = pd.Series(survived, rows.index, dtype="boolean")
        lines = rows.drop_duplicates("key").assign(real_after_half=False)
        share = surviving_flips(rows, lines, "half", 0)["LIME"].share
        covered += share.low <= 0.3 <= share.high
    assert 0.88 <= covered / 100 < 1


def test_summary_headline_and_grid_say_the_same() -> None:
    rows, lines = run(turned=(0,))
    expected = surviving_flips(rows, lines, "half", 0)
    mean = summarise_methods(rows, 0, lines).of("nes", "mean")
    assert {name: line.survives["half"] for name, line in mean.items()} == expected
    deepest = summarise_methods(rows, 0, lines).of("nes", "1-3")["LIME"].survives["half"]
    assert (deepest.survived, deepest.flips) == (10, 10)
    (headline, *_) = rank_methods(rows, 0, lines)
    assert {line.method: line.survives["half"] for line in headline.lines} == {
        name: expected[name] for name in ("LIME", "RISE")
    }
    grid = surviving_grid(rows, lines)
    assert grid.columns == ("flips", "half", "png")
    for name, cells in grid.lines:
        assert (cells[1].count, cells[2].count) == (expected[name].flips, mean[name].survives["png"].flips)
        assert cells[1].value == pytest.approx(expected[name].share.value, nan_ok=True)
        assert cells[0].value == pytest.approx(mean[name].flip_rate.value)


def test_without_the_lines_of_frames_nothing_is_counted() -> None:
    rows, lines = run()
    for unknown in (pd.DataFrame(), lines.drop(columns="real_after_half")):
        with pytest.raises(ValueError, match="what half alone does is not known"):
            surviving_flips(rows, unknown, "half", 0)


def test_a_run_that_asks_for_nothing_has_nothing() -> None:
    rows = table(make(flips, METHODS))
    assert transforms(rows) == ()
    assert all(line.survives == {} for line in summarise_methods(rows).lines)
