"""A frame by an earlier checkout beside this one: what is run, and what is said."""

from pathlib import Path

import pytest

from benchmarks import protocol
from common.errors import InputError

WORKS = """
import sys, time
if "--help" in sys.argv:
    print("Options: %s, --preset")
    raise SystemExit
assert sys.argv[sys.argv.index("none") - 1] == "%s"
while time.process_time() < 0.3:
    pass
"""


def checkout(folder: Path, program: str) -> Path:
    folder.mkdir()
    (folder / "evaluate.py").write_text(program)
    return folder


def test_the_ratios_are_to_the_earlier_commit_at_published_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = {("earlier", "published"): 12.0, ("here", "published"): 3.0, ("here", "efficient"): 2.0}
    monkeypatch.setattr(protocol, "process_seconds", lambda where, preset, threads: taken[where.name, preset])
    protocol.print_processes(Path("earlier"), Path("here"), threads=1, reckoned=30)
    said = capsys.readouterr().out.strip().splitlines()[-2:]
    assert said[0] == "at published 4.0 times less than earlier, 10.0 than reckoned"
    assert said[1] == "at efficient 6.0 times less than earlier, 15.0 than reckoned"


@pytest.mark.parametrize("baselines", ["--arm", "--baseline"])
def test_the_whole_process_is_counted_whatever_baselines_were_called(tmp_path: Path, baselines: str) -> None:
    folder = checkout(tmp_path / "one", WORKS % (baselines, baselines))
    assert protocol.process_seconds(folder, "published", threads=1) >= 0.3


def test_a_checkout_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    broken = checkout(tmp_path / "earlier", "raise SystemExit('error: no such option')")
    with pytest.raises(InputError, match=rf"evaluate.py failed in {broken}.*no such option"):
        protocol.process_seconds(broken, "published", threads=1)
