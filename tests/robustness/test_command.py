"""The two commands as a user runs them."""

from pathlib import Path

import pytest

from common import console
from robustness.__main__ import app
from tests.robustness.planted import Coarse, Levels, Sturdy, name, write_frames
from tests.scoring.stand_ins import write_frames as write_planted

SWAPS = "tests.own_parts:Swaps"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A few planted frames."""
    return write_frames(tmp_path / "frames", {"Deepfakes": [1, 2, 20], "FaceSwap": [1, -1]}, [-60, -70, -80])


def run(command: str, tmp_path: Path, index: Path, *arguments: str) -> int:
    """The exit status of a command on the frames."""
    shared = ["--frames", str(index), "--results", str(tmp_path / "results"), "--device", "cpu", "--steps", "5"]
    quick = ["--apgd-steps", "5", "--apgd-restarts", "1", "--square-queries", "20", "--batch-size", "8"]
    return console.status(app, [command, *shared, *quick, *arguments])


def test_attack_prints_a_table_and_leaves_its_files(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("attack", tmp_path, index, "--detector", name(Levels), "--epsilon", "2/255", "--epsilon", "4/255") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "takes for real, white box (%)" in printed
    assert "4 fakes from 4 videos" in printed
    assert "it calls 1 Real without any attack" in printed
    assert "No flag" in printed
    folder = tmp_path / "results" / "robustness"
    for file in (
        "robustness.md",
        "robustness.png",
        "robustness.csv",
        "clean.csv",
        "rows.csv",
        "costs.csv",
        "check.csv",
    ):
        assert (folder / file).stat().st_size > 50, file


def test_a_transfer_says_how_it_is_made(tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transfer = ("--detector", name(Levels), "--transfer-from", name(Coarse), "--epsilon", "4/255")
    assert run("attack", tmp_path, index, *transfer) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "attacked at its 32 pixels, rounded to 8 bits and resized to 16" in printed
    assert "these attacks succeed on fgsm 4/255: 75 %" in printed
    assert "false security" not in printed


def test_compare_states_the_claim(tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = ("--detector", f"base={name(Levels)}", "--detector", f"hard={name(Sturdy)}", "--epsilon", "4/255")
    dip = ("--defence", "dip", "--dip-frames", "1", "--dip-iterations", "2")
    assert run("compare", tmp_path, index, *several, *dip) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "hard at 4/255: holds" in printed
    assert "base + dip" in printed
    folder = tmp_path / "results" / "comparison"
    assert sorted(path.name for path in folder.iterdir()) == [
        "base",
        "comparison.csv",
        "comparison.md",
        "comparison.png",
        "hard",
        "log.txt",
    ]
    assert (folder / "base" / "dip.csv").exists()
    assert not (folder / "hard" / "dip.csv").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("attack", (), "--frames needs --detector"),
        ("attack", ("--detector", "tests.toys:Nothing"), "has no 'Nothing'"),
        ("attack", ("--detector", name(Levels), "--epsilon", "2"), "lies in (0, 1]"),
        ("attack", ("--detector", name(Levels), "--attack", "pdg"), "unknown attack 'pdg' (did you mean pgd?)"),
        ("attack", ("--detector", name(Levels), "--attack", "torchattacks:PDG"), "torchattacks has no 'PDG'"),
        ("attack", ("--detector", name(Levels), "--defence", "jpeg"), "unknown --defence 'jpeg'; known: dip"),
        ("attack", ("--detector", name(Levels), "--set", "nes.pairs=3"), "add --attack nes"),
        ("attack", ("--detector", name(Levels), "--set", "pgd.stps=3"), "pgd has no setting 'stps'"),
        ("attack", ("--detector", name(Levels), "--run", "../x"), "not the name of a folder"),
        ("attack", ("--detector", name(Levels), "--split", "val"), "no frame of the split 'val'"),
        ("attack", ("--detector", name(Levels), "--transfer-from", "nobody"), "unknown detector 'nobody'"),
        ("compare", ("--detector", name(Levels)), "at least twice"),
        ("compare", ("--detector", "a=demo", "--detector", "a=demo"), "two detectors are called 'a'"),
        ("compare", ("--detector", "a/b=demo", "--detector", "c=demo"), "write it as NAME=DETECTOR"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path,
    index: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(command, tmp_path, index, *arguments) == 1
    told = capsys.readouterr().err.splitlines()
    (error,) = [line for line in told if "pictures are of one colour everywhere" not in line]  # as the planted ones are
    assert message in error
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("--check-frames", "3", "--no-check"),
        ("--check-epsilon", "2/255", "--no-check"),
        ("--steps", "3", "--no-check", "--attack", "fgsm"),
        ("--dip-frames", "3"),
        ("--dip-iterations", "3"),
    ],
)
def test_an_option_of_what_is_not_run_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("attack", "compare"):
        assert console.status(app, [command, *words]) == 1
        assert f"error: {words[0]} does nothing here" in capsys.readouterr().err


def test_steps_that_are_given_twice_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.status(app, ["attack", "--steps", "3", "--set", "pgd.steps=4", "--limit", "1"]) == 1
    assert "--steps and --set pgd.steps say the same" in capsys.readouterr().err


def test_frames_of_their_own_need_frames(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.status(app, ["attack", "--split", "test"]) == 1
    assert "--split needs --frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("attacks", "who"),
    [
        ((SWAPS, "pgd"), f"attack {SWAPS}"),
        (("pgd", SWAPS), f"attack {SWAPS}"),
        ((f"{SWAPS}WholeFrames", "pgd"), "an attack of this run"),
    ],
)
def test_an_attack_that_changes_the_detector_ends_the_run(
    attacks: tuple[str, str], who: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else all that is attacked after it would be another detector."""
    index = write_planted(tmp_path / "frames", videos=1, families=("Deepfakes", "FaceSwap"))
    named = [word for attack in attacks for word in ("--attack", attack)]
    words = ["attack", "--frames", str(index), "--results", str(tmp_path / "results"), "--device", "cpu", "--no-check"]
    assert console.status(app, [*words, "--detector", "tests.own_parts:Layered", *named]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"Layered is no longer as it was loaded: {who}, or its own forward, has changed the class of" in told


@pytest.mark.parametrize(("name", "words"), [("Momentum", "made two pictures of"), ("SeededByPair", "")])
def test_an_own_attack_that_does_not_repeat_itself_is_warned_of(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = write_planted(tmp_path / "frames", videos=1, families=("Deepfakes", "FaceSwap"))
    given = ["attack", "--frames", str(index), "--results", str(tmp_path / "results"), "--device", "cpu", "--no-check"]
    given += ["--detector", "tests.scoring.stand_ins:TwoClassPlanted", "--attack", f"tests.own_parts:{name}"]
    assert console.status(app, given) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert (f"attack tests.own_parts:{name} {words}" in told) == bool(words)
