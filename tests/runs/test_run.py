"""Runs on disk: what is kept, tried again, refused, divided."""

import errno
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common import log
from common.errors import InputError
from common.files import stem
from data.frames import CLASS_NAMES, Frame
from data.source import open_frames
from reporting.products import RunResults
from runs import npy_records
from runs import run_folder as folder_module
from runs.run_folder import RunFolder, Shard
from runs.seals import Seals
from runs.selection import Selection, demo_selection, select_frames
from runs.workers.messages import Score
from scoring.costs import Cost
from scoring.records import Row
from scoring.scored import Scored
from tests.analysis.made_up import make, verdict
from tests.reporting.test_tables import GRADE
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.whole_runs import score_and_report
from tests.scoring.stand_ins import picture, save, write_frames

METHODS = ("LIME", "random")
TIMED = ("costs.csv", "report.html", "log.txt")


@pytest.fixture
def selection(tmp_path: Path) -> Selection:
    return select_frames(open_frames(write_frames(tmp_path / "frames", videos=2)))


class Scores:
    """A scorer that only notes what it was asked; some frames it cannot score."""

    def __init__(self, failing: Mapping[str, BaseException] | None = None) -> None:
        self.asked: list[str] = []
        self.failing = failing or {}

    def __call__(self, frame: Frame, tell: Callable[[str], None]) -> Scored:
        tell("LIME")
        self.asked.append(frame.key)
        for part, error in self.failing.items():
            if part in frame.key:
                raise error
        made = make(lambda method, video, k: method != "random", METHODS, videos=1, frames=1)
        own = {"key": frame.key, "video": frame.video, "family": frame.family or "", "predicted": "FaceSwap"}
        rows = [replace(row, **own) for row in made]  # type: ignore[arg-type]
        seconds = time.perf_counter()  # never the same again
        costs, verdicts = [Cost("LIME", 10, 1, seconds)], [replace(verdict(rows[0]), probabilities="0.1 0.9")]
        return Scored(rows, [replace(GRADE, key=frame.key)], [], costs, None, verdicts)


def start(
    path: Path, selection: Selection, score: Score, shard: Shard | None = None, **changes: object
) -> RunResults | int:
    configuration = replace(CONFIGURATION, methods=METHODS, frames=selection.identity, **changes)  # type: ignore[arg-type]
    return score_and_report(path, configuration, selection, score, shard)


def finished(path: Path, selection: Selection, score: Score) -> RunResults:
    results = start(path, selection, score)
    assert isinstance(results, RunResults)
    return results


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a run but its locks and log, and what its costs are in: tables, the report, seconds of frames."""
    files = [file for file in path.rglob("*") if file.is_file() and file.parent.name != "costs"]
    found = {str(f.relative_to(path)): f.read_bytes() for f in files if f.name not in TIMED and f.name[:5] != ".lock"}
    if "frames.csv" in found:
        found["frames.csv"] = pd.read_csv(path / "frames.csv").drop(columns="seconds").to_csv(index=False).encode()
    return found


def test_a_run_scores_every_frame_once_and_writes_every_table(tmp_path: Path, selection: Selection) -> None:
    score = Scores()
    results = finished(tmp_path / "run", selection, score)
    assert score.asked == list(selection.keys)
    assert results.rows.frames["key"].tolist() == list(selection.keys)
    written = set(contents(tmp_path / "run"))
    assert {"config.json", "failures.csv", "scores_LIME.csv", "rows_LIME.csv", "summary_LIME.csv", "results_LIME.npy",
            "summary_LIME.png"} <= written  # fmt: skip
    assert len([name for name in written if name.startswith("frames/")]) == 8
    costs = pd.read_csv(tmp_path / "run" / "costs.csv")
    assert costs["forwards"].tolist() == [10] * 8
    frames = pd.read_csv(tmp_path / "run" / "frames.csv")
    assert frames["key"].tolist() == list(selection.keys)
    assert frames["seconds"].tolist() == costs["seconds"].tolist()
    assert (frames["p(FaceSwap)"].tolist(), frames["adversarial_steps"].tolist()) == ([0.9] * 8, [12] * 8)
    assert (tmp_path / "run" / "frames.csv") in results.files
    assert all(path.is_file() for path in results.files)


def test_a_finished_run_is_not_scored_again(tmp_path: Path, selection: Selection) -> None:
    finished(tmp_path / "run", selection, Scores())
    before, again = contents(tmp_path / "run"), Scores()
    finished(tmp_path / "run", selection, again)
    assert again.asked == []
    assert contents(tmp_path / "run") == before


def test_only_missing_and_damaged_frames_are_scored_again(tmp_path: Path, selection: Selection) -> None:
    path = tmp_path / "run"
    finished(path, selection, Scores())
    before, folder = contents(path), RunFolder(path)
    folder.file(Row, selection.keys[2]).unlink()
    damaged = folder.file(Row, selection.keys[5])
    damaged.write_bytes(damaged.read_bytes()[:-7])
    again = Scores()
    finished(path, selection, again)
    assert again.asked == [selection.keys[2], selection.keys[5]]
    assert contents(path) == before


@pytest.mark.parametrize("packed", [False, True])
def test_damage_that_keeps_its_length_is_scored_again_and_leaves_no_trace(
    tmp_path: Path, selection: Selection, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path, other = tmp_path / "run", tmp_path / "other"
    finished(path, selection, Scores())
    before = contents(path)
    start(other, selection, Scores(), seed=3)
    if packed:
        RunFolder(path).pack(selection.keys[4:])
    bit = RunFolder(path).file(Row, selection.keys[0])
    whole = bit.read_bytes()
    bit.write_bytes(whole[:-500] + bytes([whole[-500] ^ 4]) + whole[-499:])
    halved = RunFolder(path).file(Row, selection.keys[1])
    np.save(halved, np.load(halved)[::2])
    foreign = RunFolder(path).file(Row, selection.keys[2])
    foreign.write_bytes(RunFolder(other).file(Row, selection.keys[2]).read_bytes())
    for part in path.glob("metrics/part-*"):
        part.write_bytes(part.read_bytes().replace(b"PAR1", b"PAR2"))
    again = Scores()
    finished(path, selection, again)
    assert again.asked == [*selection.keys[:3], *(selection.keys[4:] if packed else ())]
    assert contents(path) == before
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(told) == 3 + packed
    assert all("scored it again" in line or "scored them again" in line for line in told)


def test_a_run_that_lost_its_configuration_is_refused_untouched(tmp_path: Path, selection: Selection) -> None:
    path, score = tmp_path / "run", Scores()
    finished(path, selection, Scores())
    (path / "config.json").unlink()
    before = contents(path)
    with pytest.raises(InputError, match=r"its config\.json, which says what made it, is gone"):
        start(path, selection, score, seed=3)
    assert score.asked == []
    assert contents(path) == before


@pytest.mark.parametrize("what", ["another run", "gone", "moved away"])
def test_a_folder_that_becomes_another_runs_gets_no_tables(tmp_path: Path, selection: Selection, what: str) -> None:
    """While frames are scored, and nothing is written any more that would be taken for the other run's."""
    path, last = tmp_path / "run", selection.keys[-1]
    other, untouched = tmp_path / "other", Scores()
    start(other, selection, Scores(), seed=1)

    def score(frame: Frame, tell: Callable[[str], None]) -> Scored:
        if frame.key == last and what == "moved away":
            path.rename(tmp_path / "elsewhere")
            shutil.copytree(other, path, dirs_exist_ok=True)  # a folder may have been made anew for a record
        elif frame.key == last:
            (path / "config.json").unlink()
            if what == "another run":
                shutil.copy(other / "config.json", path)
        return untouched(frame, tell)

    written = r"|run/.*\.part" if what == "moved away" else ""  # where a record was being written at that moment
    with pytest.raises(
        (InputError, FileNotFoundError), match=r"run/config\.json changed while the run was at" + written
    ):
        start(path, selection, score)
    for name in ("scores_LIME.csv", "rows_LIME.csv", "failures.csv", "summary_LIME.csv"):
        kept = (other / name).read_bytes() if what == "moved away" else None
        assert ((path / name).read_bytes() if (path / name).exists() else None) == kept, name


@pytest.mark.parametrize("folder", ["frames", "verdicts", "grades", "costs"])
def test_a_finished_frame_that_is_lost_on_the_way_counts_as_failed(
    tmp_path: Path, selection: Selection, folder: str
) -> None:
    first, last, scores = selection.keys[0], selection.keys[-1], Scores()

    def score(frame: Frame, tell: Callable[[str], None]) -> Scored:
        if frame.key == last:
            next((tmp_path / "run" / folder).glob(f"{stem(first)}.*")).unlink()
        return scores(frame, tell)

    results = finished(tmp_path / "run", selection, score)
    assert list(results.failures) == [first]
    assert "taken away or damaged while the run was at work" in results.failures[first]
    assert first in (tmp_path / "run" / "failures.csv").read_text()
    assert not finished(tmp_path / "run", selection, Scores()).failures


def test_a_run_of_another_configuration_is_refused_untouched(tmp_path: Path, selection: Selection) -> None:
    finished(tmp_path / "run", selection, Scores())
    before, score = contents(tmp_path / "run"), Scores()
    with pytest.raises(InputError, match="seed was 0 and is now 3"):
        start(tmp_path / "run", selection, score, seed=3)
    assert score.asked == []
    assert contents(tmp_path / "run") == before


def test_other_frames_are_another_configuration(tmp_path: Path, selection: Selection) -> None:
    """Resuming counts no rows: a changed picture or label under the same key is noticed."""
    finished(tmp_path / "run", selection, Scores())
    key = selection.keys[0]
    save(tmp_path / "frames", key, 255 - picture(key, "Deepfakes"))
    changed = select_frames(open_frames(tmp_path / "frames" / "index.csv"))
    with pytest.raises(InputError, match="fingerprint"):
        start(tmp_path / "run", changed, Scores())


@pytest.mark.parametrize("damage", ["missing", "broken", "unscorable", "numerical"])
def test_one_bad_frame_never_ends_a_run(
    tmp_path: Path, selection: Selection, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = selection.keys[3]
    file, score = tmp_path / "frames" / key, Scores()
    if damage == "missing":
        file.unlink()
    elif damage == "broken":
        file.write_bytes(file.read_bytes()[:100])
    else:
        error = InputError("no explanation") if damage == "unscorable" else RuntimeError("the solver did not converge")
        score = Scores({key: error})
    results = finished(tmp_path / "run", selection, score)
    assert list(results.failures) == [key]
    assert len(results.rows) == 7
    told = pd.read_csv(tmp_path / "run" / "failures.csv")
    assert told["key"].tolist() == [key]
    assert len(told["reason"][0]) > 10
    assert key in capsys.readouterr().err
    if damage == "numerical":
        assert told["reason"][0] == "LIME: RuntimeError: the solver did not converge"


def test_a_failed_frame_is_tried_again(tmp_path: Path, selection: Selection) -> None:
    key = selection.keys[3]
    finished(tmp_path / "run", selection, Scores({key: InputError("not today")}))
    again = Scores()
    results = finished(tmp_path / "run", selection, again)
    assert again.asked == [key]
    assert results.failures == {}
    assert (tmp_path / "run" / "failures.csv").read_text() == "key,stage,reason\n"
    finished(tmp_path / "whole", selection, Scores())
    assert contents(tmp_path / "whole") == contents(tmp_path / "run")


def test_when_every_frame_fails_the_run_says_why(tmp_path: Path, selection: Selection) -> None:
    with pytest.raises(InputError, match="none of the 8 frames could be scored; the first: not today"):
        start(tmp_path / "run", selection, Scores({"": InputError("not today")}))
    assert len(pd.read_csv(tmp_path / "run" / "failures.csv")) == 8


ERRORS = [TypeError("bug"), KeyError("logits"), AssertionError(), MemoryError(), OSError(24, "too many"), SystemExit(0)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_users_code_raises_leaves_that_frame_out_and_its_traceback_in_the_log(
    tmp_path: Path, selection: Selection, error: BaseException
) -> None:
    path, key = tmp_path / "run", selection.keys[1]
    with log.closing():
        log.open_in(path)
        results = finished(path, selection, Scores({key: error}))
    assert list(results.failures) == [key]
    assert len(results.rows) == 7
    expected = "no memory is left" if isinstance(error, MemoryError) else type(error).__name__
    assert results.failures[key].startswith(f"LIME: {expected}")
    logged = (path / "log.txt").read_text()
    assert "| Traceback (most recent call last):" in logged
    assert "raise error" in logged
    assert f"| {type(error).__name__}" in logged


def test_a_frame_that_cannot_be_scored_for_a_known_reason_needs_no_traceback(
    tmp_path: Path, selection: Selection
) -> None:
    path, key = tmp_path / "run", selection.keys[1]
    with log.closing():
        log.open_in(path)
        assert finished(path, selection, Scores({key: InputError("no explanation")})).failures == {
            key: "no explanation"
        }
    assert "Traceback" not in (path / "log.txt").read_text()


def test_an_interruption_loses_the_frame_in_work_only(tmp_path: Path, selection: Selection) -> None:
    class Interrupted(Scores):
        def __call__(self, frame: Frame, tell: Callable[[str], None]) -> Scored:
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().__call__(frame, tell)

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run", selection, Interrupted())
    rest = Scores()
    finished(tmp_path / "run", selection, rest)
    assert rest.asked == list(selection.keys[3:])
    finished(tmp_path / "whole", selection, Scores())
    assert contents(tmp_path / "whole") == contents(tmp_path / "run")


def test_a_full_disk_loses_nothing(tmp_path: Path, selection: Selection, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = npy_records.save_records
    written = 0

    def full(path: Path, array: np.ndarray, seals: Seals, beside: Mapping[str, str] | None) -> None:
        nonlocal written
        written += 1
        if written > 16:  # a frame has four files
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        saved(path, array, seals, beside)

    with monkeypatch.context() as patched:
        patched.setattr(folder_module.npy_records, "save_records", full)
        with pytest.raises(OSError, match="No space"):
            start(tmp_path / "run", selection, Scores())
    rest = Scores()
    finished(tmp_path / "run", selection, rest)
    assert rest.asked == list(selection.keys[4:])
    finished(tmp_path / "whole", selection, Scores())
    assert contents(tmp_path / "whole") == contents(tmp_path / "run")


def test_parts_of_a_run_make_the_same_tables(tmp_path: Path, selection: Selection) -> None:
    path = tmp_path / "run"
    parts = [Scores() for _ in range(3)]
    assert start(path, selection, parts[0], Shard(0, 3)) == 5
    assert start(path, selection, parts[2], Shard(2, 3)) == 3
    assert not (path / "scores_LIME.csv").exists()
    assert isinstance(start(path, selection, parts[1], Shard(1, 3)), RunResults)
    assert sorted(key for part in parts for key in part.asked) == sorted(selection.keys)
    finished(tmp_path / "whole", selection, Scores())
    assert contents(path) == contents(tmp_path / "whole")


def test_a_failure_in_a_part_waits_for_the_whole(tmp_path: Path, selection: Selection) -> None:
    path, bad = tmp_path / "run", {selection.keys[0]: InputError("bad")}
    assert start(path, selection, Scores(bad), Shard(0, 2)) == 5
    assert start(path, selection, Scores(bad), Shard(1, 2)) == 1
    final = Scores(bad)
    results = finished(path, selection, final)
    assert final.asked == [selection.keys[0]]
    assert list(results.failures) == [selection.keys[0]]


def test_nothing_is_drawn_where_no_verdict_is_fake(tmp_path: Path, selection: Selection) -> None:
    class AllReal(Scores):
        def __call__(self, frame: Frame, tell: Callable[[str], None]) -> Scored:
            made = super().__call__(frame, tell)
            return replace(made, rows=[replace(row, predicted="Real", flipped_to_real=False) for row in made.rows])

    results = finished(tmp_path / "run", selection, AllReal())
    assert not (tmp_path / "run" / "summary_LIME.png").exists()
    assert (tmp_path / "run" / "scores_LIME.csv").exists()
    assert all(path.is_file() for path in results.files)


def test_a_limit_is_spread_over_families_and_the_index(tmp_path: Path) -> None:
    frames = open_frames(write_frames(tmp_path, videos=4, frames=2))
    assert len(select_frames(frames).keys) == 32
    assert select_frames(frames).keys == tuple(entry.key for entry in frames.entries)
    few = select_frames(frames, limit=4)
    assert len({key.split("/")[1] for key in few.keys}) == 4  # one of each family, whatever the index's order
    assert (
        len({key.split("/")[4] for key in select_frames(frames, limit=16).keys}) == 4
    )  # all videos, not the first ones
    assert select_frames(frames, limit=99).keys == select_frames(frames).keys
    assert [few.frame(i).key for i in range(4)] == list(few.keys)
    with pytest.raises(InputError, match="--limit"):
        select_frames(frames, limit=0)


def test_real_frames_are_left_out_and_counted(tmp_path: Path) -> None:
    index = write_frames(tmp_path, videos=1)
    for number in range(3):
        save(tmp_path, f"original_sequences/a/{number}.png", picture(str(number), "Deepfakes", planted=False))
    lines = "".join(f"original_sequences/a/{number}.png,0,0\n" for number in range(3))
    index.write_text(index.read_text() + lines)
    found = select_frames(open_frames(index))
    assert (len(found.keys), found.real) == (4, 3)
    assert not any("original" in key for key in found.keys)
    index.write_text("relative_path,bin_label,mc_label\n" + lines)
    with pytest.raises(InputError, match="all 3 frames are real"):
        select_frames(open_frames(index))


def test_demo_frames_are_each_of_another_person_and_the_families_take_turns() -> None:
    found = demo_selection()
    assert len(found.keys) == 12
    assert len({key.split("/")[4] for key in found.keys}) == 12
    people = [found.frames.take(index).number for index in found.indices]  # type: ignore[attr-defined]
    assert len(set(people)) == 12
    assert all(sum(family in key for key in found.keys) == 3 for family in CLASS_NAMES[1:])
    assert demo_selection(5).keys == found.keys[:5]
    assert demo_selection(5).identity != found.identity
    assert found.frame(1).key == found.keys[1]
