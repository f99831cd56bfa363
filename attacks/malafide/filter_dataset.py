"""The frames that an attack has: fakes by manipulation and reals, some to train on, others to test on."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common.errors import InputError
from common.registry import resolve
from data.demo.demo_frames import DemoFrames
from data.entry import Entry
from data.frames import REAL, Frame
from data.picture_doubts import warn_of_pictures
from data.sample import natural, spread
from data.source import IndexedFrames, open_frames

TRAIN, TEST = "train", "test"
TRAIN_SHARE, TEST_SHARE = 0.70, 0.25  # by time; what is between is left out
SPLITS = ("auto", "index", "identity", "time", "frame")


@dataclass(frozen=True, eq=False)
class FilterDataset:
    """Labelled frames and what is known of each without reading it.

    Attributes:
        frames: N frames, read when asked for.
        entries: N entries of an index.
    """

    frames: Sequence[Frame]
    entries: tuple[Entry, ...]

    @property
    def manipulations(self) -> list[str]:
        """The families of the fakes, sorted."""
        return sorted({entry.family for entry in self.entries if entry.fake and entry.family})

    def chosen(self, names: Sequence[str]) -> list[str]:
        """The manipulations that `names` stand for, each once; all where none is named. Raises InputError."""
        known = self.manipulations
        if not known:
            raise InputError("the frames have no fake among them, so there is nothing to attack")
        return [
            resolve(name, {family: family for family in known}, "manipulation") for name in dict.fromkeys(names)
        ] or known

    def limited(self, positions: Sequence[int], limit: int | None) -> list[int]:
        """At most `limit` of the positions, evenly spread over the natural order of their keys; all where None."""
        if limit is None or len(positions) <= limit:
            return list(positions)
        ordered = sorted(positions, key=lambda position: natural(self.entries[position].key))
        return sorted(ordered[index] for index in spread(len(ordered), limit))

    def fingerprint(self, positions: Sequence[int]) -> str:
        """What changes with these frames' keys and, where they come from files, with their pictures."""
        entries = [self.entries[position] for position in positions]
        if isinstance(self.frames, IndexedFrames):
            return IndexedFrames(entries, self.frames.images).fingerprint()
        source = self.frames.fingerprint() if isinstance(self.frames, DemoFrames) else ""
        return hashlib.sha256(repr((source, [entry.key for entry in entries])).encode()).hexdigest()

    def of(self, families: Iterable[str], among: Iterable[int]) -> list[int]:
        """Those of the positions `among` whose frames are of one of the families."""
        wanted = set(families)
        return [position for position in among if self.entries[position].family in wanted]


@dataclass(frozen=True)
class Halves:
    """Positions to train on and to test on, which share no frame and, unless split by frame, no neighbours.

    Attributes:
        train: positions, ascending.
        test: positions, ascending.
        way: how they were split, one of SPLITS but "auto".
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    way: str


def open_dataset(frames: Path, images: Path | None = None, split: str | None = None) -> FilterDataset:
    """The labelled frames of an index. Raises InputError where it cannot be used or its frames have no labels.

    Warns of pictures that are there twice, or odd (`data.picture_doubts`).
    """
    source = open_frames(frames, images, split)
    if any(entry.fake is None for entry in source.entries):
        raise InputError(f"{frames}: pictures without labels; name an index, which knows real frames from fakes")
    warn_of_pictures(source)
    return FilterDataset(source, source.entries)


def demo_dataset(frames: DemoFrames) -> FilterDataset:
    """Demo frames as a dataset, known without being drawn."""
    entries = []
    for position in range(len(frames)):
        take = frames.take(position)
        entries.append(Entry(take.key, take.family != REAL, None if take.family != REAL else 0, frames.split))
    return FilterDataset(frames, tuple(entries))


def split(
    entries: Sequence[Entry],
    way: str = "auto",
    seed: int = 0,
    needed: Sequence[str] = (TRAIN, TEST),
    manipulations: Sequence[str] | None = None,
) -> Halves:
    """Splits labelled frames into those that a filter is trained on and those that it is tested on.

    The draw depends on the seed and the names alone.

    Args:
        entries: N labelled frames; positions of the halves are among these.
        way: one of SPLITS: "index", by the index's column `split` (frames of other splits than train and test are left
            out); "identity", 70 % of the people to train on, with all their videos, real and fake (004 and 004_982 in
            FaceForensics++ are of one person); "time", the first 70 % of each video's moments to train on and the last
            25 % to test on, with at least one left out between them; "frame", 70 % of the frames, as published, where
            neighbours of a training frame are tested on; or "auto", the index's column where it names train or test,
            else the first of identity and time that gives the needed halves all that they need.
        seed: of the draw, for "identity" and "frame".
        needed: which of TRAIN and TEST must have real frames and fakes of every manipulation.
        manipulations: those that count, as families of the entries; all where None.

    Raises:
        InputError: `way` is unknown, or the frames cannot be split so that the needed halves have them.
    """
    if way not in SPLITS:
        raise InputError(f"unknown split {way!r}; known: {', '.join(SPLITS)}")
    if way == "auto":
        has_column = any(entry.split in (TRAIN, TEST) for entry in entries)
        ways = ["index"] if has_column else ["identity", "time"]
    else:
        ways = [way]
    for split_name in ways:
        halves = _WAYS[split_name](entries, seed)
        if not (lacking := _lacking(entries, halves, needed, manipulations)):
            return halves
    raise InputError(f"the frames cannot be split by {ways[-1]}: {lacking}; {_ADVICE[ways[-1]]}")


def keys_sha256(entries: Sequence[Entry], positions: Sequence[int]) -> str:
    """The SHA-256 of the keys at the positions, whatever their order."""
    keys = sorted(entries[position].key for position in positions)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def person_of(entry: Entry) -> str:
    """Who a frame shows: its video's name up to the first "_", in FaceForensics++ the target's id."""
    return PurePosixPath(entry.video).stem.split("_")[0]


def moment_of(entry: Entry) -> str:
    """The moment of its video that a frame shows: its name without the face's number."""
    return PurePosixPath(entry.key).stem.rsplit("_", 1)[0]


def _by_index(entries: Sequence[Entry], _seed: int) -> Halves:
    return _halves([entry.split for entry in entries], "index")


def _by_identity(entries: Sequence[Entry], seed: int) -> Halves:
    part = _drawn({person_of(entry) for entry in entries}, seed)
    return _halves([part[person_of(entry)] for entry in entries], "identity")


def _by_frame(entries: Sequence[Entry], seed: int) -> Halves:
    part = _drawn({entry.key for entry in entries}, seed)
    return _halves([part[entry.key] for entry in entries], "frame")


def _by_time(entries: Sequence[Entry], _seed: int) -> Halves:
    moments: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        moments[entry.video].add(moment_of(entry))
    parts = {video: _early_and_late(sorted(video_moments, key=natural)) for video, video_moments in moments.items()}
    return _halves([parts[entry.video].get(moment_of(entry)) for entry in entries], "time")


def _early_and_late(moments: Sequence[str]) -> dict[str, str]:
    """The part of each of a video's moments; those in the gap, and a video of one or two in the test, have none."""
    count = len(moments)
    late = max(1, round(TEST_SHARE * count)) if count > 2 else 0
    early = min(round(TRAIN_SHARE * count), count - late - 1) if late else count
    return dict.fromkeys(moments[:early], TRAIN) | dict.fromkeys(moments[count - late :] if late else (), TEST)


def _drawn(names: set[str], seed: int) -> dict[str, str]:
    """TRAIN for 70 % of the names, by lot, TEST for the others."""
    order = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    early = round(TRAIN_SHARE * len(order))
    return {name: TRAIN if index < early else TEST for index, name in enumerate(order)}


def _halves(parts: Sequence[str | None], way: str) -> Halves:
    train, test = (tuple(position for position, part in enumerate(parts) if part == half) for half in (TRAIN, TEST))
    return Halves(train, test, way)


def _lacking(
    entries: Sequence[Entry], halves: Halves, needed: Sequence[str], manipulations: Sequence[str] | None
) -> str:
    """What a needed half does not have, in words; empty where both have real frames and fakes of every manipulation."""
    families = {entry.family for entry in entries if entry.family} if manipulations is None else set(manipulations)
    for name, positions in ((TRAIN, halves.train), (TEST, halves.test)):
        if name not in needed:
            continue
        missing = sorted({REAL, *families} - {entries[position].family or "" for position in positions})
        if missing:
            return f"no {name} frames of {', '.join(missing)}"
    return ""


_WAYS: dict[str, Callable[[Sequence[Entry], int], Halves]] = {
    "index": _by_index,
    "identity": _by_identity,
    "time": _by_time,
    "frame": _by_frame,
}
_ADVICE = {
    "index": "the index needs a column `split` with train and test, or name another way with --split-by",
    "identity": "more people are needed, or --split-by time",
    "time": "videos of at least three frames are needed, or --split-by frame as published",
    "frame": "more frames are needed",
}
