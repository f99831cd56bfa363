"""What becomes of a reader whose LMDB store is damaged in place while it reads: `python -m benchmarks.damaged_stores`.

A child process reads images at random, and does nothing else, while its store is damaged once at a random moment. LMDB
maps the file into memory, so that a page which is no longer there ends the process (SIGBUS); how often that happens is
counted.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from common.console import application, run, table
from common.errors import InputError
from data.stores import LmdbImages, LmdbWriter

SECONDS = 0.4  # that the child reads
SIZES = (30, 300, 3000, 9000, 50_000)  # of images, in bytes
KEYS = [f"a/{number:04d}.png" for number in range(300)]
DAMAGES = ("cut off at a random length", "overwritten", "zeroed", "replaced", "400 bytes changed")
ENDS = {0: "all was read", 1: "one line", 2: "another error", -signal.SIGBUS: "SIGBUS", -signal.SIGSEGV: "SIGSEGV"}

app = application("Count what becomes of readers of a store that is damaged while they read.")


@app.command()
def damaged_stores(
    times: Annotated[int, typer.Option("--times", min=1, help="Of each damage.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="Of sizes, moments and bytes.")] = 0,
) -> None:
    """Damage stores while they are read, and print how their readers ended."""
    draw = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="damaged-stores-"))
    try:
        whole = _whole(folder / "whole.lmdb", draw)
        endings = {damage: Counter(_trial(folder, whole, damage, draw) for _ in range(times)) for damage in DAMAGES}
    finally:
        shutil.rmtree(folder)
    ends = [*ENDS.values(), *sorted({end for counts in endings.values() for end in counts} - set(ENDS.values()))]
    rows = [[damage, *(str(counts[end]) for end in ends)] for damage, counts in endings.items()]
    table(f"Readers of damaged stores, {times} of each", ["Damage", *ends], rows)


def _whole(path: Path, draw: random.Random) -> bytes:
    with LmdbWriter(path, map_size=2**20) as writer:
        writer.put([(key, draw.randbytes(draw.choice(SIZES))) for key in KEYS])
    return path.read_bytes()


def _trial(folder: Path, whole: bytes, damage: str, draw: random.Random) -> str:
    """How one reader ends."""
    path = folder / "faces.lmdb"
    path.unlink(missing_ok=True)
    path.write_bytes(whole)
    moment, order, noise = draw.random() * SECONDS / 4, draw.getrandbits(32), draw.randbytes(len(whole))
    ready, began = os.pipe()
    child = os.fork()
    if child == 0:
        _read(path, began, random.Random(order))
    os.read(ready, 1)
    for end in (ready, began):
        os.close(end)
    time.sleep(moment)
    _damage(path, noise, damage, draw)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ENDS.get(code, f"status {code}")


def _read(path: Path, began: int, draw: random.Random) -> None:
    """Reads for a while and ends the process: 0 where all was read, 1 where something was refused in one line."""
    code, refused = 2, False
    try:
        store = LmdbImages(path)
        os.write(began, b"1")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                store.read(draw.choice(KEYS))
            except InputError:
                refused = True
        code = int(refused)
    finally:
        os._exit(code)


def _damage(path: Path, noise: bytes, damage: str, draw: random.Random) -> None:
    if damage == DAMAGES[0]:
        os.truncate(path, draw.randrange(len(noise)))
        return
    if damage == "replaced":
        other = path.with_suffix(".other")
        other.write_bytes(noise)
        os.replace(other, path)
        return
    with path.open("r+b") as file:
        if damage == "400 bytes changed":
            for _ in range(400):
                file.seek(draw.randrange(8192, len(noise)))
                file.write(draw.randbytes(1))
        else:
            file.write(noise if damage == "overwritten" else bytes(len(noise)))


if __name__ == "__main__":
    run(app)
