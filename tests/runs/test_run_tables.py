"""`runs.read_run`: a run's tables in pandas, against the files that it wrote and the summary of the same rows."""

import dataclasses
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import runs
from analysis.summary import summarise_methods
from common.errors import InputError
from data.source import open_frames
from reporting.products import RunResults
from runs.conditions import MEAN
from runs.run_folder import RunFolder
from runs.run_tables import RunTables
from runs.selection import select_frames
from tests.runs.test_partial_frames import Partial
from tests.runs.test_run import finished
from tests.scoring.stand_ins import write_frames

SAVED = Path(__file__).parent / "saved"


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResults, RunTables]:
    """A run of which the first frame has no LIME, the second not the main attack, and its tables."""
    path = tmp_path_factory.mktemp("tables")
    selection = select_frames(open_frames(write_frames(path / "frames", videos=2)))
    first, second, *_ = selection.keys
    results = finished(path / "run", selection, Partial(without_lime=(first,), without_nes=(second,)))
    return results, runs.read_run(str(path / "run"))


def test_the_tables_are_those_of_the_files(made: tuple[RunResults, RunTables]) -> None:
    _, run = made
    for table, name in ((run.rows, "rows_LIME"), (run.frames, "frames")):
        written = pd.read_csv(run.path / f"{name}.csv").sort_values("key", kind="stable")
        assert list(table.columns) == list(written.columns)
        assert len(table) == len(written) > 5
        for column in ("key", "predicted", "before", "flipped_to_real", "drop"):
            if column in written:
                expected = written[column].tolist()
                given = table[column].tolist()
                assert given == (pytest.approx(expected) if column in ("before", "drop") else expected), column
    assert run.rows["method"].dtype == "str"
    assert {path.name for path in run.path.glob("*.csv")} >= {"costs.csv", "failures.csv"}
    assert run.costs.columns.tolist() == ["key", "stage", "forwards", "calls", "seconds"]
    assert set(run.thresholds["measure"]) <= {"queries", "budget", "region"}
    assert run.configuration == json.loads((run.path / "config.json").read_text())


def test_the_score_table_has_the_numbers_of_the_summary(made: tuple[RunResults, RunTables]) -> None:
    results, run = made
    summary = summarise_methods(results.rows)
    assert run.scores.index.unique("attack").tolist() == list(summary.attacks)
    for attack in summary.attacks:
        scores = run.scores.loc[attack]
        assert set(scores.index) == set(summary.ranked(attack))
        for top in (*summary.shown, MEAN):
            for method, line in summary.of(attack, top).items():
                column = "flip_rate" if top == MEAN else top
                assert scores.loc[method, column] == pytest.approx(line.flip_rate.value), (attack, top, method)
        for method, line in summary.of(attack, MEAN).items():
            assert scores.loc[method, "frames"] == line.frames
            assert scores.loc[method, "drop"] == pytest.approx(line.drop.value)
    assert run.scores.loc[summary.attacks[0], "frames"].nunique() > 1  # a frame is missing of some


def test_failures_are_of_frames_and_of_their_parts(made: tuple[RunResults, RunTables]) -> None:
    results, run = made
    told = [tuple(part) for part in run.failures.itertuples(index=False)]
    assert told == sorted((part.key, part.stage, part.reason) for part in results.missing)
    assert {stage for _, stage, _ in told} == {"LIME", "attack nes"}
    again = dataclasses.replace(run)
    assert again.failures is run.failures
    with (run.path / "failures.csv").open("a") as file:
        file.write("'=gone.png,,it cannot be read\n")
    last = runs.read_run(run.path).failures.iloc[0]
    assert last.tolist() == ["=gone.png", "", "it cannot be read"]


def test_a_notebook_shows_the_score_table_and_runs_nothing(made: tuple[RunResults, RunTables]) -> None:
    _, run = made
    evil = "<script>alert(1)</script>"
    rows = run.rows.assign(method=run.rows["method"].replace({"LIME": evil}))
    detector = {**run.configuration["detector"], "name": f'"{evil}'}
    page = dataclasses.replace(run, rows=rows, configuration={**run.configuration, "detector": detector})._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2
    assert "http" not in page
    for attack in run.scores.index.unique("attack"):
        assert f"Attack {attack}: verdicts that became Real" in page
    rate = run.scores.loc[("fgsm", "RISE"), "flip_rate"]
    assert f">{100 * rate:.0f}</td>" in page
    assert page.count("<tr>") == len(run.scores) + run.scores.index.unique("attack").size


def test_files_that_macos_puts_beside_a_run_are_not_read(made: tuple[RunResults, RunTables], tmp_path: Path) -> None:
    _, whole = made
    copied = Path(shutil.copytree(whole.path, tmp_path / "copied"))
    for file in [*copied.rglob("*")]:
        (file.parent / f"._{file.name}").write_bytes(b"\0\5\x16\7")
    pd.testing.assert_frame_equal(runs.read_run(copied).rows, whole.rows)


def test_an_unfinished_run_is_read_as_far_as_it_is(made: tuple[RunResults, RunTables], tmp_path: Path) -> None:
    _, whole = made
    part = Path(shutil.copytree(whole.path, tmp_path / "part"))
    for path in part.glob("*.csv"):
        path.unlink()
    own = RunFolder(part)
    first = own.keys()[0]
    for key in own.keys()[1:]:
        own._own.remove(key)
    run = runs.read_run(part)
    assert set(run.rows["key"]) == set(run.frames["key"]) == {first}
    assert run.failures["key"].isin([first]).all()


def test_a_run_of_an_earlier_version_is_read() -> None:
    run = runs.read_run(SAVED / "380fa60")
    assert run.rows["key"].nunique() == len(run.frames) == 3
    assert "mask_precision" in run.rows
    assert not [column for column in run.frames if column.startswith("p(")]  # no verdict was kept then
    table = pd.read_csv(SAVED / "tables-380fa60" / "summary_LIME+LIME_adv.csv").set_index(["attack", "top", "method"])
    for (attack, method), line in run.scores.iterrows():
        assert line["flip_rate"] == pytest.approx(table.loc[(attack, "mean", method), "flip_rate"], abs=1e-3)
    assert "Attack nes" in run._repr_html_()


@pytest.mark.parametrize("content", [None, "[]", "{"])
def test_what_is_no_run_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        runs.read_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="has no finished frame yet"):
        runs.read_run(tmp_path)
