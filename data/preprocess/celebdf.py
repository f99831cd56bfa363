"""Where Celeb-DF keeps its videos, and which of them are for testing."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from common.errors import InputError
from common.files import read_text
from data.frames import REAL
from data.preprocess.layout import Clip, FoundClips, key_of, present, resolve_family, videos_in

FAKE = "Celeb-synthesis"
TEST_LIST = "List_of_testing_videos.txt"


@dataclass(frozen=True)
class CelebDF:
    """Celeb-DF-v2 as it is downloaded (Li et al., CVPR 2020).

        Celeb-real/idA_NNNN.mp4
        YouTube-real/NNNNN.mp4
        Celeb-synthesis/idA_idB_NNNN.mp4
        List_of_testing_videos.txt

    idA_idB_NNNN is the video idA_NNNN with the face of idB. A line of the list is `1 YouTube-real/00170.mp4` for a real
    video, and begins with 0 for a fake. What the list names is the split "test", everything else "train".
    """

    REAL_FOLDERS: ClassVar[tuple[str, ...]] = ("Celeb-real", "YouTube-real")
    folders: ClassVar[tuple[str, ...]] = (*REAL_FOLDERS, FAKE)

    def find(self, root: Path, families: Sequence[str] = ()) -> FoundClips:
        """The clips, each in its split; see Layout. Without the list they have no split, which a remark says."""
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; --root names the folder of Celeb-DF")
        if not any((root / folder).is_dir() for folder in self.folders):
            raise InputError(f"{root}: none of {', '.join(self.folders)} is in it; --root names the folder of Celeb-DF")
        known = [REAL, FAKE]
        chosen = [resolve_family(name, known) for name in dict.fromkeys(families)] or known
        tests, remarks = _tests(root)
        clips = []
        for family in chosen:
            subfolders = self.REAL_FOLDERS if family == REAL else (FAKE,)
            of_family = [
                self._clip(root, path, family, tests)
                for subfolder in subfolders
                for path in videos_in(root / subfolder)
            ]
            if not of_family:
                remarks.append(f"{family}: no videos in {' or '.join(subfolders)} under {root}")
            clips += of_family
        if not clips:
            raise InputError(f"{root}: no videos of {', '.join(chosen)}; expected such as Celeb-real/id0_0000.mp4")
        return FoundClips(tuple(sorted(clips, key=lambda clip: clip.key)), tuple(remarks))

    def _clip(self, root: Path, path: Path, family: str, tests: frozenset[str] | None) -> Clip:
        key = key_of(root, path)
        parts = re.fullmatch(r"(id\d+)_id\d+_(\d+)", path.stem) if family == FAKE else None
        original = present(root / "Celeb-real", f"{parts[1]}_{parts[2]}") if parts else None
        split = None if tests is None else "test" if key in tests else "train"
        return Clip(key, path, family, parts[1] if parts else path.stem.split("_")[0], original, split=split)


def _tests(root: Path) -> tuple[frozenset[str] | None, list[str]]:
    """The keys of the videos to test on, None where there is no list; and lines about what is amiss with it."""
    path = root / TEST_LIST
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except FileNotFoundError:
        return None, [f"no {TEST_LIST} under {root}: the index has no splits"]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8; download the list again") from error
    keys = []
    for number, line in enumerate(lines, 1):
        match = re.fullmatch(r"([01])\s+(\S+)", line.strip())
        if match is None or match[2].split("/")[0] not in CelebDF.folders:
            if line.strip():
                raise InputError(f'{path}, line {number}: {line!r} is not such as "1 YouTube-real/00170.mp4"')
            continue
        if (match[1] == "0") != match[2].startswith(f"{FAKE}/"):
            raise InputError(f"{path}, line {number}: {match[2]} is labelled {match[1]}, but 1 means real and 0 fake")
        keys.append(match[2])
    absent = [key for key in keys if not os.path.isfile(root / key)]
    remarks = (
        [f"{len(absent)} of the {len(keys)} videos to test on are not there, such as {absent[0]}"] if absent else []
    )
    return frozenset(keys), remarks
