"""Inputs by the thousand: how many are tried, and what must become of each."""

import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from common.errors import LONGEST, InputError

PROFILE = os.environ.get("FLIPSCOPE_INPUTS", "ci")
TIMES = {"ci": 1, "long": 4}
SECONDS = 60.0  # that one input may take, waiting included; on a busy machine ten times what the slowest one needs
MEGABYTES = 1600.0  # by which one input may raise the peak of memory: what 64 million pixels need

_QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile("ci", _QUICK, derandomize=True)
settings.register_profile("long", _QUICK)


def tried(count: int) -> settings:
    """How many examples: `count` where FLIPSCOPE_INPUTS is "ci" or not set, the same ones every time.

    Four times as many where it is "long", and others every time.
    """
    return settings(settings.get_profile(PROFILE), max_examples=count * TIMES[PROFILE])


@dataclass
class Tally:
    """What became of all inputs of a test session: how many of each kind were read and refused, and the slowest."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)


TALLY = Tally()


def survives(kind: str, read: Callable[[], object], names: str = "") -> InputError | None:
    """Reads one input; it must be read or be refused in one printable line that holds `names`, in time and memory.

    Returns the refusal. Any other exception goes on as it is.
    """
    peak, started = _peak(), time.process_time()
    refusal = None
    try:
        with _in_time():
            read()
    except InputError as error:
        refusal = error
    seconds, grown = time.process_time() - started, _peak() - peak
    assert grown < MEGABYTES, f"{kind}: took {grown:.0f} MB"
    TALLY.slowest[kind] = max(seconds, TALLY.slowest.get(kind, 0.0))
    (TALLY.read if refusal is None else TALLY.refused)[kind] += 1
    if refusal is not None:
        line = str(refusal)
        assert line.isprintable(), line
        assert 0 < len(line) <= LONGEST + 10
        assert names in line, line
    return refusal


def damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Files that begin as `whole` ones: cut off, with bytes changed, with a stretch taken out, repeated or replaced."""

    @st.composite
    def change(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(whole))
        how = draw(st.sampled_from(["cut", "bytes", "start", "without", "twice", "other", "whole"]))
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 64))
        if how == "cut":
            del data[place:]
        elif how in ("bytes", "start"):
            last = len(data) - 1 if how == "bytes" else min(len(data) - 1, 200)
            for _ in range(draw(st.integers(1, 6)) if data else 0):
                data[draw(st.integers(0, last))] = draw(st.integers(0, 255))
        elif how == "without":
            del data[place : place + length]
        elif how == "twice":
            data[place:place] = data[place : place + length]
        elif how == "other":
            data[place : place + length] = draw(st.binary(max_size=64))
        return bytes(data)

    return change()


@contextmanager
def _in_time() -> Iterator[None]:
    """Fails a test whose input takes longer than SECONDS."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"an input took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak() -> float:
    """The most memory this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
