"""Tables, statistics and report of a run of a million frames: `python -m benchmarks.scale --out FOLDER`.

Writes the finished frames of a made-up run (`benchmarks.made_up_run`) in the form that a big run has, then makes the
run's products by the very code that every run does, in a process of its own, and prints how long that took and how much
memory the process and its children held.
"""

import json
import multiprocessing
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

from analysis.headline import Condition
from benchmarks.made_up_run import SKILL, MadeUpRun
from common.console import application, progress, run, say, table
from common.errors import InputError
from reporting.products import write_products
from runs.packed_frames import Packed
from runs.run_folder import PACK, RunFolder
from runs.seals import Seals
from runs.selection import FAMILIES
from scoring.protocol import PRESETS

NAME = "All"
SECONDS = 0.25  # between two looks at the memory

app = application("Make the tables, statistics and report of a made-up run, however large.")


@app.command()
def scale(
    out: Annotated[Path, typer.Option("--out", help="Folder of the made-up run; must not exist.")],
    frames: Annotated[int, typer.Option("--frames", min=PACK, help="Of the run.")] = 1_000_000,
    per_video: Annotated[int, typer.Option("--per-video", min=1, help="Frames of each video.")] = 25,
    preset: Annotated[str, typer.Option("--preset", help="Whose protocol: quick or published.")] = "quick",
    seed: Annotated[int, typer.Option("--seed", help="Of the scores.")] = 0,
) -> None:
    """Make up a run, make its products, and print seconds, memory and sizes."""
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    if out.exists():
        raise InputError(f"{out} exists; name a folder that does not")
    made_up = MadeUpRun(PRESETS[preset], frames, per_video, seed)
    say(f"{frames:,} frames, {len(made_up.columns)} rows each (fewer where called Real): preset {preset}")
    started = time.perf_counter()
    write_run(made_up, out, seed)
    say(f"Made up in {time.perf_counter() - started:.0f} s (not part of what is measured)")
    seconds, busy, memory = watched(made_up, out)
    load = ", ".join(f"{average:.1f}" for average in psutil.getloadavg())
    say(
        f"Products made in {seconds:.0f} s (processor time {busy:.0f} s; load of the machine over 1, 5 and 15 minutes "
        f"{load}), at most {memory / 2**30:.2f} GiB of memory"
    )
    table("Sizes", ["what", "MB"], sizes(out))


def write_run(made_up: MadeUpRun, out: Path, seed: int) -> None:
    """Writes the finished frames and the configuration."""
    out.mkdir(parents=True)
    configuration = {
        "seed": seed,
        "preset": "made up",
        "methods": list(SKILL),
        "attacks": {"nes": {"attack": "nes"}},
        "detector": {"name": "made up", "class_names": ["Real", *FAMILIES]},
    }
    (out / "config.json").write_text(json.dumps(configuration))
    packed = Packed(out, Seals(out / "config.json"))
    with progress() as bar:
        task = bar.add_task("frames", total=made_up.frames)
        for start in range(0, made_up.frames, PACK):
            stop = min(made_up.frames, start + PACK)
            packed.add([made_up.key(index) for index in range(start, stop)], made_up.tables(start, stop))
            bar.advance(task, stop - start)


def watched(made_up: MadeUpRun, out: Path) -> tuple[float, float, int]:
    """The seconds that the products take, those of processors, and the most bytes that their processes held."""
    process = multiprocessing.get_context("spawn").Process(target=products, args=(made_up, out))
    started, busy, most = time.perf_counter(), 0.0, 0
    process.start()
    while process.is_alive():
        taken, held = _used(process.pid)
        busy, most = max(busy, taken), max(most, held)
        process.join(SECONDS)
    if process.exitcode:
        raise InputError(f"the products could not be made; status {process.exitcode}")
    return time.perf_counter() - started, busy, most


def _used(pid: int | None) -> tuple[float, int]:
    """The processor seconds and the resident memory (bytes) of a process and its children; 0 once it has ended."""
    try:
        parent = psutil.Process(pid)
        processes = (parent, *parent.children(recursive=True))
        seconds = sum(sum(process.cpu_times()[:2]) for process in processes)
        return seconds, sum(process.memory_info().rss for process in processes)
    except psutil.NoSuchProcess:
        return 0.0, 0


def products(made_up: MadeUpRun, out: Path) -> None:
    """Asks which frames are missing and makes everything that a run leaves, as a run does at its end."""
    folder, started = RunFolder(out), time.perf_counter()
    keys = [made_up.key(index) for index in range(made_up.frames)]
    missing = folder.missing(keys)
    say(f"Missing: {len(missing)} of {len(keys):,} frames ({time.perf_counter() - started:.0f} s)")
    results = write_products(folder, NAME, json.loads((out / "config.json").read_text()), keys, {})
    answer = next(headline for headline in results.headlines if headline.condition == Condition("nes"))
    order = [line.method for line in answer.ranked]
    planted = sorted(SKILL, key=lambda method: -SKILL[method])
    say(f"Order found: {', '.join(order)}; planted: {'the same' if order == planted else ', '.join(planted)}")
    lines = []
    for line in answer.ranked:
        interval = f"[{line.score.low:.3f} {line.score.high:.3f}]"
        beyond = "yes" if line.is_significant else "no"
        lines.append([line.method, f"{SKILL[line.method]:.2f}", f"{line.score.value:.3f}", interval, beyond])
    table("The answer", ["method", "planted skill", "score", "95 % interval", "beyond chance"], lines)


def sizes(out: Path) -> list[list[str]]:
    """What is on the disk: each file, and each folder's files together."""
    rows = []
    for path in sorted(out.iterdir()):
        size = path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())
        rows.append(
            [path.name if path.is_file() else f"{path.name}/ ({len(list(path.iterdir()))} files)", f"{size / 1e6:.1f}"]
        )
    return rows


if __name__ == "__main__":
    run(app)
