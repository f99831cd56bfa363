"""Which frames a run scores."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InputError
from data.demo.frames import DemoFrames
from data.frames import CLASS_NAMES, REAL, Frame, family_of
from data.source import IndexedFrames
from scoring.config import FramesIdentity

DEMO_FRAMES = 8
FAMILIES = CLASS_NAMES[1:]


@dataclass(frozen=True, eq=False)
class Selection:
    """The frames to score, in order; pixels are read one frame at a time.

    Attributes:
        frames: the source.
        places: where each selected frame is in it.
        keys: each selected frame's key.
        identity: for the run's configuration.
        real: how many real frames were left out, as there is no fake verdict to explain.
    """

    frames: Sequence[Frame]
    places: tuple[int, ...]
    keys: tuple[str, ...]
    identity: FramesIdentity
    real: int = 0

    @property
    def manipulations(self) -> list[str]:
        """The families of the selected fakes, sorted, where they are known."""
        if isinstance(self.frames, IndexedFrames):
            entries = [self.frames.entries[place] for place in self.places]
            return sorted({entry.family for entry in entries if entry.fake and entry.family})
        families = {family_of(key, True, None) for key in self.keys}
        return sorted(family for family in families if family)

    def frame(self, place: int) -> Frame:
        """The selected frame at `place`. Raises InputError where it cannot be read."""
        try:
            return self.frames[self.places[place]]
        except OSError as error:
            raise InputError(f"cannot be read ({error})") from error


def select(
    frames: IndexedFrames, split: str | None = None, limit: int | None = None, keep_real: bool = False
) -> Selection:
    """Every frame that is not real, or `limit` of them: as many of each family, spread evenly over the index.

    `split` is what the frames were opened with, for the record; `keep_real` keeps the real frames too. Raises
    InputError where nothing is left.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    kept = [place for place, entry in enumerate(frames.entries) if keep_real or entry.family != REAL]
    real = len(frames) - len(kept)
    if not kept:
        raise InputError(f"all {real} frames are real, so there is no fake verdict to explain; add manipulated ones")
    places = tuple(
        kept[place] for place in spread_over_families([frames.entries[place].family or "" for place in kept], limit)
    )
    chosen = IndexedFrames([frames.entries[place] for place in places], frames.images)
    identity = FramesIdentity(len(places), chosen.fingerprint(), split, limit)
    return Selection(frames, places, tuple(entry.key for entry in chosen.entries), identity, real)


def spread_over_families(families: Sequence[str], count: int | None) -> list[int]:
    """Which of the frames with these families to take, at most `count` (all for None), in order.

    An equal share of every family, evenly spread within it: even steps over an index in which families take turns
    would find one family only.
    """
    if count is None or count >= len(families):
        return list(range(len(families)))
    members: dict[str, list[int]] = {}
    for place, family in enumerate(families):
        members.setdefault(family, []).append(place)
    taken: list[int] = []
    for position, places in enumerate(sorted(members.values(), key=len)):  # what a small family leaves, others take
        share = min(len(places), -(-(count - len(taken)) // (len(members) - position)))
        taken += [places[(2 * i + 1) * len(places) // (2 * share)] for i in range(share)]
    return sorted(taken)


def demo(limit: int | None = None) -> Selection:
    """Demo frames, each of another person, the four families in turn: 12, or `limit` of them."""
    count = DEMO_FRAMES if limit is None else limit
    frames = DemoFrames(count * len(FAMILIES), families=FAMILIES, frames_per_video=1)
    places = tuple(person * len(FAMILIES) + person % len(FAMILIES) for person in range(count))
    keys = tuple(frames.key(place) for place in places)
    fingerprint = hashlib.sha256(repr((frames.fingerprint(), keys)).encode()).hexdigest()
    return Selection(frames, places, keys, FramesIdentity(count, fingerprint, "test", limit))
