"""The selection of the frames that a run scores."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.entry import Entry
from data.frames import CLASS_NAMES, REAL, Frame, family_of
from data.picture_doubts import fingerprint_of
from data.source import IndexedFrames
from data.stores.unchanged_images import Stamps
from runs.configuration import FramesIdentity

DEMO_FRAMES = 12
FAMILIES = CLASS_NAMES[1:]


@dataclass(frozen=True, eq=False)
class Selection:
    """The frames to score, in order; pixels are read one frame at a time.

    Attributes:
        frames: the source.
        indices: of the selected frames in the source.
        keys: each selected frame's key.
        identity: for the run's configuration.
        real: how many real frames were left out, as there is no fake verdict to explain.
    """

    frames: Sequence[Frame]
    indices: tuple[int, ...]
    keys: tuple[str, ...]
    identity: FramesIdentity
    real: int = 0

    @property
    def manipulations(self) -> list[str]:
        """The families of the selected fakes, sorted, where they are known."""
        if isinstance(self.frames, IndexedFrames):
            return sorted({entry.family for entry in self.entries if entry.fake and entry.family})
        families = {family_of(key, True, None) for key in self.keys}
        return sorted(family for family in families if family)

    @property
    def entries(self) -> list[Entry]:
        """The selected frames as the index knows them; none of demo frames."""
        return [self.frames.entries[index] for index in self.indices] if isinstance(self.frames, IndexedFrames) else []

    @property
    def stamps(self) -> Stamps:
        """What is known of the pictures' bytes, by key; nothing of demo frames, which are drawn anew."""
        return self.frames.images.stamps if isinstance(self.frames, IndexedFrames) else {}

    def expect(self, stamps: Stamps) -> None:
        """From now on refuses pictures that do not have these stamps."""
        if isinstance(self.frames, IndexedFrames):
            self.frames.images.stamps.update(stamps)

    def frame(self, index: int) -> Frame:
        """The selected frame at `index` in the selection. Raises InputError where it cannot be read."""
        try:
            return self.frames[self.indices[index]]
        except OSError as error:
            raise InputError(f"cannot be read ({error})") from error


def select_frames(
    frames: IndexedFrames,
    split: str | None = None,
    limit: int | None = None,
    keep_real: bool = False,
    fingerprinted: bool = True,
) -> Selection:
    """Every frame that is not real, or `limit` of them: as many of each family, spread evenly over the index.

    Args:
        frames: the source.
        split: the split that the frames were opened with, for the run's configuration.
        limit: how many frames at most, 1 or more; None for all.
        keep_real: whether real frames stay too.
        fingerprinted: whether their pictures are read for the fingerprint of the identity, and
            looked at (`data.picture_doubts`); else it is empty, as no worker needs it.

    Raises:
        InputError: `limit` is below 1, or no frame is left.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, got {limit}")
    kept = [index for index, entry in enumerate(frames.entries) if keep_real or entry.family != REAL]
    real = len(frames) - len(kept)
    if not kept:
        raise InputError(f"all {real} frames are real, so there is no fake verdict to explain; add manipulated ones")
    indices = tuple(
        kept[index] for index in spread_over_families([frames.entries[index].family or "" for index in kept], limit)
    )
    chosen = IndexedFrames([frames.entries[index] for index in indices], frames.images)
    identity = FramesIdentity(len(indices), fingerprint_of(chosen) if fingerprinted else "", split, limit)
    return Selection(frames, indices, tuple(entry.key for entry in chosen.entries), identity, real)


def spread_over_families(families: Sequence[str], count: int | None) -> list[int]:
    """Which of the frames with these families to take, at most `count` (all for None), in order.

    An equal share of every family, evenly spread within it: even steps over an index in which families take turns
    would find one family only.
    """
    if count is None or count >= len(families):
        return list(range(len(families)))
    members: dict[str, list[int]] = {}
    for index, family in enumerate(families):
        members.setdefault(family, []).append(index)
    taken: list[int] = []
    for position, indices in enumerate(
        sorted(members.values(), key=len)
    ):  # a small family's unused share goes to others
        share = min(len(indices), -(-(count - len(taken)) // (len(members) - position)))
        taken += [indices[(2 * i + 1) * len(indices) // (2 * share)] for i in range(share)]
    return sorted(taken)


def demo_selection(limit: int | None = None) -> Selection:
    """Demo frames, each of another person, the four families in turn: DEMO_FRAMES, or `limit` of them."""
    count = DEMO_FRAMES if limit is None else limit
    frames = DemoFrames(count * len(FAMILIES), families=FAMILIES, frames_per_video=1)
    indices = tuple(person * len(FAMILIES) + person % len(FAMILIES) for person in range(count))
    keys = tuple(frames.key(index) for index in indices)
    fingerprint = hashlib.sha256(repr((frames.fingerprint(), keys)).encode()).hexdigest()
    return Selection(frames, indices, keys, FramesIdentity(count, fingerprint, "test", limit))
