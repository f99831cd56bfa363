"""A run whose frames need no detector: workers can be tried on it in a moment, and made to fail."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from data.frames import Frame
from data.source import open_frames
from runs.selection import Selection, select_frames
from runs.workers.messages import Score
from scoring.costs import Cost
from scoring.scored import Scored
from tests.analysis.made_up import make

METHODS = ("LIME", "random")
KILL, KILL_ONCE, BUG, FAIL = "kill", "kill once", "bug", "fail"
MEMORY = "memory:"


@dataclass(frozen=True)
class Plan:
    """Scores frames by their names. Where a key contains one of `trouble`, what it says happens first.

    Attributes:
        index: of the frames.
        trouble: by a part of a key: KILL (SIGKILL), KILL_ONCE, BUG, FAIL, or MEMORY and the folder of
            a memory cgroup: the worker goes into it and takes more than the cgroup allows.
        notes: a folder for what has happened once.
        images: the store that the frames' pictures are in; None for the index's folder.
        seconds: what a frame takes.
        refuse: a reason not to start.
        stillborn: whether every worker dies while it starts.
    """

    index: Path
    trouble: Mapping[str, str] = field(default_factory=dict)
    notes: Path = Path()
    images: Path | None = None
    seconds: float = 0.0
    refuse: Exception | None = None
    failed_starts: bool = False

    def __call__(self, slot: int) -> tuple[Selection, Score]:
        if self.refuse is not None:
            raise self.refuse
        if self.failed_starts:
            os.kill(os.getpid(), signal.SIGKILL)
        return select_frames(open_frames(self.index, self.images)), self.score

    def score(self, frame: Frame, tell: Callable[[str], None]) -> Scored:
        """Rows that follow from the frame's key alone."""
        tell("LIME")
        for part, what in self.trouble.items():
            if part in frame.key:
                self._happens(part, what)
        time.sleep(self.seconds)
        made = make(
            lambda method, video, k: method != "random" and len(frame.key) % 2 == 0, METHODS, videos=1, frames=1
        )
        own = {"key": frame.key, "video": frame.video, "family": frame.family or "", "predicted": "FaceSwap"}
        return Scored([replace(row, **own) for row in made], [], [], [Cost("LIME", 10, 1, 0.5)], None)  # type: ignore[arg-type]

    def _happens(self, part: str, what: str) -> None:
        if what == FAIL:
            raise ValueError("no face")
        if what == BUG:
            raise KeyError("a bug")
        if what.startswith(MEMORY):
            (Path(what.removeprefix(MEMORY)) / "cgroup.procs").write_text(str(os.getpid()))
            hoard = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 10)]
            raise AssertionError(f"{len(hoard)} MiB were to be had in the cgroup")
        note = self.notes / part.replace("/", "-")
        if what == KILL or not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def alive(process: int) -> bool:
    """Whether a process is there and has not ended; one that has may still wait to be noticed by its parent."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left_after(processes: Sequence[int], seconds: float) -> list[int]:
    """Those that have not ended after at most so long."""
    deadline = time.monotonic() + seconds
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [process for process in processes if alive(process)]
