"""What an index says that is well-formed and may be wrong: columns that are shifted, filled in or spelt in two ways."""

import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from common.console import count, some
from common.errors import InputError
from data.class_words import FAKE, class_of
from data.entry import Entry
from data.frames import CLASS_NAMES, REAL, family_in
from data.indexing.picture_tree import COMPRESSIONS, is_container, verdict, without_number
from data.preprocess.layout import SUFFIXES as VIDEO_SUFFIXES
from data.shortened_ids import shortened_ids

LONGEST = 500
"""The most characters of a path or video that is looked into for numbers."""

SHIFT = 3
"""By how many rows a column of videos is tried to be shifted."""

_NOTHING = {"nan", "none", "null", "n/a", "na", "nil", "undefined", "#n/a", "#ref!", "#name?", "#value!", "#null!"}
"""What programs and spreadsheets write where there is nothing."""


def doubts(entries: Sequence[Entry]) -> list[str]:
    """What may be wrong in an index, a sentence each, with an example."""
    found = (
        _labels_beside_folders(entries),
        _classes_of_one_video(entries),
        _masks_of_others(entries),
        _one_mask_for_many(entries),
        _spelt_alike("family", "families", _plain_family, (entry.stated_family for entry in entries)),
        _spelt_alike("video", "videos", _plain_video, (entry.stated_video for entry in entries)),
        _words_for_nothing(entries),
        shortened_ids(entries),
        _videos_left_out(entries),
        _several_compressions(entries),
        _videos_in_splits(entries),
        _videos_beside_names(entries),
    )
    return [remark for remark in found if remark]


def _labels_beside_folders(entries: Sequence[Entry]) -> str | None:
    """That folders say another class or manipulation than the labels do."""
    beside = [entry for entry in entries if _says_otherwise(entry)]
    if not beside:
        return None
    first = beside[0]
    said = first.stated_family or (CLASS_NAMES[first.label] if first.label is not None else FAKE)
    return (
        f"{count(len(beside), 'frame')} whose folder says another class than the labels, such as {first.key} ({said}): "
        "the labels are taken; if they are wrong, as in a shifted column, so are all numbers"
    )


def _says_otherwise(entry: Entry) -> bool:
    """Whether the folders of a frame say another class than its labels; those of people in view say none."""
    if "bystanders" in entry.key.split("/"):
        return False
    if (family := family_in(entry.key)) is not None and (said := class_of(family)) not in (None, FAKE):
        return entry.family not in (said, FAKE)
    try:
        found = verdict(entry.key)
    except InputError:  # they contradict each other
        return False
    return found is not None and found.fake != bool(entry.fake)


def _classes_of_one_video(entries: Sequence[Entry]) -> str | None:
    """That frames of one video in one folder are of several classes, as where the labels are shifted or sorted alone.

    Frames whose folders say another class count elsewhere. Names that differ in more than a number, each of a single
    class ("real_3_0.png", "fake_3_0.png"), are those of several films that go by one video.
    """
    films = defaultdict(list)
    for entry in entries:
        films[entry.video, posixpath.dirname(entry.key)].append(entry)
    several: dict[str, list[str]] = {}
    for (video, _), frames in films.items():
        if len({_plain_family(str(entry.family)) for entry in frames}) == 1:
            continue
        taken = [entry for entry in frames if not _says_otherwise(entry)]
        classes = sorted({str(entry.family) for entry in taken}, key=lambda name: (name != REAL, name))
        if len(classes) > 1 and not _named_apart(taken):
            several[video] = classes
    if not several:
        return None
    video, classes = next(iter(several.items()))
    return (
        f"{count(len(several), 'video')} with frames of several classes, such as {video} ({', '.join(classes)}): the "
        "labels are taken; see whether it is one video, and whether their column is shifted or was sorted alone. Where "
        "videos are manipulated in part only, they are right"
    )


def _named_apart(frames: Sequence[Entry]) -> bool:
    """Whether the names of some frames are those of several films, each of one class."""
    films = defaultdict(list)
    for entry in frames:
        films[_named_video(entry.key)].append(entry.family)
    return 1 < len(films) < len(frames) and all(len(set(classes)) == 1 for classes in films.values())


def _masks_of_others(entries: Sequence[Entry]) -> str | None:
    """That masks are named after other frames than they stand beside.

    A mask is named after a frame where its path ends in the frame's, but for the file's ending, and after its own also
    where folders stand between (`a/masks/1.png` of `a/1.png`).
    """
    stems = {_stem(entry.key) for entry in entries}
    others = []
    for entry in entries:
        parts = _stem(entry.mask).split("/") if entry.mask else []
        named = next((end for start in range(len(parts)) if (end := "/".join(parts[start:])) in stems), None)
        left = iter(parts)
        if named is not None and not all(part in left for part in _stem(entry.key).split("/")):
            others.append(entry)
    if not others:
        return None
    return (
        f"{count(len(others), 'frame')} whose mask is named after another frame, such as {others[0].key}, with "
        f"{others[0].mask}: they are taken; if the column is shifted, so are all numbers of manipulated pixels"
    )


def _one_mask_for_many(entries: Sequence[Entry]) -> str | None:
    """That one mask stands beside fakes of many videos: the cell was filled down."""
    videos, masked = defaultdict(set), [entry for entry in entries if entry.mask and entry.fake]
    for entry in masked:
        videos[str(entry.mask)].add(entry.video)
    mask = max(videos, key=lambda each: len(videos[each]), default="")
    beside = sum(entry.mask == mask for entry in masked)
    if len(videos[mask]) < 3 or beside <= len(masked) / 2:
        return None
    return (
        f"one mask, {mask}, beside {count(beside, 'fake')} of {count(len(videos[mask]), 'video')}: it is taken for "
        "each; where the cell was filled down, all numbers of manipulated pixels are wrong"
    )


def _spelt_alike(what: str, several: str, plain: Callable[[str], str], names: Iterable[str | None]) -> str | None:
    """That names differ in what is none by `plain`."""
    alike = defaultdict(set)
    for name in filter(None, names):
        alike[plain(name)].add(name)
    twice = [sorted(spellings) for spellings in alike.values() if len(spellings) > 1]
    if not twice:
        return None
    return (
        f"one {what} is spelt in several ways, as {some([repr(name) for name in twice[0]], 3)} may be, and each counts "
        f"as another ({len(twice):,} such {several if len(twice) > 1 else what}): write them alike"
    )


def _plain_family(name: str) -> str:
    """A family in any case, without what separates words."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _plain_video(name: str) -> str:
    """A video in any case, without a film's ending; of numbers ("003", "3.0") without zeros before and ".0" behind."""
    stem, ending = posixpath.splitext(name)
    name = re.sub(r"[\s_-]+", "_", stem if ending.lower() in VIDEO_SUFFIXES else name)
    if re.fullmatch(r"\d+(_\d+)*(\.0+)?", name):
        return re.sub(r"\d+", lambda number: number[0].lstrip("0") or "0", re.sub(r"\.0+$", "", name))
    return name.casefold()


def _words_for_nothing(entries: Sequence[Entry]) -> str | None:
    """That a split, family or video is what programs and spreadsheets write for nothing."""
    found = [
        (entry, name)
        for entry in entries
        for name in (entry.split, entry.stated_family, entry.stated_video)
        if name and name.casefold() in _NOTHING
    ]
    if not found:
        return None
    (first, name), frames = found[0], {id(entry) for entry, _ in found}
    return (
        f"{count(len(frames), 'frame')} with a split, family or video called {name!r}, such as {first.key}: it is "
        "taken as a name; where there is none, leave the cell empty"
    )


def _several_compressions(entries: Sequence[Entry]) -> str | None:
    """That one film is there at several compressions of FaceForensics++, and counts as several videos."""
    films = defaultdict(set)
    for entry in entries:
        parts = entry.video.split("/")
        if found := COMPRESSIONS.intersection(parts):
            films["/".join(part for part in parts if part not in found)].add(entry.video)
    several = [sorted(videos) for videos in films.values() if len(videos) > 1]
    if not several:
        return None
    return (
        f"{count(len(several), 'film')} at several compressions, such as {some(several[0])}, of which each counts as "
        "another video: intervals and tests take them for independent; score one at a time"
    )


def _videos_in_splits(entries: Sequence[Entry]) -> str | None:
    """That frames of one video are in several splits by turns: what is trained on is tested on.

    Of a split by time, each video has the frames of a split in a row.
    """
    splits = defaultdict(list)
    for entry in entries:
        if entry.split:
            splits[entry.video].append(entry.split)
    several = {video: names for video, names in splits.items() if len(set(names)) > 1}
    turns = sum(one != two for names in several.values() for one, two in itertools.pairwise(names))
    if turns <= 1.5 * sum(len(set(names)) - 1 for names in several.values()):
        return None
    video, names = next(iter(several.items()))
    return (
        f"{count(len(several), 'video')} with frames in several splits by turns, such as {video} "
        f"({', '.join(sorted(set(names)))}): what is trained on is tested on; split by videos"
    )


def _videos_left_out(entries: Sequence[Entry]) -> str | None:
    """That of one folder some frames state their video and others do not."""
    stated = {posixpath.dirname(entry.key) for entry in entries if entry.stated_video}
    without = [entry for entry in entries if not entry.stated_video and posixpath.dirname(entry.key) in stated]
    if not without:
        return None
    return (
        f"{count(len(without), 'frame')} without a video beside others of its folder that have one, such as "
        f"{without[0].key}: {without[0].video!r} is taken for its video; fill the column, or leave it out"
    )


def _videos_beside_names(entries: Sequence[Entry]) -> str | None:
    """That the column of videos is shifted against the frames' names, or only counts the rows."""
    stated = [entry.stated_video for entry in entries]
    if None in stated or max(map(len, (*map(str, stated), *(entry.key for entry in entries))), default=0) > LONGEST:
        return None
    named = [_named_video(entry.key) for entry in entries]
    if len(set(named)) < 2 or 2 * len(set(named)) > len(named):
        return None  # most frames stand alone by their names
    if (rows := _shift(named, stated)) is not None:
        return (
            f"the column video is shifted by {count(abs(rows), 'row')}: moved back, every video has the frames of one "
            "folder or name, as it is it mixes them; intervals and tests go by the column"
        )
    if _counts_rows(entries):
        return (
            f"the column video counts the rows, from {stated[0]!r} to {stated[-1]!r}, where folders and names are "
            f"those of {count(len(set(named)), 'video')}: each frame counts as a video of its own"
        )
    return None


def _shift(named: Sequence[str], stated: Sequence[str | None]) -> int | None:
    """By how many rows a column of videos is to be moved up (down, below 0) to go with the names; None where it does.

    None also where no move makes it, or too few rows are left to tell, and where each name goes with one video: such
    videos are of several names, and moving them by a whole one would only hide the last.
    """
    if len(set(zip(named, stated, strict=True))) == len(set(named)):
        return None
    for rows in (*range(1, SHIFT + 1), *range(-SHIFT, 0)):
        ones, others = (named[:-rows], stated[rows:]) if rows > 0 else (named[-rows:], stated[:rows])
        if 3 <= len(set(ones)) <= (len(ones) + SHIFT) / 2 and _one_to_one(ones, others):
            return rows
    return None


def _one_to_one(ones: Sequence[object], others: Sequence[object]) -> bool:
    """Whether each of one row of names goes with a single one of the other, and the reverse."""
    return len(set(ones)) == len(set(others)) == len(set(zip(ones, others, strict=True)))


def _counts_rows(entries: Sequence[Entry]) -> bool:
    """Whether the videos are numbers that count the rows, and not those in the frames' names."""
    numbers = [re.search(r"\d{1,15}$", str(entry.stated_video)) for entry in entries]
    counted = [int(number[0]) for number in numbers if number is not None]
    if len(counted) < len(entries) or any(two - one != 1 for one, two in itertools.pairwise(counted)):
        return False
    own = (re.search(r"\d{1,15}$", _stem(entry.key)) for entry in entries)
    return any(number is None or int(number[0]) != row for number, row in zip(own, counted, strict=True))


def _named_video(key: str) -> str:
    """The video that a frame's folder or name says: a folder of a video, else its name up to the last number."""
    folder = posixpath.basename(posixpath.dirname(key))
    if folder and not is_container(folder) and class_of(folder) is None and re.search(r"\d", folder):
        return posixpath.dirname(key)
    return without_number(key)


def _stem(key: str) -> str:
    return posixpath.splitext(key)[0]
