"""What the folders of a tree of pictures say of each: its class, its split and its video."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from common.errors import InputError
from data.class_words import FAKE, class_of, known_family, like_split, split_of
from data.frames import REAL

MANIPULATED, ORIGINAL = "manipulated_sequences", "original_sequences"
SOURCES = frozenset({"youtube", "actors"})  # where FaceForensics++ has its originals from
COMPRESSIONS = frozenset({"raw", "c0", "c23", "c40"})
PLAIN = COMPRESSIONS | {"frames", "images", "imgs", "pictures", "faces", "crops", "videos"}
"""Folders that a data set has at one stage and not at another."""

SKIP = "skip"
ROOT = "."


def is_container(folder: str) -> bool:
    """Whether a folder of that name is neither a class nor a video: one of a split, or of a stage of a data set."""
    return folder.casefold() in PLAIN or (split_of(folder) is not None and class_of(folder) is None)


class VideoRule(StrEnum):
    """Which pictures are of one video, where their folder does not say it."""

    NAMES = "names"
    PICTURES = "pictures"


@dataclass(frozen=True)
class Verdict:
    """What the folders of a picture say.

    Attributes:
        family: "Real", the manipulation, or "Fake" where only that is known.
        folder: the folder that says it, relative to the root, "." for the root.
    """

    family: str
    folder: str

    @property
    def fake(self) -> bool:
        """Whether the picture is manipulated."""
        return self.family != REAL


class ClassNames:
    """What a user says of folders: by a folder's name or its path below the root, its class.

    A class is "real", "fake" (the folder's name is then the family), a manipulation of FaceForensics++, or "skip".
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._named: dict[str, str] = {}
        self.used: set[str] = set()
        for text in given:
            folder, _, name = text.rpartition("=")
            folder = folder.replace("\\", "/").rstrip("/") or folder
            if not folder:
                raise InputError(f"--class {text}: expected FOLDER=CLASS, such as --class method_A=fake")
            if self._named.setdefault(folder, _class(folder, name)) != _class(folder, name):
                raise InputError(f"--class says two things of the folder {folder}; keep one")

    @property
    def unused(self) -> list[str]:
        """The folders that were named and are not there."""
        return sorted(self._named.keys() - self.used)

    def of(self, folders: Sequence[str]) -> Verdict | None:
        """The class of the innermost folder that was named, or None; `folders` lead from the root to a picture."""
        found = None
        for depth in range(len(folders) + 1):
            path = "/".join(folders[:depth]) or ROOT
            for name in (folders[depth - 1] if depth else ROOT, path):
                if name in self._named:
                    self.used.add(name)
                    found = Verdict(self._named[name], path)
        return found


def _class(folder: str, name: str) -> str:
    """The family that `--class folder=name` means."""
    if name.casefold() == SKIP:
        return SKIP
    found = class_of(name)
    if found is None:
        raise InputError(
            f"--class {folder}={name}: a class is real, fake (the folder's name is then the family), a manipulation of "
            f"FaceForensics++ such as Deepfakes, or {SKIP} to leave the folder out"
        )
    own = PurePosixPath(folder).name
    return own if found == FAKE and own and class_of(own) is None and not own.isdigit() else found


def verdict(key: str) -> Verdict | None:
    """What the folders of a picture say of its class, or None where they say nothing.

    A folder below manipulated_sequences is a family, as in FaceForensics++. Elsewhere a name speaks for a class as
    `class_words.class_of` says. "Deepfakes/real" is Real. Raises InputError where folders contradict each other.
    """
    folders = PurePosixPath(key).parts[:-1]
    said = _said(folders)
    if not said:
        return None
    depth, last = said[-1]
    folder = "/".join(folders[:depth])
    families = {family for _, family in said}
    if last == REAL and FAKE not in families:  # the real pictures beside those of one manipulation
        return Verdict(REAL, folder)
    if len(families - {FAKE}) > 1 or families == {FAKE, REAL}:
        raise InputError(
            f"the folders of {key!r} contradict each other on its class; say what holds, such as --class {folder}=real "
            f"or --class {folder}=fake"
        )
    return Verdict(max(families - {FAKE}, default=FAKE), folder)


def _said(folders: Sequence[str]) -> list[tuple[int, str]]:
    """What each folder that speaks for a class says, outermost first: how deep it lies, from 1, and the family."""
    said = []
    for depth, (above, folder) in enumerate(zip(("", *folders), folders, strict=False), 1):
        if above == MANIPULATED and not re.fullmatch(r"[\d_]+", folder):  # no video
            said.append((depth, known_family(folder) or folder))
        elif above == ORIGINAL and folder in SOURCES:
            said.append((depth, REAL))
        elif (found := class_of(folder)) is not None:
            said.append((depth, found))
    return said


def split(key: str) -> str | None:
    """The split that the folders of a picture say, or None. Raises InputError where they say two."""
    found = {name for folder in PurePosixPath(key).parts[:-1] if (name := split_of(folder))}
    if len(found) > 1:
        raise InputError(f"the folders of {key!r} name two splits, {' and '.join(sorted(found))}; rename one of them")
    return found.pop() if found else None


def videos(verdicts: Mapping[str, Verdict], rule: VideoRule | None) -> dict[str, str]:
    """The video of each picture.

    A folder of pictures below a class's folder is a video. A picture that lies in the class's folder itself stands
    alone; with VideoRule.NAMES, those whose names differ in the last number only are one video. With
    VideoRule.PICTURES every picture stands alone. Raises InputError where names look like frames of several videos, or
    a folder's like that of a split, and no rule is given.

    Args:
        verdicts: by the picture's key.
        rule: what the user says; None where nothing is said.
    """
    if rule is VideoRule.PICTURES:
        return {key: key for key in verdicts}
    loose: dict[str, list[str]] = defaultdict(list)
    found = {}
    for key, verdict in verdicts.items():
        folder = str(PurePosixPath(key).parent)
        below = PurePosixPath(folder).relative_to(verdict.folder).parts
        if any(not is_container(part) for part in below):
            if rule is None:
                _ask_of_split(below, verdict.folder)
            found[key] = folder
        else:
            loose[folder].append(key)
    for folder, keys in loose.items():
        groups = {key: without_number(key) for key in keys}
        count = len(set(groups.values()))
        if rule is None and count > 1 and len(keys) >= 2 * count:
            raise InputError(
                f"the {len(keys):,} pictures in {folder} have names as frames of {count:,} videos have, such as "
                f"{PurePosixPath(keys[0]).name}, and which are of one video decides every interval: add --videos names "
                "(names that differ in the last number only are one video) or --videos pictures (each stands alone)"
            )
        found |= groups if rule is VideoRule.NAMES else {key: key for key in keys}
    return found


def _ask_of_split(below: Sequence[str], folder: str) -> None:
    """Raises InputError where a folder below that of a class may be that of a split or of a video."""
    for name in below:
        if like_split(name):
            raise InputError(
                f"{folder}/{name} may be the folder of a split or of one video: rename it to train, val or test, or "
                "where it is a video add --videos names"
            )


def without_number(key: str) -> str:
    """A picture's path up to the last number in its name, which counts the frames of a video.

    Words behind the number that say what was cut out ("_face0", "_crop") do not count; "frame000_clip7" is of "clip7".
    """
    path = PurePosixPath(key)
    if (first := re.fullmatch(r"(?i)(frame|frm)[\s_.-]*[0-9]+[\s_.-]+(\S.*)", path.stem)) is not None:
        return str(path.parent / first[2])
    stem = re.sub(r"(?i)([\s_.-]+(face|crop|cropped|align|aligned|resized)[\s_.-]*[0-9]*)+$", "", path.stem)
    name = re.sub(r"(?i)((^|[\s_.-]+)(frame|frm|img|image|f))?[\s_.-]*[0-9]+$", "", stem)
    return str(path.parent / name) if name else str(path.parent)


def unknown_folders(keys: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """The folders that no class is known of, each with its number of pictures, for a question to the user.

    For each of `keys`, the outermost folder below which nothing is `known` and that is more than a container.
    """
    inside = {str(parent) for key in known for parent in PurePosixPath(key).parents}
    counts: dict[str, int] = defaultdict(int)
    for key in keys:
        folders = [str(parent) for parent in reversed(PurePosixPath(key).parents)]
        asked = [folder for folder in folders if folder not in inside and folder != ROOT]
        plain = [folder for folder in asked if not is_container(PurePosixPath(folder).name)]
        counts[(plain or asked or [folders[-1]])[0]] += 1
    return dict(counts)
