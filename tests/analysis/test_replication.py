"""How columns move between two runs, on rows whose outcomes are chosen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.replication import ACCURACY, SUFFICIENCY, adversarial_gains, agreement, column_moves, order_of_methods
from reporting.replication import NONE_OUT, compare_with_published, show_replication, write_replication
from runs.as_published import DIFFERENCES
from runs.replication import DEPTHS, PUBLISHED, replicated_runs
from runs.run_options import EvaluationOptions
from runs.score_table import as_score_table
from scoring.records import Row
from tests.analysis.made_up import make, table

METHODS = ("LIME", "LIME_adv", "RISE")


def rows(flips: dict[str, int], videos: int = 8) -> list[Row]:
    """A method flips the first so many videos, at every depth; no other drops more than 0.1 k."""
    return make(lambda method, video, k: video < flips.get(method, 0), METHODS, videos=videos)


def test_a_column_moves_by_what_was_planted_and_no_other_does() -> None:
    first, second = (as_score_table(table(rows({"LIME": flips}))) for flips in (0, 4))
    moves = {(move.method, move.column): move for move in column_moves(first, second)}
    move = moves["LIME", "Sufficiency Top 1"]
    assert (move.first, move.second) == pytest.approx((0.1, 0.45))  # half of the frames at 0.8
    assert move.difference.value == pytest.approx(0.35)
    assert move.difference.low < 0.35 < move.difference.high
    assert moves["LIME", "Accuracy Top 1"].difference.value == pytest.approx(-0.5)
    assert {name for (name, _), move in moves.items() if move.difference.value} == {"LIME"}
    assert {move.measure for move in moves.values()} == {SUFFICIENCY, ACCURACY}
    everywhere = as_score_table(table(rows({"LIME": 8})))
    assert {name for name, move in ((m.method, m) for m in column_moves(first, everywhere)) if move.moved} == {"LIME"}


def test_frames_that_one_run_leaves_out_move_the_mean_of_the_others() -> None:
    """The columns are those of the tables: each over the frames that it has, whichever these are."""
    full = rows({"LIME": 4})
    dropped = [row for row in full if row.method != "LIME" or not row.key.endswith("/0.png") or row.drop < 0.8]
    (move,) = (
        move
        for move in column_moves(as_score_table(table(dropped)), as_score_table(table(full)))
        if (move.method, move.column) == ("LIME", "Sufficiency Top 1")
    )
    assert move.first == pytest.approx((4 * 0.8 + 8 * 0.1) / 12)
    assert move.difference.value == pytest.approx(0.45 - move.first)
    assert np.isfinite(move.difference.low)
    gone = [row for row in full if row.method != "LIME" or row.drop < 0.8]  # four videos have no row left
    (move,) = (
        move
        for move in column_moves(as_score_table(table(gone)), as_score_table(table(full)))
        if (move.method, move.column) == ("LIME", "Sufficiency Top 1")
    )
    assert np.isnan(move.difference.low)
    assert not move.moved


def test_the_order_and_the_fills_gain_are_those_of_the_mean_drops() -> None:
    scores = as_score_table(table(rows({"LIME": 2, "LIME_adv": 6})))
    assert list(order_of_methods(scores)) == ["LIME_adv", "LIME", "RISE"]
    assert order_of_methods(scores)["RISE"] == pytest.approx(0.2)
    gain = adversarial_gains(scores)["LIME"]
    assert gain.value == pytest.approx(0.6 * 4 / 8)  # four videos of eight, from 0.2 to 0.8
    assert agreement({"a": 3, "b": 2, "c": 1}, {"a": 9, "b": 8, "c": 0}) == 1
    assert agreement({"a": 3, "b": 2, "c": 1}, {"c": 9, "b": 8, "a": 0}) == -1


def test_methods_that_tie_have_no_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The alphabet's would be taken for the run's: none is best where nothing drops."""
    made, alike = (as_score_table(table(rows(flips))) for flips in ({"RISE": 2, "LIME_adv": 2}, {}))
    found = compare_with_published(alike, {"no-clamp": made, "nes-on-p": alike}, 0)
    assert np.isnan(found["no-clamp"].tau)
    assert agreement(order_of_methods(made), order_of_methods(made)) == pytest.approx(1)
    show_replication(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "Without no-clamp the order is LIME_adv = RISE, LIME." in said
    assert "The published run's order is LIME = LIME_adv = RISE." in said
    assert "The order stays without nes-on-p." in said
    places = pd.read_csv(write_replication(tmp_path, found)[1]).groupby("without")["place"].apply(list)
    assert (places["no-clamp"], places["nes-on-p"]) == ([1, 1, 3], [1, 1, 1])


def test_a_method_without_a_detected_fake_is_not_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    """As LIME's published row, where all its frames are left out but one that is called Real."""
    made = rows({"RISE": 4}, videos=4)
    missed = [replace(row, key="r", video="r", predicted="Real", drop=0.0) for row in made[:9:3]]
    published = [row for row in made if row.method != "LIME"] + missed
    found = compare_with_published(
        as_score_table(table(published)), {"lime-row": as_score_table(table(made + missed))}, 0
    )
    assert list(found[NONE_OUT].order) == ["RISE", "LIME_adv"]
    assert found["lime-row"].tau == pytest.approx(1)
    show_replication(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "LIME has no place in the order of (as published): every frame that is called fake is left out" in said


def test_without_a_detected_fake_no_order_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missed = [replace(row, predicted="Real", drop=0.0) for row in rows({}, videos=4)]
    scores = as_score_table(table(missed))
    found = compare_with_published(scores, {"no-clamp": scores}, 0)
    assert np.isnan([item.tau for item in found.values()]).all()
    show_replication(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "The published run's order is unknown, as no method has a Sufficiency." in said
    assert "The order stays" not in said
    assert all(path.is_file() for path in write_replication(tmp_path, found))


def test_the_comparison_says_what_moves(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    published = as_score_table(table(rows({"LIME": 1})))
    found = compare_with_published(published, {"lime-row": as_score_table(table(rows({"RISE": 8})))}, 0)
    assert list(found) == [NONE_OUT, "lime-row"]
    assert found["lime-row"].tau < 1
    rise = next(m for m in found["lime-row"].moves if (m.method, m.column) == ("RISE", "Sufficiency Top 1"))
    assert rise.difference.value == pytest.approx(0.7)
    show_replication(found)
    said = capsys.readouterr().out
    assert "none moves" not in said
    assert "Without lime-row the order is RISE, LIME = LIME_adv." in " ".join(said.split())
    files = write_replication(tmp_path, found)
    assert "lime-row,RISE,Sufficiency Top 1,0.1" in files[0].read_text()
    assert files[1].read_text().count("\n") == 1 + 2 * len(METHODS)


@pytest.mark.parametrize(
    ("videos", "chance"), [(2, "at least one in 2, of 2 videos,"), (4, "at least one in 8,"), (8, "one in twenty")]
)
def test_how_many_columns_move_by_chance_is_said_by_how_few_the_videos_are(
    videos: int, chance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (as_score_table(table(rows({"LIME": flips}, videos))) for flips in (0, 1))
    show_replication(compare_with_published(first, {"lime-row": second}, 0))
    assert f"columns in all, {chance} " in " ".join(capsys.readouterr().out.split())


def test_the_runs_of_a_replication_differ_by_one_switch() -> None:
    runs = replicated_runs(replace(EvaluationOptions(), overrides=("LIME.samples=50",)))
    assert list(runs) == [PUBLISHED, *(f"without-{name}" for name in DIFFERENCES)]
    assert runs[PUBLISHED].as_published == tuple(DIFFERENCES)
    for name in DIFFERENCES:
        assert set(DIFFERENCES) - set(runs[f"without-{name}"].as_published) == {name}
    assert {options.overrides for options in runs.values()} == {("LIME.samples=50", DEPTHS)}
    own = replicated_runs(replace(EvaluationOptions(), overrides=("protocol.depths=3",)))
    assert own[PUBLISHED].overrides == ("protocol.depths=3",)
