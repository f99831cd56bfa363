"""Which frames are attacked: fakes, an equal share of every manipulation, and real frames for the clean accuracy."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, REAL, Frame, video_of
from data.picture_doubts import fingerprint_of
from data.source import IndexedFrames
from runs.configuration import FramesIdentity
from runs.selection import Selection, spread_over_families

DEMO_FAKES = 12


@dataclass(frozen=True)
class FrameEntry:
    """A selected frame as the index file describes it, without pixels.

    Attributes:
        key: its relative path.
        family: "Real", or its manipulation.
        video: the video it is from.
        index: of the frame in the selection, from 0.
    """

    key: str
    family: str
    video: str
    index: int

    @property
    def fake(self) -> bool:
        """Whether it is manipulated."""
        return self.family != REAL


@dataclass(frozen=True, eq=False)
class AttackedFrames:
    """The frames of a run, fakes first, then real ones; each in the order of the index.

    Attributes:
        selection: where their pixels come from.
        frames: what is known of each.
        unlabelled: how many were left out, as nobody knows whether they are fake.
    """

    selection: Selection
    frames: tuple[FrameEntry, ...]
    unlabelled: int = 0

    @property
    def fakes(self) -> tuple[FrameEntry, ...]:
        """The manipulated ones."""
        return tuple(frame for frame in self.frames if frame.fake)

    @property
    def real(self) -> tuple[FrameEntry, ...]:
        """The real ones."""
        return tuple(frame for frame in self.frames if not frame.fake)

    def read(self, frame: FrameEntry) -> Frame:
        """The frame with its pixels. Raises InputError where it cannot be read."""
        return self.selection.frame(frame.index)


def choose_frames(frames: IndexedFrames, split: str | None = None, limit: int | None = None) -> AttackedFrames:
    """Chooses every labelled frame, or at most `limit` fakes and as many real frames.

    With a limit they are spread over manipulations and videos. `split` is what the frames were opened with, for the
    record. Raises InputError for a limit below 1, and where no frame is known to be fake.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    known = [
        FrameEntry(entry.key, entry.family, entry.video, index)
        for index, entry in enumerate(frames.entries)
        if entry.family is not None
    ]
    fakes = spread_entries([frame for frame in known if frame.fake], limit)
    real = spread_entries([frame for frame in known if not frame.fake], limit)
    if not fakes:
        reason = "they are all real" if known else "none of them has a label; name an index that says which are fake"
        raise InputError(f"no fake among the {len(frames)} frames, so there is nothing to pass off as real: {reason}")
    chosen = IndexedFrames([frames.entries[frame.index] for frame in (*fakes, *real)], frames.images)
    identity = FramesIdentity(len(chosen), fingerprint_of(chosen), split, limit)
    return _chosen(chosen, [*fakes, *real], identity, len(frames) - len(known))


def demo_entries(limit: int | None = None) -> AttackedFrames:
    """Chooses demo frames: 12 fakes (or `limit`) and as many real frames.

    Every fake is of another person, the families in turn. Raises InputError for a limit below 1.
    """
    count = DEMO_FAKES if limit is None else limit
    if count < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    families = len(CLASS_NAMES)
    frames = DemoFrames(count * families, frames_per_video=1)
    fakes = [person * families + 1 + person % (families - 1) for person in range(count)]
    entries = [
        FrameEntry(frames.key(index), frames.take(index).family, video_of(frames.key(index)), index)
        for index in (*fakes, *(person * families for person in range(count)))
    ]
    digest = hashlib.sha256(repr((frames.fingerprint(), [frame.key for frame in entries])).encode()).hexdigest()
    return _chosen(frames, entries, FramesIdentity(len(entries), digest, "test", limit), 0, reindex=False)


def spread_entries(frames: Sequence[FrameEntry], count: int | None) -> list[FrameEntry]:
    """Chooses at most `count` frames (all for None), in order: an equal share of every family, evenly spread in it."""
    return [frames[index] for index in spread_over_families([frame.family for frame in frames], count)]


def _chosen(
    frames: Sequence[Frame],
    entries: Sequence[FrameEntry],
    identity: FramesIdentity,
    unlabelled: int,
    reindex: bool = True,
) -> AttackedFrames:
    indices = range(len(entries)) if reindex else [frame.index for frame in entries]
    numbered = tuple(FrameEntry(frame.key, frame.family, frame.video, index) for index, frame in enumerate(entries))
    selection = Selection(frames, tuple(indices), tuple(frame.key for frame in entries), identity)
    return AttackedFrames(selection, numbered, unlabelled)
