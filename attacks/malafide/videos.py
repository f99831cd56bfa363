"""Faces of videos as frames, cropped as the data tools crop them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from attacks.malafide.material import Material
from common.console import progress, warn
from common.errors import InputError
from data.frames import REAL
from data.preprocess.celebdf import CelebDF
from data.preprocess.layout import SUFFIXES, Clip, FaceForensics
from data.preprocess.pipeline import entries, run_all
from data.preprocess.records import Recipe, open_folder
from data.source import IndexedFrames
from data.stores import FolderImages

COMPRESSIONS = ("c23", "raw", "c40")
_MANIPULATED, _ORIGINAL = "manipulated_sequences", "original_sequences"


def open_videos(place: Path, crops: Path, per_video: int, face_detector: str = Recipe.face_detector) -> Material:
    """Evenly spread frames of a video, or of all videos under a folder, their faces cropped into `crops`.

    A folder laid out as FaceForensics++ or Celeb-DF is taken as such, with what is real and what is not. Elsewhere
    the path of a video says what it is: `original_sequences`, `Celeb-real` or `YouTube-real` is real, and
    `manipulated_sequences/<family>` of that family; any other is a fake of the family that its folder is named after.
    Crops made earlier are used again.

    Raises InputError where there is no video, or no face in any.
    """
    clips = _clips(place)
    recipe = Recipe(frames_per_video=per_video, face_detector=face_detector)
    folder, records = open_folder(crops, recipe), {}
    with progress() as bar:
        for record in bar.track(run_all(clips, recipe, folder, 1), total=len(clips), description="cropping faces"):
            records[record.key] = record
            if record.problem:
                warn(f"{record.key}: {record.problem}")
    found = entries(clips, records, recipe, {})
    if not found:
        raise InputError(f"{place}: no face found in any of {len(clips)} videos")
    return Material(IndexedFrames(found, FolderImages(crops)), tuple(found))


def _clips(place: Path) -> Sequence[Clip]:
    if place.is_file():
        return [_clip(place)]
    if not place.is_dir():
        raise InputError(f"{place}: no such video or folder of videos")
    if any((place / part).is_dir() for part in (_MANIPULATED, _ORIGINAL)):
        return _face_forensics(place)
    if any((place / part).is_dir() for part in CelebDF.folders):
        return CelebDF().find(place).clips
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not found:
        raise InputError(f"{place}: no videos in this folder ({' '.join(sorted(SUFFIXES))})")
    return [_clip(path) for path in found]


def _face_forensics(root: Path) -> Sequence[Clip]:
    """The clips of the first compression that is there."""
    for compression in COMPRESSIONS:
        if any(root.glob(f"*/*/{compression}/videos")):
            return FaceForensics(compression).find(root).clips
    raise InputError(f"{root}: no videos at any of the compressions {', '.join(COMPRESSIONS)}")


def _clip(path: Path) -> Clip:
    """A video by itself; what it is, its path says."""
    parts = path.resolve().parts
    if _MANIPULATED in parts[:-2]:
        start = parts.index(_MANIPULATED)
        return Clip(str(PurePosixPath(*parts[start:])), path, parts[start + 1], path.stem.split("_")[0])
    for real in (_ORIGINAL, *CelebDF.REAL_FOLDERS):
        if real in parts[:-1]:
            return Clip(str(PurePosixPath(*parts[parts.index(real) :])), path, REAL, path.stem)
    family = path.resolve().parent.name or "videos"
    return Clip(f"{family}/{path.name}", path, family, path.stem)
