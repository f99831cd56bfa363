"""What own code changes of the whole process is put back, and said where it can be read."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BEGIN = """
import io, os, sys
from common.process_state import kept_process_state
class Tee:
    def __init__(self): self.kept = []
    def write(self, text): self.kept.append(text)
    def flush(self): pass
print("before", flush=True)
with kept_process_state("making it"):
"""
END = """
print("after", flush=True)
print("warned", file=sys.stderr, flush=True)
"""


def run(line: str) -> tuple[list[str], str]:
    """The lines on standard output, and standard error, of a program in which own code does this."""
    done = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}    {line}\n{END}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines(), " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ('sys.stdout = open(os.devnull, "w")', "sys.stdout"),
        ('sys.stderr = open(os.devnull, "w")', "sys.stderr"),
        ('sys.stdout = sys.stderr = open(os.devnull, "w")', "sys.stdout"),
        ("sys.stdout = Tee()", "sys.stdout"),
        ("sys.stderr = None", "sys.stderr"),
        ("os.dup2(os.open(os.devnull, os.O_WRONLY), 1)", "where standard output goes"),
        ("os.dup2(os.open(os.devnull, os.O_WRONLY), 2)", "where standard error goes"),
        ("os.close(2)", "where standard error goes"),
        ("os.close(1); sys.stdout = io.StringIO()", "where standard output goes"),
        ("os.dup2(os.open(os.devnull, os.O_WRONLY), 1); sys.stdout = Tee()", "where standard output goes"),
        ("sys.stdout.close(); sys.stdout = Tee()", "sys.stdout"),
    ],
)
def test_streams_that_own_code_replaces_are_put_back_and_said(line: str, changed: str) -> None:
    printed, errors = run(line)
    assert printed == ["before", "after"]
    assert f"own code has changed {changed} (making it): it is put back" in errors
    assert errors.endswith("warned")


@pytest.mark.parametrize(
    "line",
    [
        "print(end='')",
        'sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")',
        'sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8")',
        'sys.stdout = os.fdopen(1, "w", closefd=False)',
        'sys.stdout.reconfigure(encoding="utf-8")',
    ],
)
def test_another_encoding_of_the_same_output_is_left_without_a_word(line: str) -> None:
    assert run(line) == (["before", "after"], "warned")


def test_many_parts_leave_no_descriptor_open() -> None:
    from common.process_state import kept_process_state

    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else None
    if before is None:
        pytest.skip("this system does not list a process's descriptors")
    for _ in range(50):
        with kept_process_state("asking"):
            io.StringIO("nothing")
        with kept_process_state("asking"):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as a forward that mutes print
    assert len(os.listdir("/proc/self/fd")) == before
