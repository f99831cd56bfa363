"""A frame by an earlier checkout beside this one: what is run, and what is said."""

from pathlib import Path

import pytest

from benchmarks.protocol import print_processes, process_seconds
from common.errors import InputError

WORKS = """
import sys, time
spent = {"published": %s, "efficient": 0.2}[sys.argv[sys.argv.index("--preset") + 1]]
while time.process_time() < spent:
    pass
"""


def checkout(folder: Path, program: str) -> Path:
    folder.mkdir()
    (folder / "evaluate.py").write_text(program)
    return folder


def test_the_ratios_are_of_the_processes_own_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_processes(checkout(tmp_path / "earlier", WORKS % 1.2), checkout(tmp_path / "here", WORKS % 0.4), threads=1)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    published, efficient = (float(part.split()[0]) for part in last.split(", "))
    assert published == pytest.approx(3, rel=0.3)
    assert efficient == pytest.approx(6, rel=0.3)


def test_a_checkout_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    broken = checkout(tmp_path / "earlier", "raise SystemExit('error: no such option')")
    with pytest.raises(InputError, match=rf"evaluate.py failed in {broken}.*no such option"):
        process_seconds(broken, "published", threads=1)
