"""A few seconds of fuzzing in every run of the suite; tests/fuzz/readers.py takes as many as it is given."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

READERS = Path(__file__).with_name("readers.py")
RUNS = {"index": 1500, "pictures": 500}


@pytest.mark.parametrize("reader", RUNS)
def test_nothing_but_input_errors_comes_of_some_fuzzing(reader: str, tmp_path: Path) -> None:
    """It ends by itself, with status 0, having tried many inputs and found new ways through the reader."""
    pytest.importorskip("atheris")
    corpus = tmp_path / "corpus"
    done = subprocess.run(
        [
            sys.executable,
            str(READERS),
            reader,
            "--seconds",
            "60",
            "--runs",
            str(RUNS[reader]),
            "--seed",
            "1",
            "--corpus",
            str(corpus),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert runs is not None, done.stderr[-3000:]
    assert int(runs[1]) >= RUNS[reader] // 5  # all of them, but where a busy machine ends it by time
    assert len([file for file in corpus.iterdir() if not file.name.startswith("seed ")]) > 5
