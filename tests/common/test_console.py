"""Commands end in one line and a status; bugs keep their traceback."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import pytest
import typer

from common.console import application, status, warn, with_default, withheld
from common.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
app = application("A command to test with.")


@app.command()
def command(kind: str, count: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Raises what it is asked for."""
    raises = {
        "input": InputError("frames.csv, line 3:\n bin_label is 7; use 0 or 1"),
        "disk": OSError(errno.ENOSPC, "No space left on device", "results/a.npy"),
        "limit": OSError(errno.EFBIG, "File too large", "results/a.npy"),
        "missing": FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv"),
        "interrupt": KeyboardInterrupt(),
        "bug": KeyError("a bug"),
    }
    if kind.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[kind])
        time.sleep(5)
    if kind in raises:
        raise raises[kind]


@pytest.mark.parametrize(
    ("arguments", "expected", "line"),
    [
        (["fine"], 0, ""),
        (["input"], 1, "error: frames.csv, line 3: bin_label is 7; use 0 or 1\n"),
        (
            ["disk"],
            1,
            "error: the disk is full (results/a.npy): free some space and run the same command again; "
            "finished work is kept\n",
        ),
        (
            ["limit"],
            1,
            "error: a file would be larger than this process may write (results/a.npy): raise the limit (ulimit -f) "
            "and try again\n",
        ),
        (["missing"], 1, "error: No such file or directory (a.csv)\n"),
        (["SIGTERM"], 143, "error: terminated; what was finished is saved\n"),
        (["SIGHUP"], 129, "error: terminated; what was finished is saved\n"),
        (["SIGINT"], 130, "error: interrupted; what was finished is saved\n"),
        (["interrupt"], 130, "error: interrupted; what was finished is saved\n"),
        (
            ["fine", "--count", "0"],
            2,
            "error: Invalid value for '--count': Input should be greater than or equal to 1\n",
        ),
        (["fine", "--typo"], 2, "error: No such option: --typo\n"),
        ([], 2, "error: Missing argument 'kind'.\n"),
    ],
)
def test_one_line_and_a_status(
    arguments: list[str], expected: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(app, arguments) == expected
    printed = capsys.readouterr()
    assert printed.err == line
    assert printed.out == ""


FULL = """
from common.console import application, run, say

app = application("A command that says something.")

@app.command()
def command() -> None:
    say("so much")

run(app)
"""


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_full_output_is_not_the_disk_of_the_results(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", FULL, *arguments]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    line = "error: the standard output cannot be written (No space left on device); finished work is kept\n"
    assert (ended.returncode, ended.stderr) == (1, line)


def test_an_output_that_nobody_reads_any_more_ends_the_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", FULL]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="a bug"):
        status(app, ["bug"])


def test_signals_have_their_meaning_back_afterwards_and_ignored_ones_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert status(app, ["fine"]) == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_warnings_can_be_kept_back(capsys: pytest.CaptureFixture[str]) -> None:
    with withheld() as outer:
        warn("one")
        with withheld() as inner:
            warn("two")
        warn("three")
    warn("four")
    assert (outer, inner) == (["one", "three"], ["two"])
    assert capsys.readouterr().err == "warning: four\n"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--ray", "--ray local"),
        ("--ray --limit 3", "--ray local --limit 3"),
        ("--ray auto --limit 3", "--ray auto --limit 3"),
        ("--limit 3 --ray", "--limit 3 --ray local"),
        ("--limit 3", "--limit 3"),
    ],
)
def test_an_option_may_have_no_value(given: str, read: str) -> None:
    assert with_default(given.split(), "--ray", "local") == read.split()


def test_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    warn("runs/p1:eight:/a:warning:b")
    assert capsys.readouterr().err == "warning: runs/p1:eight:/a:warning:b\n"
