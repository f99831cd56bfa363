"""Where a data set keeps its videos, their originals and their mask videos."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

import numpy as np

from common.errors import InputError
from common.files import visible
from common.registry import resolve
from data.frames import CLASS_NAMES, REAL

SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm"})


@dataclass(frozen=True)
class Clip:
    """One video of a data set, and what belongs to it.

    Attributes:
        key: the video's path relative to the data set's root, with forward slashes; the keys of its frames start
            with it.
        path: the video file.
        family: "Real", or the manipulation it was made with.
        identity: the id that decides its official split: its own for an original, its target's otherwise.
        original: the unmanipulated video of the same moments, where it is there.
        mask: the video of its manipulated pixels, where it is there.
        split: the split that the data set itself puts it in, or None.
        landmarks: by frame, the landmarks (n, 2) of its main face in the frame's pixels, where a file gives them.
    """

    key: str
    path: Path
    family: str
    identity: str
    original: Path | None = None
    mask: Path | None = None
    split: str | None = None
    landmarks: Mapping[int, np.ndarray] | None = field(default=None, compare=False, repr=False)

    @property
    def fake(self) -> bool:
        """Whether the video is manipulated."""
        return self.family != REAL

    @property
    def label(self) -> int | None:
        """Its `mc_label`, 0 to 4, or None for a family that has none."""
        return CLASS_NAMES.index(self.family) if self.family in CLASS_NAMES else None


@dataclass(frozen=True)
class FoundClips:
    """The clips of a data set, sorted by key, and a line about each thing that was asked for but is not there."""

    clips: tuple[Clip, ...]
    remarks: tuple[str, ...] = ()


class Layout(Protocol):
    """How a data set arranges its files; another one is one more class like FaceForensics."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of the data set that hold its videos, relative to its root."""
        ...

    def find(self, root: Path, families: Sequence[str]) -> FoundClips:
        """The clips under `root` of the given families ("Real" is one), or of all families where none is given.

        Raises InputError where `root` is not such a data set or a family is not in it.
        """
        ...


@dataclass(frozen=True)
class FaceForensics:
    """FaceForensics++ as its download script leaves it (Roessler et al., ICCV 2019).

        original_sequences/{youtube,actors}/<compression>/videos/AAA.mp4
        manipulated_sequences/<family>/<compression>/videos/AAA_BBB.mp4
        manipulated_sequences/<family>/masks/videos/AAA_BBB.mp4

    AAA_BBB is video AAA with the face or expression of BBB, so its original is AAA. The actors' clips of
    DeepFakeDetection are called AA_BB__<scene>__<code>, and their originals AA__<scene>. Any folder of
    manipulated_sequences is a family.
    """

    compression: str = "c23"
    folders: ClassVar[tuple[str, ...]] = ("original_sequences", "manipulated_sequences")

    def find(self, root: Path, families: Sequence[str] = ()) -> FoundClips:
        """The clips of this compression; see Layout."""
        known = self._families(root)
        chosen = [resolve_family(name, known) for name in dict.fromkeys(families)] or known
        clips, remarks = [], []
        for family in chosen:
            of_family = list(self._clips(root, family))
            if not of_family:
                remarks.append(f"{family}: no videos at compression {self.compression} under {root}")
            clips += of_family
        if not clips:
            raise InputError(
                f"{root}: no videos at compression {self.compression} of {', '.join(chosen)}; expected such as "
                f"original_sequences/youtube/{self.compression}/videos/000.mp4{self._pictures_instead(root)}"
            )
        return FoundClips(tuple(sorted(clips, key=lambda clip: clip.key)), tuple(remarks))

    def _pictures_instead(self, root: Path) -> str:
        """What to do with pictures in the videos' place."""
        if any(visible(root, f"*_sequences/*/{self.compression}/frames/*/")):
            return f"; it has pictures of frames: python -m data index {root} makes their index"
        return ""

    def _families(self, root: Path) -> list[str]:
        """ "Real" and the folders of manipulated_sequences, those with an `mc_label` first."""
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; --root names the folder of FaceForensics++")
        manipulated = root / "manipulated_sequences"
        names = {folder.name for folder in _folders(manipulated)}
        if not names and not (root / "original_sequences").is_dir():
            raise InputError(
                f"{root}: neither original_sequences nor manipulated_sequences is in it; "
                "--root names the folder of FaceForensics++ that holds them"
            )
        numbered = [name for name in CLASS_NAMES if name == REAL or name in names]
        return numbered + sorted(names - set(numbered))

    def _clips(self, root: Path, family: str) -> Iterator[Clip]:
        if family == REAL:
            for folder in _folders(root / "original_sequences"):
                for path in videos_in(folder / self.compression / "videos"):
                    yield Clip(key_of(root, path), path, REAL, identity_of(path.stem))
            return
        folder = root / "manipulated_sequences" / family
        for path in videos_in(folder / self.compression / "videos"):
            original = self._original(root, _original_of(path.stem))
            mask = present(folder / "masks" / "videos", path.stem)
            yield Clip(key_of(root, path), path, family, identity_of(path.stem), original, mask)

    def _original(self, root: Path, name: str) -> Path | None:
        video_folders = [folder / self.compression / "videos" for folder in _folders(root / "original_sequences")]
        return next((video for video_folder in video_folders if (video := present(video_folder, name))), None)


def resolve_family(name: str, known: Sequence[str]) -> str:
    """The known family that `name` means, whatever its letters' case; InputError names the known ones."""
    folded = {family.lower(): family for family in known}
    if name.lower() in folded:
        return folded[name.lower()]
    if ":" in name:
        raise InputError(f"unknown family {name!r}; known: {', '.join(known)}")
    return resolve(name, dict(zip(known, known, strict=True)), "family")


def identity_of(stem: str) -> str:
    """The id that decides the split of a clip of that name: "000" of 000 and 000_003.

    The actors of DeepFakeDetection are numbered anew: 01__exit_phone_room and 01_02__exit_phone_room__XYZ are of
    "actor 01", whom no list of the other clips means.
    """
    actor = re.fullmatch(r"(\d+)(?:_\d+)?__.+", stem)
    return f"actor {actor[1]}" if actor else stem.split("_")[0]


def _original_of(stem: str) -> str:
    """The name of the original that a manipulated clip shows."""
    actors = re.fullmatch(r"(\d+)_\d+__(.+)__[^_]+", stem)
    return f"{actors[1]}__{actors[2]}" if actors else stem.split("_")[0]


def key_of(root: Path, path: Path) -> str:
    """A video's path relative to the data set's root, with forward slashes."""
    return str(PurePosixPath(*path.relative_to(root).parts))


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in visible(folder) if entry.is_dir()) if folder.is_dir() else []


def videos_in(folder: Path) -> list[Path]:
    """The visible videos in a folder, sorted; none where the folder is missing."""
    if not folder.is_dir():
        return []
    return sorted(file for file in visible(folder) if file.suffix.lower() in SUFFIXES)


def present(folder: Path, stem: str) -> Path | None:
    """The video of that name in a folder, whatever its suffix, or None."""
    return next((path for suffix in sorted(SUFFIXES) if (path := folder / f"{stem}{suffix}").is_file()), None)
