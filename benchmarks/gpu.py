"""What is to be known of a GPU, in one table of Markdown: tests, passes, ratios, peers, attacks, a whole frame.

Run as `bash benchmarks/gpu.sh`, or `python -m benchmarks.gpu`. Every step runs in a process of its own and within a
time limit, and all within `--seconds`: one that is cut off says so in the table, with what it had measured by then.
The table is written anew after each line. `--device cpu --quick` proves the way on a machine without a GPU, with
settings so small that its numbers mean nothing.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import torch
import typer

from benchmarks import gpu_steps
from benchmarks.bounded_steps import Line, Step, run_step
from benchmarks.gpu_steps import ROOT, Extent
from common.console import application, count, run, say
from common.errors import InputError
from common.files import atomic_write
from detectors.devices import resolve_device
from detectors.options import DeviceOption

app = application(__doc__ or "")

SECONDS = 450.0  # with Python's start and a margin within the 8 minutes of gpu.sh
LEAST = 10.0  # a step that has less time left is not begun
NOT_KNOWN = "not known"
FRAME = "frame"


@dataclass(frozen=True)
class Limited:
    """A step, and the seconds that it may take."""

    step: Step
    seconds: float


STEPS: Mapping[str, Limited] = MappingProxyType(
    {
        "tests": Limited(gpu_steps.gpu_tests, 110),
        "passes": Limited(gpu_steps.passes, 60),
        "ratios": Limited(gpu_steps.ratios, 70),
        "peers": Limited(gpu_steps.peers, 90),
        "derivatives": Limited(gpu_steps.derivatives, 60),
        "precision": Limited(gpu_steps.precision, 45),
        FRAME: Limited(gpu_steps.whole_frame, 300),
    }
)
"""What is measured, in this order; the last has whatever the others leave."""


@app.command()
def measure_gpu(
    step: Annotated[list[str] | None, typer.Option(help=f"Repeatable: {', '.join(STEPS)}; by default all.")] = None,
    out: Annotated[Path, typer.Option(help="Where the table is written.")] = Path("results/gpu.md"),
    seconds: Annotated[float, typer.Option(min=LEAST, help="How long all steps may take together.")] = SECONDS,
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="Settings too small to mean anything; by default no whole frame.")
    ] = False,
    device: DeviceOption = "cuda",
) -> int:
    """Measures on a GPU, and writes and prints the table."""
    ends = time.monotonic() + seconds
    chosen = chosen_steps(step, quick)
    extent = Extent.tiny(device) if quick else Extent(device)
    head, lines = heading(resolve_device(device)), dict[str, list[Line]]()
    for name, limited in chosen.items():
        lines[name], limit = [], min(ends - time.monotonic(), limited.seconds)
        say(f"{name}: at most {max(0.0, limit):.0f} s")
        not_begun = [Line("all of it", f"not begun: the {seconds:.0f} s were over")]
        for line in run_step(limited.step, extent, limit) if limit >= LEAST else not_begun:
            lines[name].append(line)
            with atomic_write(out) as file:
                file.writelines(f"{text}\n" for text in (*head, "", *markdown(lines)))
    for text in ("", *head, "", *markdown(lines), "", f"written to {out}"):
        say(text)
    return int(any(line.failed for found in lines.values() for line in found))


def chosen_steps(names: Sequence[str] | None, quick: bool) -> dict[str, Limited]:
    """The steps of these names in their order; where none is named, all, without the whole frame where it is quick."""
    unknown = [name for name in names or () if name not in STEPS]
    if unknown:
        raise InputError(f"unknown step {unknown[0]!r}; known: {', '.join(STEPS)}")
    wanted = names or [name for name in STEPS if not (quick and name == FRAME)]
    return {name: limited for name, limited in STEPS.items() if name in wanted}


def heading(device: torch.device) -> list[str]:
    """What stands above the table: the card, the software, the day, the commit and the command."""
    card = f"CPU ({platform.machine()})"
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        driver = _said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        card = f"{about.name}, {about.total_memory / 2**30:.0f} GiB, driver {driver}, CUDA {torch.version.cuda}"
    commit = _said_by("git", "rev-parse", "--short", "HEAD")
    changed = _said_by("git", "status", "--porcelain", "--untracked-files=no")
    changes = "" if changed in ("", NOT_KNOWN) else " with changes"
    machine = f"{count(os.cpu_count() or 1, 'CPU core')}, Python {platform.python_version()}, torch {torch.__version__}"
    return [
        f"{card}; {machine}; {datetime.now(UTC):%Y-%m-%d}, commit {commit}{changes}:",
        "",
        f"    {' '.join(['python -m benchmarks.gpu', *sys.argv[1:]])}",
    ]


def markdown(lines: Mapping[str, Sequence[Line]]) -> list[str]:
    """The table of what each step found."""
    cells = [(name, line.what, line.result, line.aim) for name, found in lines.items() for line in found]
    rows = [("step", "what", "result", "aim"), ("---",) * 4, *cells]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _said_by(*command: str) -> str:
    """The first line that a program prints in the checkout, "not known" where there is no such program or it fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=LEAST)
    except (OSError, subprocess.SubprocessError):
        return NOT_KNOWN
    return next(iter(done.stdout.splitlines()), "").strip()


if __name__ == "__main__":
    run(app)
