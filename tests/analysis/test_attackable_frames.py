"""Frames that nothing flips, those that an attack does not flip, and the smallest region that does, on known tables."""

import pandas as pd
import pytest

from analysis.adversarial_images import AdversarialShare, adversarial_share
from analysis.attackable_frames import (
    first_flip,
    flipped_by_region_only,
    unattackable,
    unflipped,
    unmoved,
    whole_attacks,
)
from analysis.summary import summarise_methods
from reporting.conclusions import counts
from runs.conditions import detected
from runs.finished_run import FinishedRun
from runs.frame_table import FRAMES
from runs.score_table import as_score_table

MAIN = 16 / 255


@pytest.fixture
def lines() -> pd.DataFrame:
    """Frames a to e: unattackable, attackable, not known, called Real, and attackable in its second trial."""
    return pd.DataFrame(
        [
            ("a", "v", "F", "F", 0, "s", False, 0, 2),
            ("b", "v", "F", "F", 0, "s", True, 1, 2),
            ("c", "w", "F", "F", 0, "s", None, 0, 1),
            ("d", "w", "F", "Real", 0, "s", None, None, None),
            ("e", "x", "F", "F", 0, "s", True, 0, 2),
            ("e", "x", "F", "F", 1, "s", True, 1, 2),
        ],
        columns=["key", "video", "family", "predicted", "seed", "segmentation", "attackable", "adversarial_flipped",
                 "whole_attacks"],
    )  # fmt: skip


def test_only_what_the_lines_deny_is_unattackable(lines: pd.DataFrame) -> None:
    assert unattackable(lines) == unattackable(as_score_table(lines, FRAMES)) == ("a",)
    assert whole_attacks(lines) == 1  # on frame c
    assert whole_attacks(lines[lines["key"] != "c"]) == 2
    assert unattackable(pd.DataFrame()) == ()
    assert whole_attacks(pd.DataFrame()) == 0


def test_adversarial_images_are_counted_by_frame_and_trial(lines: pd.DataFrame) -> None:
    assert adversarial_share(lines) == AdversarialShare(flipped=2, images=5, frames=4)
    assert adversarial_share(lines[lines["seed"] == 0]) == AdversarialShare(flipped=1, images=4, frames=4)
    assert adversarial_share(pd.DataFrame()) == AdversarialShare(0, 0, 0)


def test_what_an_attack_flips_by_region_and_as_a_whole_at_its_main_budget(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows.copy()
    real = rows[rows["predicted"] == "Real"]["key"].unique()
    keys = [key for key in rows["key"].unique() if key not in real]
    main = rows["epsilon"] == MAIN
    rows.loc[main & (rows["method"] == "whole"), "flipped_to_real"] = True
    chosen = (rows["attack"] == "nes") & main & rows["key"].isin([*keys[:3], *real])
    rows.loc[chosen, "flipped_to_real"] = False
    rows.loc[chosen & (rows["key"] == keys[2]) & (rows["method"] == "LIME"), "flipped_to_real"] = True
    rows.loc[(rows["key"] == keys[1]) & ~main, "flipped_to_real"] = True  # at a smaller budget: not the main one
    assert unflipped(rows) == {"nes": tuple(keys[:2]), "pgd": ()}
    assert flipped_by_region_only(rows) == {"nes": (keys[2],), "pgd": ()}
    for without_whole in (rows[rows["method"] != "whole"], rows.iloc[:0]):
        assert unflipped(without_whole) == flipped_by_region_only(without_whole) == {}


def test_frames_that_an_attack_leaves_as_they_are_are_named_by_attack(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows.copy()
    real = rows[rows["predicted"] == "Real"]["key"].unique()
    first, second, *_ = [key for key in rows["key"].unique() if key not in real]
    main = rows["epsilon"] == MAIN
    rows["drop"] = rows["epsilon"]
    assert unmoved(rows) == {}
    rows.loc[main & (rows["attack"] == "nes") & rows["key"].isin([first, second, *real]), "drop"] = 0.0
    one = rows.index[main & (rows["attack"] == "nes") & (rows["key"] == second)][0]
    rows.loc[one, "drop"] = -1e-3
    assert unmoved(rows) == unmoved(as_score_table(rows)) == {"nes": (first,)}
    assert unmoved(rows.iloc[:0]) == {}
    said = " ".join(counts(rows, summarise_methods(rows), {}))
    assert f"Left as they are by nes in every region: 1 frame ({first}); nothing that it tried raised" in said


def test_the_first_flip_is_the_smallest_depth(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows[plausible_run.rows["attack"] == "nes"].copy()
    key = detected(as_score_table(rows)).frames["key"].iloc[0]
    main = (rows["key"] == key) & (rows["epsilon"] == MAIN)
    for method, flipping in (("LIME", {"2", "3"}), ("RISE", set())):
        ours = main & (rows["method"] == method)
        rows.loc[ours, "flipped_to_real"] = rows.loc[ours, "depth"].isin(flipping)
    depths = first_flip(rows, "nes")
    assert (depths[(key, "LIME")], depths[(key, "RISE")]) == ("2", "")


def test_a_score_table_says_the_same_as_its_tidy_table(plausible_run: FinishedRun) -> None:
    scores = as_score_table(plausible_run.rows)
    assert unflipped(scores) == unflipped(plausible_run.rows)
    assert flipped_by_region_only(scores) == flipped_by_region_only(plausible_run.rows)
    assert first_flip(scores, "nes") == first_flip(plausible_run.rows, "nes")
