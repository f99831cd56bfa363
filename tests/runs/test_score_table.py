"""Score tables: what they say of rows is what the rows say."""

import doctest
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from runs import score_table
from runs.score_table import COSTS, FLIP_THRESHOLDS, SCORES, ScoreTable, ScoreTableBuilder, as_score_table
from scoring.records import Row
from tests.analysis.made_up import at_random, make, table, unclassed, unseen

CHANCE = {"LIME": 0.7, "RISE": 0.3, "random": 0.1}


def some() -> list[Row]:
    """Rows in which a video is called Real, one has no class, and one has no row of RISE."""
    made = make(at_random(0, CHANCE), tuple(CHANCE), videos=6, frames=3, attacks=("nes", "pgd"))
    changed = {"001": unseen, "002": unclassed}
    made = [changed.get(row.video[-3:], lambda row: row)(row) for row in made]
    draws = np.random.default_rng(1)
    made = [replace(row, drop=float(draws.random()), weak=bool(draws.random() < 0.2)) for row in made]
    return [row for row in made if not (row.video.endswith("004") and row.method == "RISE")]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return table(some())


@pytest.fixture(scope="module")
def scores(rows: pd.DataFrame) -> ScoreTable:
    return as_score_table(rows)


def test_every_row_is_a_column_of_its_frame(rows: pd.DataFrame, scores: ScoreTable) -> None:
    assert scores.frames["key"].tolist() == list(dict.fromkeys(rows["key"]))
    found = {}
    for place, column in scores.columns.iterrows():
        for key, drop, flipped in zip(
            scores.frames["key"], scores.read("drop", place), scores.read("flipped_to_real", place), strict=True
        ):
            if not np.isnan(drop):
                found[key, column["method"], column["attack"], column["depth"]] = (drop, bool(flipped))
    expected = {(r.key, r.method, r.attack, r.depth): (r.drop, r.flipped_to_real) for r in some()}
    assert found == expected


@pytest.mark.parametrize("measure", ["drop", "flipped_to_real", "correct_after", "area", "mask_precision", "forwards"])
def test_means_are_those_of_pandas(rows: pd.DataFrame, scores: ScoreTable, measure: str) -> None:
    chosen = rows.assign(value=rows[measure].astype("Float64").astype(float))
    by_frame = chosen.pivot_table(index="key", columns="method", values="value", dropna=False)
    found = scores.table(measure, "method").set_index(scores.frames["key"])
    pd.testing.assert_frame_equal(found.sort_index(), by_frame[found.columns], rtol=1e-12, check_names=False)
    for method, part in scores.by("method").items():
        mean, frames = part.overall(measure)
        own = chosen[(chosen["method"] == method) & chosen["value"].notna()].groupby("key")["value"].mean()
        assert (mean, frames) == (pytest.approx(own.mean(), rel=1e-12), len(own))


def test_parts_of_frames_and_columns(rows: pd.DataFrame, scores: ScoreTable) -> None:
    kept = (scores.frames["predicted"] != "Real").to_numpy()
    part = scores.with_frames(kept).with_columns(scores.columns["attack"] == "pgd")
    part = part.with_frames(np.arange(len(part)) % 2 == 0)  # of those that are left
    keys = part.frames["key"].tolist()
    assert keys == scores.frames["key"][kept].tolist()[::2]
    own = rows[(rows["attack"] == "pgd") & rows["key"].isin(keys)]
    assert part.overall("drop")[0] == pytest.approx(own.groupby("key")["drop"].mean().mean())
    weak = own.groupby("key", sort=False)["weak"].any()
    assert part.any("weak").tolist() == weak[keys].tolist()
    frames, (drops, flips) = part.rows("drop", "flipped_to_real")
    assert sorted(zip(np.array(keys)[frames], drops, flips, strict=True)) == sorted(
        zip(own["key"], own["drop"], own["flipped_to_real"].astype(float), strict=True)
    )
    names = sorted(set(rows["video"]))
    assert [names[place] for place in part.videos] == part.frames["video"].tolist()


@pytest.mark.parametrize("size", [1, 4, 7])
def test_frames_may_come_some_at_a_time(rows: pd.DataFrame, scores: ScoreTable, size: int) -> None:
    """Also where the first of them lack columns that later ones have, and some have no row at all."""
    keys = pd.Index([*rows["key"].unique()[::-1], "no/row.png"])
    builder = ScoreTableBuilder(SCORES, keys)
    for start in range(0, len(keys), size):
        builder.add(rows[rows["key"].isin(keys[start : start + size])], keys[start : start + size])
    found = builder.score_table()
    assert found.frames["key"].tolist() == keys.tolist()
    for place, column in found.columns.iterrows():
        (same,) = scores.columns.index[(scores.columns == column).all(axis=1)]
        for measure in SCORES.measures:
            expected = [*scores.read(measure, same)[::-1], np.nan]
            np.testing.assert_array_equal(found.read(measure, place), expected)


def test_what_does_not_belong_is_refused(rows: pd.DataFrame) -> None:
    keys = pd.Index(rows["key"].unique())
    with pytest.raises(ValueError, match="two rows"):
        as_score_table(pd.concat([rows, rows.iloc[:1]]))
    with pytest.raises(ValueError, match="not among"):
        ScoreTableBuilder(SCORES, keys).add(rows, keys[1:])
    with pytest.raises(ValueError, match="announced"):
        ScoreTableBuilder(SCORES, keys).score_table()


def test_the_example_of_its_docstring_is_true() -> None:
    outcome = doctest.testmod(score_table)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_an_empty_table_is_an_empty_score_table() -> None:
    for schema in (SCORES, FLIP_THRESHOLDS, COSTS):
        scores = as_score_table(pd.DataFrame(), schema)
        assert (len(scores), len(scores.columns)) == (0, 0)
        assert scores.by(schema.column[0]) == {}


def test_a_stage_that_a_frame_has_twice_is_kept_twice() -> None:
    spent = [("a", "attack", 3), ("a", "attack", 5), ("b", "attack", 7)]
    costs = pd.DataFrame(spent, columns=["key", "stage", "forwards"])
    attacks = as_score_table(costs, COSTS).by("stage")["attack"]
    assert attacks.overall("forwards") == (5.5, 2)
    assert attacks.sum("forwards").tolist() == [8, 7]


def test_a_frame_weighs_the_same_however_many_rows_it_has() -> None:
    """Frame "a" has two seeds, of "b" one failed."""
    rows = pd.DataFrame(
        [("a", "1", "LIME", 0, 0.2), ("a", "1", "LIME", 1, 0.4), ("b", "2", "LIME", 0, 0.9)],
        columns=["key", "video", "method", "seed", "drop"],
    )
    scores = as_score_table(rows)
    assert scores.overall("drop") == (pytest.approx(0.6), 2)
    assert scores.sum("drop").tolist() == pytest.approx([0.6, 0.9])
