"""Ctrl-C while workers start: it is the parent's, and no worker ends in a traceback of its own."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.processes import interrupts_held, process_pool

SLEEPERS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without it
from common.processes import process_pool
if __name__ == "__main__":
    try:
        with process_pool(3) as pool:
            print("starting", flush=True)
            list(pool.map(time.sleep, [60] * 3))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def blocked(pid: int) -> bool:
    """Whether a process blocks SIGINT, of which it then need not know anything yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk"))
    return bool(mask >> (signal.SIGINT - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the signals of a process are read from /proc")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_blocks_ctrl_c_from_its_first_moment(method: str) -> None:
    process = multiprocessing.get_context(method).Process(target=time.sleep, args=(60,))
    with interrupts_held():
        process.start()
    assert process.pid is not None
    assert blocked(process.pid)
    assert not blocked(os.getpid())
    process.kill()
    process.join()


def test_ctrl_c_is_held_back_and_not_lost() -> None:
    reached, before = False, signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            reached = True
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached


def test_a_pool_gives_results_in_order_and_fails_as_its_work_does() -> None:
    with process_pool(2) as pool:
        assert list(pool.map(abs, [-3, 2, -1])) == [3, 2, 1]
    with pytest.raises(ZeroDivisionError), process_pool(1) as pool:
        pool.submit(divmod, 1, 0).result()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.2, 1.0])
def test_interrupted_while_its_workers_start_a_pool_ends_without_a_traceback(tmp_path: Path, after: float) -> None:
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "starting\n"
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert errors == ""
