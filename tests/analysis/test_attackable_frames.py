"""Frames that nothing flips, and the smallest region that does, on tables whose answer is known."""

import pytest

from analysis.attackable_frames import attackable, first_flip, unattackable
from analysis.score_subsets import under
from runs.finished_run import FinishedRun
from runs.score_table import as_score_table


def test_unattackable_is_where_nothing_flips_not_even_the_whole_frame(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows.copy()
    real = rows[rows["predicted"] == "Real"]["key"].unique()
    keys = [key for key in rows["key"].unique() if key not in real]
    whole = (rows["method"] == "whole") & (rows["epsilon"] == 16 / 255)
    rows.loc[whole, "flipped_to_real"] = True
    stubborn = (rows["attack"] == "nes") & (rows["epsilon"] == 16 / 255) & rows["key"].isin(keys[:3])
    rows.loc[stubborn, "flipped_to_real"] = False
    rows.loc[stubborn & (rows["key"] == keys[2]) & (rows["method"] == "LIME"), "flipped_to_real"] = True  # somewhere
    rows.loc[whole & rows["key"].isin(real), "flipped_to_real"] = False  # no fake verdict: not unattackable
    assert unattackable(rows) == {"nes": tuple(keys[:2]), "pgd": ()}
    assert attackable(under(rows, "nes")).frames["key"].tolist() == keys[2:]
    assert attackable(under(rows, "pgd")).frames["key"].tolist() == keys
    with pytest.raises(ValueError, match="one attack"):
        attackable(rows)
    assert unattackable(rows[rows["method"] != "whole"]) == {}
    assert unattackable(rows.iloc[:0]) == {}


def test_the_first_flip_is_the_smallest_depth(plausible_run: FinishedRun) -> None:
    rows = plausible_run.rows[plausible_run.rows["attack"] == "nes"].copy()
    key = attackable(rows).frames["key"].iloc[0]
    main = (rows["key"] == key) & (rows["epsilon"] == 16 / 255)
    for method, flipping in (("LIME", {"2", "3"}), ("RISE", set())):
        ours = main & (rows["method"] == method)
        rows.loc[ours, "flipped_to_real"] = rows.loc[ours, "depth"].isin(flipping)
    depths = first_flip(rows, "nes")
    assert (depths[(key, "LIME")], depths[(key, "RISE")]) == ("2", "")


def test_a_score_table_says_the_same_as_its_tidy_table(plausible_run: FinishedRun) -> None:
    scores = as_score_table(plausible_run.rows)
    assert unattackable(scores) == unattackable(plausible_run.rows)
    assert first_flip(scores, "nes") == first_flip(plausible_run.rows, "nes")
