"""Frames of which a part failed: what of them is kept, what is said of it, and that no number is misled."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.attackable_frames import unflipped
from analysis.method_ranking import rank_methods
from analysis.summary import summarise_methods
from common import log
from data.frames import Frame
from data.source import open_frames
from reporting.conclusions import conclude_by_flips, counts
from reporting.products import RunResults
from runs.partial_frames import MissingPart, missing_parts, partial_frames
from runs.run_folder import RunFolder
from runs.score_table import as_score_table
from runs.selection import Selection, select_frames
from scoring.attempts import StageFailure, as_text
from scoring.records import FrameVerdict, Row
from scoring.scored import Scored
from tests.analysis.made_up import make, table, verdict
from tests.runs.test_run import Scores, finished
from tests.scoring.stand_ins import write_frames

METHODS = ("LIME", "RISE", "random")
SLIC = StageFailure("LIME", "the solver did not converge", "Traceback\n  in solver\nRuntimeError: no")


class Partial(Scores):
    """A scorer whose "LIME" and whose attack "nes" fail on some frames."""

    def __init__(self, without_lime: tuple[str, ...] = (), without_nes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.without_lime, self.without_nes = without_lime, without_nes

    def __call__(self, frame: Frame, tell: Callable[[str], None]) -> Scored:
        whole = super().__call__(frame, tell)
        made = make(lambda method, *_: method != "random", METHODS, videos=1, frames=1, attacks=("nes", "fgsm"))
        own = {"key": frame.key, "video": frame.video, "family": frame.family or "", "predicted": "FaceSwap"}
        rows = [replace(row, **own) for row in made]  # type: ignore[arg-type]
        failures = []
        if frame.key in self.without_lime:
            failures.append(SLIC)
            rows = [row for row in rows if row.method != "LIME"]
        if frame.key in self.without_nes:
            failures.append(StageFailure("attack nes", "no memory is left (84 GiB)"))
            rows = [row for row in rows if row.attack != "nes"]
        verdicts = [replace(verdict(rows[0]), probabilities="0.1 0.9", unscored=as_text(failures))]
        return replace(whole, rows=rows, frame_verdicts=verdicts, failures=failures)


@dataclass(frozen=True, eq=False)
class Run:
    """A run whose first frame lacks the first method and the main attack, the second and third one of them each."""

    path: Path
    selection: Selection
    results: RunResults


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("partial")
    selection = select_frames(open_frames(write_frames(path / "frames", videos=2)))
    first, second, third, *_ = selection.keys
    with log.closing():
        log.open_in(path / "run")
        score = Partial(without_lime=(first, second), without_nes=(first, third))
        return Run(path / "run", selection, finished(path / "run", selection, score))


def test_what_a_frame_has_is_kept_and_what_it_lacks_is_said_everywhere(run: Run) -> None:
    results, (first, second, third, *_) = run.results, run.selection.keys
    assert results.failures == {}
    assert len(results.rows) == 8
    told = pd.read_csv(run.path / "failures.csv", keep_default_na=False)
    assert told[["key", "stage"]].values.tolist() == [
        [first, "LIME"], [first, "attack nes"], [second, "LIME"], [third, "attack nes"]
    ]  # fmt: skip
    frames = pd.read_csv(run.path / "frames.csv", keep_default_na=False)
    assert frames["unscored"].tolist()[:4] == ["LIME; attack nes", "LIME", "attack nes", ""]
    logged = (run.path / "log.txt").read_text()
    assert f"WARNING {second} is scored without LIME: the solver did not converge" in logged
    assert "| RuntimeError: no" in logged
    sentence = "Scored in part: 3 frames, 2 without LIME, 2 without attack nes."
    page = (run.path / "report.html").read_text()
    assert page.count(sentence) == 2  # beside the answer, and among what was left out
    assert "the solver did not converge" in page
    assert sentence in " ".join(counts(results.rows, results.summary, {}, results.frames, results.missing))


def test_numbers_are_of_the_frames_that_have_them(run: Run) -> None:
    lines = {(line.attack, line.method): line for line in run.results.summary.lines if line.top == "mean"}
    assert [lines["nes", method].frames for method in METHODS] == [5, 6, 6]
    assert [lines["fgsm", method].frames for method in METHODS] == [6, 8, 8]
    assert [lines["fgsm", method].accuracy_frames for method in METHODS] == [6, 8, 8]
    assert lines["nes", "LIME"].flip_rate.value == 1.0
    assert lines["nes", "LIME"].drop_vs_random.difference.frames == 5
    assert lines["nes", "RISE"].drop_vs_random.difference.frames == 6
    assert all(lines[key].drop_vs_random.p == lines[key].drop_vs_random.p for key in lines if key[1] != "random")
    (main, *_) = run.results.headlines
    assert [(line.method, line.frames) for line in main.lines] == [("LIME", 5), ("RISE", 6)]


def test_the_first_frame_decides_neither_the_main_attack_nor_the_order(run: Run) -> None:
    """What comes first in a run is its answer: its first frame lacks the main attack and the first method."""
    assert run.results.headlines[0].condition.attack == "nes"
    assert run.results.summary.attacks == ("nes", "fgsm")
    names = run.results.rows.columns[["attack", "method", "depth"]].values.tolist()
    assert names == [[attack, method, depth] for attack in ("nes", "fgsm") for method in METHODS for depth in "123"]


def test_a_frame_in_part_is_finished_also_when_it_is_packed(run: Run) -> None:
    folder, again = RunFolder(run.path), Partial()
    before = (run.path / "failures.csv").read_bytes()
    folder.pack(run.selection.keys)
    assert finished(run.path, run.selection, again).missing == run.results.missing
    assert again.asked == []
    assert (run.path / "failures.csv").read_bytes() == before
    texts = RunFolder(run.path).tables(run.selection.keys)[FrameVerdict].column("unscored").to_pylist()
    assert [text != "" for text in texts] == [True] * 3 + [False] * 5


def test_statistics_with_gaps_are_those_of_the_frames_without() -> None:
    """Each method's number on its own frames is what a run of only these frames gives, and others' do not change."""

    def flips(method: str, video: int, k: int) -> bool:
        return {"LIME": video % 2 == 0, "RISE": video % 3 == 0, "random": video == 5}[method]

    rows = make(flips, METHODS, videos=9, frames=1)
    gaps = {rows[0].key, rows[27].key}
    partial = [row for row in rows if not (row.method == "LIME" and row.key in gaps)]
    summary, whole = summarise_methods(table(partial)), summarise_methods(table(rows))
    only = summarise_methods(table([row for row in rows if row.key not in gaps]))
    found, expected, own = (each.of("nes", "mean") for each in (summary, whole, only))
    assert found["RISE"] == replace(expected["RISE"], flip_rate_vs_random=found["RISE"].flip_rate_vs_random,
                                    drop_vs_random=found["RISE"].drop_vs_random)  # fmt: skip
    assert found["RISE"].drop_vs_random.p == expected["RISE"].drop_vs_random.p  # Holm's correction apart
    assert (found["LIME"].flip_rate, found["LIME"].drop, found["LIME"].frames) == (
        own["LIME"].flip_rate, own["LIME"].drop, 7
    )  # fmt: skip
    assert found["LIME"].drop_vs_random.p == own["LIME"].drop_vs_random.p
    assert found["LIME"].drop_vs_random.difference == own["LIME"].drop_vs_random.difference
    headline, alone = (rank_methods(table(each), 0)[0] for each in (partial, rows))
    assert headline.of("RISE").drop == alone.of("RISE").drop  # type: ignore[union-attr]
    assert headline.of("LIME").frames == 7  # type: ignore[union-attr]


def test_a_frame_that_an_attack_failed_on_does_not_count_as_standing_against_it() -> None:
    def whole(key: str, attack: str, flips: bool) -> list[Row]:
        (row, *_) = make(lambda *_: flips, ("whole",), videos=1, frames=1, attacks=(attack,))
        return [replace(row, key=key, depth="all")]

    rows = [*whole("a", "nes", False), *whole("a", "fgsm", False), *whole("b", "fgsm", False)]
    assert unflipped(table(rows)) == {"nes": ("a",), "fgsm": ("a", "b")}


def test_several_trials_are_told_apart_and_nothing_missing_says_nothing() -> None:
    (row, *_) = make(lambda *_: True, ("LIME",), videos=1, frames=1)
    first = replace(verdict(row), unscored=as_text([StageFailure("LIME", "no")]))
    second = replace(first, seed=first.seed + 1, unscored="")
    found = list(missing_parts(pd.DataFrame([first, second])))
    assert found == [MissingPart(row.key, f"LIME (seed {first.seed}, {first.segmentation})", "no")]
    assert list(missing_parts(pd.DataFrame([second]))) == []
    assert partial_frames([]) == ""


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_columns_are_in_the_order_that_frames_have_theirs(order: list[int]) -> None:
    rows = make(lambda *_: True, ("A", "B", "C", "random"), videos=3, frames=1)
    lacking = [{"A"}, {"B", "random"}, set()]
    by_frame = [[row for row in rows if row.video.endswith(f"{i:03d}") and row.method not in lacking[i]] for i in order]
    columns = as_score_table(table([row for frame in by_frame for row in frame])).columns
    assert columns[["method", "depth"]].values.tolist() == [[m, d] for m in ("A", "B", "C", "random") for d in "123"]


def test_how_much_a_test_can_tell_follows_from_the_method_with_the_most_frames() -> None:
    rows = make(lambda *_: False, METHODS, videos=9, frames=1)
    few = [row for row in rows if not (row.method == "LIME" and int(row.video[-3:]) > 1)]
    told = " ".join(conclude_by_flips(table(few), summarise_methods(table(few)), "nes", 0))
    assert "videos no test" not in told
    assert "from one video" not in told
