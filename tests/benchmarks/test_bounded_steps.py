"""A step gives its lines as they come, and says where it failed, was cut off or died."""

import os
import time
from pathlib import Path

import pytest

from benchmarks.bounded_steps import Line, run_step
from tests.benchmarks import steps

PLENTY = 60.0


def test_what_fails_is_said_and_the_rest_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    lines = list(run_step(steps.numbers, 4, PLENTY))
    assert [line.what for line in lines] == [f"number {number}" for number in range(4)]
    assert [line.failed for line in lines] == [False, True, False, False]
    assert [line.result for line in lines if not line.failed] == ["0", "4", "9"]
    assert lines[1].result.startswith("failed: ZeroDivisionError: one")
    assert "\n" not in lines[1].result
    assert "Traceback" in capfd.readouterr().err


def test_a_step_that_takes_too_long_is_cut_off_and_its_process_gone(tmp_path: Path) -> None:
    started = time.monotonic()
    lines = list(run_step(steps.hangs, tmp_path / "process", 15.0))
    assert time.monotonic() - started < 30
    assert lines == [Line("at once", "done"), Line("half of it", "cut off: the step's 15 s were over")]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


def test_a_step_that_is_no_longer_wanted_ends(tmp_path: Path) -> None:
    lines = run_step(steps.hangs, tmp_path / "process", PLENTY)
    assert next(lines) == Line("at once", "done")
    lines.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


def test_a_process_that_dies_is_said() -> None:
    assert list(run_step(steps.dies, 7, PLENTY)) == [
        Line("dying", "failed: the step's process ended with status 7", failed=True)
    ]


def test_a_step_that_cannot_begin_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = run_step(steps.cannot_begin, "nothing to measure", PLENTY)
    assert line == Line("its start", "failed: the step's process ended with status 1", failed=True)
    assert "nothing to measure" in capfd.readouterr().err
