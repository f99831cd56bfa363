"""Commands end in one line and a status; bugs keep their traceback."""

import errno
from typing import Annotated

import pytest
import typer

from common.console import application, status
from common.errors import InputError

app = application("A command to test with.")


@app.command()
def command(kind: str, count: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Raises what it is asked for."""
    raises = {
        "input": InputError("frames.csv, line 3:\n bin_label is 7; use 0 or 1"),
        "disk": OSError(errno.ENOSPC, "No space left on device", "results/a.npy"),
        "missing": FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv"),
        "interrupt": KeyboardInterrupt(),
        "bug": KeyError("a bug"),
    }
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
        (["missing"], 1, "error: No such file or directory (a.csv)\n"),
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


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="a bug"):
        status(app, ["bug"])
