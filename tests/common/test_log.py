"""The log of a command: what was said, in a file of its folder, and nothing of other commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from common import log
from common.console import application, say, status, warn
from common.errors import InputError

app = application("A command that logs.")


@app.command()
def command(folder: Path, word: str) -> None:
    """Says a word, warns, and fails."""
    log.open_in(folder)
    log.open_in(folder)  # twice is once
    say(f"{word}\nin two lines")
    warn("watch out")
    log.info("only in the file")
    raise InputError("no good")


def lines(folder: Path) -> list[str]:
    return (folder / "log.txt").read_text(encoding="utf-8").splitlines()


def test_everything_said_is_in_the_log_with_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(app, [str(tmp_path / "new"), "hello"]) == 1
    told = lines(tmp_path / "new")
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) +\S", line) for line in told)
    said = [line.split(maxsplit=2)[1:] for line in told[1:]]
    assert said == [["INFO", "hello in two lines"], ["WARNING", "watch out"], ["INFO", "only in the file"],
                    ["ERROR", "no good"]]  # fmt: skip
    assert "command: " in told[0]
    assert "only in the file" not in "".join(capsys.readouterr())


def test_a_log_goes_on_and_holds_its_own_command_only(tmp_path: Path) -> None:
    for word, folder in (("first", "a"), ("second", "b"), ("third", "a")):
        status(app, [str(tmp_path / folder), word])
    assert [line.split()[2] for line in lines(tmp_path / "a") if "two lines" in line] == ["first", "third"]
    assert [line.split()[2] for line in lines(tmp_path / "b") if "two lines" in line] == ["second"]
    say("after it all")
    assert "after it all" not in "".join(lines(tmp_path / "a"))


def test_control_characters_do_not_reach_the_log(tmp_path: Path) -> None:
    status(app, [str(tmp_path), "\x1b[31mred"])
    assert "\x1b" not in (tmp_path / "log.txt").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert status(app, [str(tmp_path / "file"), "hello"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


LIMITED = """
import resource, sys
from pathlib import Path
from common import log
from common.console import status
from tests.common.test_log import app

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
sys.exit(status(app, [sys.argv[1], "x" * 2000]))
"""


def test_a_log_that_cannot_grow_ends_nothing(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert ended.stderr == "warning: watch out\nerror: no good\n"
    assert ended.returncode == 1
