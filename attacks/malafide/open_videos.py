"""Faces of videos as frames, cropped as the data tools crop them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from attacks.malafide.filter_dataset import FilterDataset
from common.console import progress, warn
from common.errors import InputError
from common.files import visible
from data.frames import REAL
from data.preprocess.celebdf import CelebDF
from data.preprocess.crop_folder import open_folder
from data.preprocess.crop_records import PreprocessSettings
from data.preprocess.layout import SUFFIXES, Clip, FaceForensics
from data.preprocess.pipeline import entries, run_all
from data.source import IndexedFrames
from data.stores import FolderImages

COMPRESSIONS = ("c23", "raw", "c40")
_MANIPULATED, _ORIGINAL = "manipulated_sequences", "original_sequences"


def open_videos(
    source: Path, crops: Path, per_video: int, face_detector: str = PreprocessSettings.face_detector
) -> FilterDataset:
    """Evenly spread frames of a video, or of all videos under a folder, their faces cropped into `crops`.

    A folder laid out as FaceForensics++ or Celeb-DF is taken as such, with what is real and what is not. Elsewhere
    the path of a video says what it is: `original_sequences`, `Celeb-real` or `YouTube-real` is real, and
    `manipulated_sequences/<family>` of that family; any other is a fake of the family that its folder is named after.
    Crops made earlier are used again.

    Args:
        source: a video, or a folder of videos.
        crops: the folder that the crops are kept in.
        per_video: frames of each video, at least 1.
        face_detector: a name that `PreprocessSettings.face_detector` takes.

    Raises:
        InputError: there is no video, or no face in any.
    """
    clips = _clips(source)
    recipe = PreprocessSettings(frames_per_video=per_video, face_detector=face_detector)
    folder, records = open_folder(crops, recipe), {}
    with progress("video") as bar:
        for record in bar.track(run_all(clips, recipe, folder, 1), total=len(clips), description="cropping faces"):
            records[record.key] = record
            if record.problem:
                warn(f"{record.key}: {record.problem}")
    frame_entries = entries(clips, records, recipe, {})
    if not frame_entries:
        raise InputError(f"{source}: no face found in any of {len(clips)} videos")
    return FilterDataset(IndexedFrames(frame_entries, FolderImages(crops)), tuple(frame_entries))


def _clips(source: Path) -> Sequence[Clip]:
    if source.is_file():
        return [_clip(source)]
    if not source.is_dir():
        raise InputError(f"{source}: no such video or folder of videos")
    if any((source / part).is_dir() for part in (_MANIPULATED, _ORIGINAL)):
        return _face_forensics(source)
    if any((source / part).is_dir() for part in CelebDF.folders):
        return CelebDF().find(source).clips
    paths = sorted(path for path in visible(source, "**/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{source}: no videos in this folder ({' '.join(sorted(SUFFIXES))})")
    return [_clip(path) for path in paths]


def _face_forensics(root: Path) -> Sequence[Clip]:
    """The clips of the first compression that is there."""
    for compression in COMPRESSIONS:
        if any(visible(root, f"*/*/{compression}/videos")):
            return FaceForensics(compression).find(root).clips
    raise InputError(f"{root}: no videos at any of the compressions {', '.join(COMPRESSIONS)}")


def _clip(path: Path) -> Clip:
    """A video by itself; its path decides whether it is real or of which family."""
    parts = path.resolve().parts
    if _MANIPULATED in parts[:-2]:
        start = parts.index(_MANIPULATED)
        return Clip(str(PurePosixPath(*parts[start:])), path, parts[start + 1], path.stem.split("_")[0])
    for real in (_ORIGINAL, *CelebDF.REAL_FOLDERS):
        if real in parts[:-1]:
            return Clip(str(PurePosixPath(*parts[parts.index(real) :])), path, REAL, path.stem)
    family = path.resolve().parent.name or "videos"
    return Clip(f"{family}/{path.name}", path, family, path.stem)
