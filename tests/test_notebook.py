"""The blocks of docs/notebook.md run in their order and print what the page says, after the command that it gives."""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import evaluate
from common import console

PAGE = Path(__file__).resolve().parents[1] / "docs" / "notebook.md"
BLOCKS = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def shape(text: str) -> str:
    """A text with its numbers left out: those follow the processor, in a last digit or a tie."""
    return re.sub(r"[ \t]+", " ", NUMBER.sub("#", text)).strip()


def test_the_page_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("quantus", reason="quantus is not installed")
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(
        r"^    python evaluate.py (.* --run small)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert console.status(evaluate.app, [*shlex.split(command), "--device", "cpu", "--threads", "1"]) == 0
    found = [match.groupdict() for match in BLOCKS.finditer(PAGE.read_text(encoding="utf-8"))]
    assert len(found) >= 5
    namespace: dict[str, Any] = {}
    shares = []
    for block in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], str(PAGE), "exec"), namespace)
        assert shape(printed.getvalue()) == shape(block["output"] or "")
        shares += [float(number) for number in re.findall(r"(\d+) % of its best three", printed.getvalue())]
    assert len(shares) == 3
    assert max(shares) > float(namespace["mask"].float().mean()) * 100  # better than regions at random
    assert namespace["found"].forwards == 0  # the saved map
    assert set(namespace["run"].rows["method"]) == {"LIME", "random"}
