"""Which frames are attacked: fakes, an equal share of every manipulation, and real frames for the clean accuracy."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InputError
from data.demo.frames import DemoFrames
from data.frames import CLASS_NAMES, REAL, Frame, video_of
from data.source import IndexedFrames
from scoring.config import FramesIdentity
from scoring.selection import Selection, spread_over_families

DEMO_FAKES = 12


@dataclass(frozen=True)
class Listed:
    """A selected frame as its index knows it, without pixels.

    Attributes:
        key: its relative path.
        family: "Real", or its manipulation.
        video: the video it is from.
        place: where it is in the selection.
    """

    key: str
    family: str
    video: str
    place: int

    @property
    def fake(self) -> bool:
        """Whether it is manipulated."""
        return self.family != REAL


@dataclass(frozen=True, eq=False)
class Chosen:
    """The frames of a run, fakes first, then real ones; each in the order of the index.

    Attributes:
        selection: where their pixels come from.
        frames: what is known of each.
        unlabelled: how many were left out, as nobody knows whether they are fake.
    """

    selection: Selection
    frames: tuple[Listed, ...]
    unlabelled: int = 0

    @property
    def fakes(self) -> tuple[Listed, ...]:
        """The manipulated ones."""
        return tuple(frame for frame in self.frames if frame.fake)

    @property
    def real(self) -> tuple[Listed, ...]:
        """The real ones."""
        return tuple(frame for frame in self.frames if not frame.fake)

    def read(self, frame: Listed) -> Frame:
        """The frame with its pixels. Raises InputError where it cannot be read."""
        return self.selection.frame(frame.place)


def choose(frames: IndexedFrames, split: str | None = None, limit: int | None = None) -> Chosen:
    """Every labelled frame, or at most `limit` fakes and as many real frames, spread over manipulations and videos.

    `split` is what the frames were opened with, for the record. Raises InputError where no frame is known to be fake.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    known = [
        Listed(entry.key, entry.family, entry.video, place)
        for place, entry in enumerate(frames.entries)
        if entry.family is not None
    ]
    fakes = spread([frame for frame in known if frame.fake], limit)
    real = spread([frame for frame in known if not frame.fake], limit)
    if not fakes:
        reason = "they are all real" if known else "none of them has a label; name an index that says which are fake"
        raise InputError(f"no fake among the {len(frames)} frames, so there is nothing to pass off as real: {reason}")
    chosen = IndexedFrames([frames.entries[frame.place] for frame in (*fakes, *real)], frames.images)
    identity = FramesIdentity(len(chosen), chosen.fingerprint(), split, limit)
    return _chosen(chosen, [*fakes, *real], identity, len(frames) - len(known))


def demo(limit: int | None = None) -> Chosen:
    """Demo frames: 12 fakes (or `limit`), each of another person, the families in turn, and as many real frames."""
    count = DEMO_FAKES if limit is None else limit
    if count < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    families = len(CLASS_NAMES)
    frames = DemoFrames(count * families, frames_per_video=1)
    fakes = [person * families + 1 + person % (families - 1) for person in range(count)]
    listed = [
        Listed(frames.key(place), frames.take(place).family, video_of(frames.key(place)), place)
        for place in (*fakes, *(person * families for person in range(count)))
    ]
    digest = hashlib.sha256(repr((frames.fingerprint(), [frame.key for frame in listed])).encode()).hexdigest()
    return _chosen(frames, listed, FramesIdentity(len(listed), digest, "test", limit), 0, reindex=False)


def spread(frames: Sequence[Listed], count: int | None) -> list[Listed]:
    """At most `count` frames (all for None): an equal share of every family, evenly spread within it, in order."""
    return [frames[place] for place in spread_over_families([frame.family for frame in frames], count)]


def _chosen(
    frames: Sequence[Frame], listed: Sequence[Listed], identity: FramesIdentity, unlabelled: int, reindex: bool = True
) -> Chosen:
    places = range(len(listed)) if reindex else [frame.place for frame in listed]
    placed = tuple(Listed(frame.key, frame.family, frame.video, position) for position, frame in enumerate(listed))
    selection = Selection(frames, tuple(places), tuple(frame.key for frame in listed), identity)
    return Chosen(selection, placed, unlabelled)
