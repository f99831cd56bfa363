"""What own parts give of the first frame is the same in every process of a run, or the run is not gone on with."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluate
from common.console import status
from common.errors import InputError
from detectors import Queries
from detectors.checks.consistency import probes
from runs.asked_own_parts import given_here
from runs.first_given import FILE, PLACES, FirstGiven, _difference, keep_given, require_same_given, sampled
from runs.run_folder import RunFolder
from runs.run_options import EvaluationOptions
from runs.setup import RunSetup, prepare_run, settled
from runs.stored_run import read_stored_run
from runs.workers.start import PreparedRun, prepared_parts
from tests import own_parts
from tests.scoring.stand_ins import write_frames

OWN = "tests.own_parts"
PLANTED = "tests.scoring.stand_ins:TwoClassPlanted"
CASES = {
    "method": ("--method", f"{OWN}:draws_at_import"),
    "attack": ("--attack", f"{OWN}:DrawsItsDirection"),
    "metric": ("--metric", f"{OWN}:WeighsByADraw"),
    "detector": ("--detector", f"{OWN}:MirrorsByADraw"),
}
SAID = {
    "method": f"method {OWN}:draws_at_import gives otherwise of the first frame (by ",
    "attack": f"attack {OWN}:DrawsItsDirection gives otherwise of the first frame (by ",
    "metric": f"metric {OWN}:WeighsByADraw.drawn gives otherwise of the first frame (",
    "detector": "detector MirrorsByADraw's prepare gives otherwise of the first frame (by ",
}
FIRST, SECOND = (low + np.random.default_rng(n).random((48, 48), np.float32) / 2 for n, low in ((1, 0.5), (2, 0.0)))
"""What two processes drew, the means on either side of a half."""


def words(index: Path, results: Path, *more: str) -> list[str]:
    """A command; a method, attack and detector of the project's where `more` has none."""
    given = ["--frames", str(index), "--device", "cpu", "--threads", "1", "--preset", "quick", "--arm", "none"]
    given += [
        "--results",
        str(results),
        "--run",
        "r",
        "--set",
        "segments.count=9",
        "--set",
        "segments.compactness=1000",
    ]
    usual = {"--method": "captum:Saliency", "--attack": "pgd", "--detector": PLANTED}
    given += [word for option, name in usual.items() if option not in more for word in (option, name)]
    return [*given, *more]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=3, families=("FaceSwap",))


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    """The status and what was said of errors and warnings."""
    capsys.readouterr()
    done = status(evaluate.app, list(command))
    return done, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("kind", CASES)
def test_a_run_is_not_continued_by_parts_that_another_process_drew(
    kind: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, folder = words(index, tmp_path, *CASES[kind]), tmp_path / "r"
    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", FIRST)
    assert run(capsys, *command) == (0, "")
    assert (folder / FILE).stat().st_size < 30_000
    rows = pd.read_csv(next(folder.glob("rows_*.csv")))
    assert run(capsys, *command) == (0, "")

    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", SECOND)
    done, told = run(capsys, *command)
    assert done == 0, "all its frames are finished"
    assert SAID[kind] in told
    assert "all its frames are finished" in told

    max((folder / "frames").glob("*.npy")).unlink()
    done, told = run(capsys, *command)
    assert done == 1
    assert SAID[kind] in told
    assert "so that numbers before and after would be of different parts" in told
    assert "give another --run NAME" in told
    assert told.count("error:") == 1
    assert len(list((folder / "frames").glob("*.npy"))) == 2, "nothing was scored"

    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", FIRST)
    assert run(capsys, *command) == (0, "")
    pd.testing.assert_frame_equal(pd.read_csv(next(folder.glob("rows_*.csv"))), rows)


def prepared(index: Path, kind: str) -> tuple[EvaluationOptions, RunSetup]:
    given = {"methods": ("captum:Saliency",), "attacks": ("pgd",), "detector": PLANTED}
    option, name = CASES[kind]
    given |= {"detector": name} if kind == "detector" else {f"{option.removeprefix('--')}s": (name,)}
    options = EvaluationOptions(frames=str(index), preset="quick", device="cpu", baselines=("none",), **given)  # type: ignore[arg-type]
    return options, prepare_run(options)


@pytest.mark.parametrize("kind", CASES)
def test_a_worker_whose_parts_give_otherwise_scores_nothing(
    kind: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", FIRST)
    options, setup = prepared(index, kind)
    detector = setup.scorer.detector
    plan = PreparedRun(
        settled(options, setup),
        tmp_path,
        setup.configuration.threads,
        prepared_parts(setup),
        setup.selection.stamps,
        Queries(detector).logits(probes(detector)),
        setup.given,
    )
    plan(0)
    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", SECOND)
    with pytest.raises(InputError) as caught:
        plan(0)
    assert SAID[kind] in str(caught.value)
    assert "in a worker than where the run was started: it" in str(caught.value)


def test_workers_that_import_a_draw_are_refused(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done, told = run(capsys, *words(index, tmp_path, *CASES["method"], "--workers", "2"))
    assert done == 1
    assert SAID["method"] in told
    assert "in a worker than where the run was started" in told
    assert not list((tmp_path / "r").glob("frames/*"))


@pytest.mark.parametrize(
    "more", [(), ("--method", f"{OWN}:looking", "--attack", f"{OWN}:SeededByPair", "--metric", f"{OWN}:HitsOrMisses")]
)
def test_workers_score_with_parts_that_depend_on_nothing_else(
    more: tuple[str, ...], index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *words(index, tmp_path / "two", *more, "--workers", "2")) == (0, "")
    assert run(capsys, *words(index, tmp_path / "one", *more)) == (0, "")
    one, two = (next((tmp_path / name / "r").glob("rows_*.csv")).read_bytes() for name in ("one", "two"))
    assert one == two
    kept = [(tmp_path / name / "r" / FILE).is_file() for name in ("one", "two")]
    assert kept == [bool(more), bool(more)], "runs without own parts have no such file"


def test_parts_that_do_not_repeat_themselves_are_warned_of_and_go_on(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--method", f"{OWN}:entropic", "--attack", f"{OWN}:Entropic", "--metric", f"{OWN}:DrawsUnseeded")
    command = words(index, tmp_path, *more)
    for _ in range(2):
        done, told = run(capsys, *command)
        assert done == 0
        assert "gives otherwise" not in told
        assert json.loads((tmp_path / "r" / FILE).read_text())["records"] == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "is gone: whether own parts are what the finished frames were scored by"),
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b"method", b"metric", 1)),
            "its checksum does not fit: whether own",
        ),
        (lambda path: path.write_text("{}"), "has no checksum: it is damaged, or of an earlier version: whether own"),
    ],
)
def test_a_file_that_is_gone_or_damaged_is_said_and_written_anew(
    spoil: Callable[[Path], object],
    said: str,
    index: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command, path = words(index, tmp_path, *CASES["method"]), tmp_path / "r" / FILE
    run(capsys, *command)
    whole = path.read_bytes()
    spoil(path)
    done, told = run(capsys, *command)
    assert done == 0
    assert said in told
    assert path.read_bytes() == whole
    assert run(capsys, *command) == (0, "")
    read_stored_run(path.parent)


def test_a_run_without_a_finished_frame_begins_with_the_parts_of_now(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is shared in shards, of which another may be at work."""
    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", FIRST)
    _, setup = prepared(index, "method")
    folder, keys = RunFolder(tmp_path / "r"), setup.selection.keys
    folder.bind(setup.configuration)
    assert setup.given is not None
    keep_given(folder, setup.given, keys, alone=False)
    monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", SECOND)
    other = given_here(setup.scorer, setup.selection, setup.given)
    with pytest.raises(InputError, match="draws_at_import gives otherwise of the first frame"):
        keep_given(folder, other, keys, alone=False)
    keep_given(folder, other, keys, alone=True)
    keep_given(folder, other, keys, alone=False)
    assert capsys.readouterr().err == ""


def test_a_part_that_failed_at_first_is_kept_from_the_first_time_it_gives_something(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, setup = prepared(index, "method")
    folder, keys, given = RunFolder(tmp_path / "r"), setup.selection.keys, setup.given
    folder.bind(setup.configuration)
    assert given is not None
    keep_given(folder, FirstGiven(given.key, {}), keys, alone=False)
    keep_given(folder, given, keys, alone=False)
    capsys.readouterr()
    keep_given(folder, FirstGiven("another frame", {}), keys, alone=False)
    assert f"own parts were tried on {given.key} when {folder.path} was begun, and now on another frame" in (
        capsys.readouterr().err
    )
    with pytest.raises(InputError, match="draws_at_import gives otherwise"):
        keep_given(folder, FirstGiven(given.key, {part: v + 1 for part, v in given.parts.items()}), keys, alone=False)


def test_a_prepare_that_mirrors_by_a_hash_is_seen_though_it_may_not_mirror_the_first_frame(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one of two processes the first frame is the same, of eight pictures all are in one of 256."""
    options = EvaluationOptions(frames=index, preset="quick", device="cpu", baselines=("none",), attacks=("pgd",))
    setup = prepare_run(replace(options, methods=("captum:Saliency",), detector=f"{OWN}:MirrorsByHash"))
    assert setup.given is not None
    refused = 0
    for salt in range(1, 9):
        monkeypatch.setattr(own_parts, "SALT", salt)
        with contextlib.suppress(InputError):
            require_same_given(setup.given, given_here(setup.scorer, setup.selection, setup.given))
            continue
        refused += 1
    assert refused >= 7


def test_what_fails_in_a_worker_is_left_to_fail(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("method", "attack", "metric"):
        _, setup = prepared(index, kind)
        assert setup.given is not None
        monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", None)
        require_same_given(setup.given, given_here(setup.scorer, setup.selection, setup.given))
        monkeypatch.setattr(own_parts, "DRAWN_AT_IMPORT", FIRST)


def test_values_are_kept_at_the_same_places() -> None:
    large = np.arange(300 * 300.0).reshape(300, 300)
    kept = sampled(large)
    assert kept.shape == (PLACES,)
    np.testing.assert_array_equal(kept, sampled(large))
    assert (np.diff(kept) > 0).all()
    assert kept[0] < 1000 < 89000 < kept[-1]
    np.testing.assert_array_equal(sampled(large[:60, :60]), large[:60, :60].ravel())


@pytest.mark.parametrize(
    ("part", "change", "differs"),
    [
        ("method m", 5e-4, False),
        ("method m", 2e-3, True),
        ("attack a", 0.04, False),
        ("attack a", 0.12, True),
        ("metric v", 4e-4, False),
        ("metric v", 4e-3, True),
        ("detector D's prepare", 1e-3, False),
        ("detector D's prepare", 4e-3, True),
    ],
)
def test_what_counts_as_another_answer(part: str, change: float, differs: bool) -> None:
    before = np.linspace(0.5, 1.5, 100, dtype=np.float32)[: 1 if part.startswith("metric") else 100]
    now = before.copy()
    now[: 1 if part.startswith(("method", "metric")) else 50] += 2 * change if part.startswith("attack") else change
    assert bool(_difference(part, before, now)) == differs
    assert _difference(part, before, now[:-1] if len(now) > 1 else np.ones(2, np.float32)) == "of another size"


def test_a_metric_without_a_value_stays_without() -> None:
    assert not _difference("metric v", np.full(1, np.nan), np.full(1, np.nan))
    assert _difference("metric v", np.full(1, np.nan), np.zeros(1))
